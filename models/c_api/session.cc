#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/c_api/handles.h"

using weft::Session;
using weft::SessionOptions;
using weft::c_api::Call;
using weft::c_api::IsNull;
using weft::c_api::Progress;
using weft::c_api::ReadSessionOptions;

namespace {

// The executor of a C host.
class Executor : public weft::HostExecutor {
 public:
  explicit Executor(const weft_session_options& o)
      : run_(o.run), user_(o.run_user) {}
  void Run(int count, void (*task)(void*, int), void* context) override {
    run_(user_, count, task, context);
  }

 private:
  void (*run_)(void*, int, void (*)(void*, int), void*);
  void* user_;
};

// Runs one call of the session and takes note of a cancellation: it ends this
// call, not the next one too.
template <class F>
absl::Status Run(weft_session* session, const F& f) {
  if (session == nullptr) return IsNull("the session");
  const absl::Status status = f();
  if (absl::IsCancelled(status)) session->cancel.store(false);
  return status;
}

}  // namespace

weft_code weft_session_new(const weft_model* model,
                           const weft_session_options* options,
                           weft_session** session, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (model == nullptr) return IsNull("the model");
    if (session == nullptr) return IsNull("where the session goes");
    auto handle = std::make_unique<weft_session>();
    WEFT_ASSIGN_OR_RETURN(const weft_session_options known,
                          weft::c_api::Known(options, weft_session_options{}));
    handle->executor = std::make_unique<Executor>(known);
    WEFT_ASSIGN_OR_RETURN(SessionOptions o,
                          ReadSessionOptions(options, handle->executor.get()));
    Progress progress(known.packing_progress, known.packing_user);
    o.packing_progress = progress.function();
    o.cancel = progress.cancel();
    WEFT_ASSIGN_OR_RETURN(handle->session, model->model->NewSession(o));
    handle->batch.reserve(
        static_cast<size_t>(handle->session->options().batch));
    *session = handle.release();
    return absl::OkStatus();
  });
}

void weft_session_free(weft_session* session) { delete session; }

int64_t weft_session_row_size(const weft_session* session) {
  return session == nullptr ? 0 : session->session->row_size();
}

weft_code weft_session_pack_cache(const weft_session* session,
                                  weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (session == nullptr) return IsNull("the session");
    return session->session->pack_cache_status();
  });
}

weft_code weft_session_estimate(const weft_model* model,
                                const weft_session_options* options,
                                int64_t* bytes, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (model == nullptr || bytes == nullptr)
      return IsNull("the model or where the number goes");
    WEFT_ASSIGN_OR_RETURN(const SessionOptions o,
                          ReadSessionOptions(options, nullptr));
    WEFT_ASSIGN_OR_RETURN(const weft::MemoryEstimate estimate,
                          model->model->Estimate(o));
    *bytes = estimate.session.total() + estimate.packed;
    return absl::OkStatus();
  });
}

weft_code weft_prefill(weft_session* session, int32_t slot,
                       const int32_t* tokens, size_t count,
                       weft_progress progress, void* progress_user,
                       const float** logits, weft_error* error) {
  return Call(error, [&] {
    return Run(session, [&]() -> absl::Status {
      if (tokens == nullptr && count > 0) return IsNull("the tokens");
      weft::PrefillOptions options;
      options.cancel = &session->cancel;
      if (progress != nullptr)
        options.progress = [&](int64_t done, int64_t total) {
          if (progress(progress_user, done, total) != 0 && done < total)
            session->cancel.store(true);
        };
      WEFT_ASSIGN_OR_RETURN(
          const auto row,
          session->session->Prefill(slot, {tokens, count}, options));
      if (logits != nullptr) *logits = row.data();
      return absl::OkStatus();
    });
  });
}

weft_code weft_decode(weft_session* session, int32_t slot, int32_t token,
                      const float** logits, weft_error* error) {
  return Call(error, [&] {
    return Run(session, [&]() -> absl::Status {
      WEFT_ASSIGN_OR_RETURN(const auto row, session->session->Decode(
                                                slot, token, &session->cancel));
      if (logits != nullptr) *logits = row.data();
      return absl::OkStatus();
    });
  });
}

weft_code weft_step(weft_session* session, const weft_step_token* tokens,
                    size_t count, const float** logits, size_t* rows,
                    weft_error* error) {
  return Call(error, [&] {
    return Run(session, [&]() -> absl::Status {
      if (tokens == nullptr && count > 0) return IsNull("the tokens");
      std::vector<weft::StepToken>& batch = session->batch;
      if (count > batch.capacity())
        return absl::InvalidArgumentError(absl::StrCat(
            "a step of ", count, " tokens; this session takes up to batch = ",
            session->session->options().batch));
      batch.clear();
      for (size_t i = 0; i < count; ++i)
        batch.push_back(
            {tokens[i].token, tokens[i].slot, tokens[i].want_logits != 0});
      WEFT_ASSIGN_OR_RETURN(const auto all,
                            session->session->Step(batch, &session->cancel));
      if (logits != nullptr) *logits = all.data();
      if (rows != nullptr)
        *rows = all.size() / static_cast<size_t>(session->session->row_size());
      return absl::OkStatus();
    });
  });
}

void weft_session_cancel(weft_session* session) {
  if (session != nullptr) session->cancel.store(true);
}

weft_code weft_embed(weft_session* session, const int32_t* tokens, size_t count,
                     float* vector, size_t capacity, size_t* size,
                     weft_error* error) {
  return Call(error, [&] {
    return Run(session, [&]() -> absl::Status {
      if (tokens == nullptr && count > 0) return IsNull("the tokens");
      const auto width = static_cast<size_t>(session->session->row_size());
      // Where it does not fit only the size is asked for.
      if (session->session->options().embeddings && size != nullptr &&
          capacity < width) {
        *size = width;
        return absl::OkStatus();
      }
      weft::EmbedOptions options;
      options.cancel = &session->cancel;
      WEFT_ASSIGN_OR_RETURN(const std::vector<float> all,
                            session->session->Embed({tokens, count}, options));
      return weft::c_api::GiveAll<float>(all, vector, capacity, size);
    });
  });
}
