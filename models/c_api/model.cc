#include "graph/status_macros.h"
#include "models/c_api/handles.h"
#include "models/model_file.h"

namespace weft::inline v0 {
namespace c_api {
namespace {

absl::Status ReadAdapters(const weft_model_options& o, LoadOptions& out) {
  if (o.adapters == nullptr && o.adapter_count > 0)
    return IsNull("the adapters");
  for (size_t i = 0; i < o.adapter_count; ++i) {
    if (o.adapters[i] == nullptr) return IsNull("an adapter's path");
    out.adapters.push_back({o.adapters[i], o.adapter_scales == nullptr
                                               ? 1.0f
                                               : o.adapter_scales[i]});
  }
  return absl::OkStatus();
}

// `open` gives the file; the rest is the same wherever it comes from.
template <class Open>
weft_code LoadModel(Open open, const weft_model_options* given,
                    weft_model** out, weft_error* error) noexcept {
  return Call(error, [&]() -> absl::Status {
    if (out == nullptr) return IsNull("where the model goes");
    WEFT_ASSIGN_OR_RETURN(const weft_model_options o,
                          Known(given, weft_model_options{}));
    LoadOptions options;
    options.read_into_memory = o.read_into_memory != 0;
    options.tokenizer = !o.no_tokenizer;
    WEFT_RETURN_IF_ERROR(ReadAdapters(o, options));
    Progress progress(o.progress, o.progress_user);
    options.progress = progress.function();
    options.cancel = progress.cancel();
    options.max_bytes = o.max_bytes;
    CopyWatch watch({options.cancel, options.progress, options.max_bytes});
    WEFT_ASSIGN_OR_RETURN(
        GgufFile file,
        open(GgufOptions{.read_into_memory = o.read_into_memory != 0,
                         .watch = &watch}));
    auto handle = std::make_unique<weft_model>();
    WEFT_ASSIGN_OR_RETURN(handle->model,
                          Model::FromFile(std::move(file), options));
    handle->architecture = std::string(handle->model->architecture().name);
    *out = handle.release();
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace c_api
}  // namespace weft::inline v0

using weft::GgufFile;
using weft::GgufOptions;
using weft::c_api::IsNull;
using weft::c_api::LoadModel;

weft_code weft_model_load(const char* path, const weft_model_options* options,
                          weft_model** model, weft_error* error) {
  return LoadModel(
      [&](const GgufOptions& o) -> absl::StatusOr<GgufFile> {
        if (path == nullptr) return IsNull("the path");
        return weft::OpenModelFile(path, o);
      },
      options, model, error);
}

weft_code weft_model_load_memory(const void* bytes, size_t size,
                                 const char* name,
                                 const weft_model_options* options,
                                 weft_model** model, weft_error* error) {
  return LoadModel(
      [&](const GgufOptions& o) -> absl::StatusOr<GgufFile> {
        if (bytes == nullptr && size > 0) return IsNull("the memory");
        return GgufFile::Parse({static_cast<const std::byte*>(bytes), size},
                               name == nullptr ? "memory" : name, o);
      },
      options, model, error);
}

weft_code weft_model_load_descriptor(int fd, const char* name,
                                     const weft_model_options* options,
                                     weft_model** model, weft_error* error) {
  return LoadModel(
      [&](const GgufOptions& o) {
        return GgufFile::OpenDescriptor(
            fd, name == nullptr ? "descriptor" : name, o);
      },
      options, model, error);
}

weft_code weft_model_load_callback(weft_read read, void* user, uint64_t size,
                                   const char* name,
                                   const weft_model_options* options,
                                   weft_model** model, weft_error* error) {
  const auto fill = [&](uint64_t offset,
                        absl::Span<std::byte> into) -> absl::Status {
    const int failed = read(user, offset, into.data(), into.size());
    if (failed == 0) return absl::OkStatus();
    return absl::DataLossError("the read callback returned " +
                               std::to_string(failed));
  };
  return LoadModel(
      [&](const GgufOptions& o) -> absl::StatusOr<GgufFile> {
        if (read == nullptr) return IsNull("the read callback");
        return GgufFile::Read(size, fill, name == nullptr ? "callback" : name,
                              o);
      },
      options, model, error);
}

void weft_model_free(weft_model* model) { delete model; }

int64_t weft_model_vocab_size(const weft_model* model) {
  return model == nullptr ? 0 : model->model->vocab_size();
}

int64_t weft_model_trained_context(const weft_model* model) {
  return model == nullptr ? 0 : model->model->trained_context();
}

const char* weft_model_architecture(const weft_model* model) {
  return model == nullptr ? "" : model->architecture.c_str();
}
