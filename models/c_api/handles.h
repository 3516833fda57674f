// What stands behind the handles of weft.h, and how its functions end.
#ifndef WEFT_MODELS_C_API_HANDLES_H_
#define WEFT_MODELS_C_API_HANDLES_H_

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/c_api/weft.h"
#include "models/engine.h"
#include "models/no_throw.h"
#include "models/sampler.h"

// The names of C are global, their contents are not.
struct weft_model {
  std::shared_ptr<const weft::Model> model;
  std::string architecture;
  // For samplers, made when the first one needs it. Models are shared between
  // threads.
  mutable std::once_flag pieces_once;
  mutable std::shared_ptr<const weft::TokenPieces> pieces;
};

struct weft_session {
  std::unique_ptr<weft::HostExecutor> executor;  // before its user
  std::unique_ptr<weft::Session> session;
  std::atomic<bool> cancel{false};
  // Of a step: here, so that a step allocates nothing.
  std::vector<weft::StepToken> batch;
};

struct weft_sampler {
  weft::Sampler sampler;
};

namespace weft::inline v0 {
namespace c_api {

// Leaves `status` in `error` and returns its code.
weft_code End(const absl::Status& status, weft_error* error) noexcept;

// Runs f(), which returns a Status, and ends with what it gives.
template <class F>
weft_code Call(weft_error* error, F&& f) noexcept {
  return End(NoThrow(std::forward<F>(f)), error);
}

inline absl::Status IsNull(const char* what) {
  return absl::InvalidArgumentError(std::string(what) + " is NULL");
}

// The caller's options, which may be shorter or longer than ours. What is
// longer has to be zeros: it says something that this library does not know.
template <class Options>
absl::StatusOr<Options> Known(const Options* given, Options known) {
  if (given == nullptr) return known;
  size_t size;
  std::memcpy(&size, given, sizeof(size));
  // A size that was not set is mostly 0 or enormous.
  constexpr size_t kLargest = 64 * sizeof(Options);
  if (size < sizeof(size) || size > kLargest)
    return absl::InvalidArgumentError(
        "the options' size is not set: {sizeof options} does it");
  const char* const bytes = reinterpret_cast<const char*>(given);
  for (size_t i = sizeof(Options); i < size; ++i)
    if (bytes[i] != 0)
      return absl::InvalidArgumentError(
          "the options have a field that this version of weft does not know");
  std::memcpy(&known, given, std::min(size, sizeof(Options)));
  return known;
}

// A weft_progress as what the engine takes: a function that is told shares, and
// a flag that is set when it wants to end the work.
class Progress {
 public:
  Progress(weft_progress tell, void* user) : tell_(tell), user_(user) {}
  // Null where nobody listens; valid as long as the object.
  std::function<void(double)> function() {
    if (tell_ == nullptr) return nullptr;
    return [this](double share) {
      constexpr int64_t kTotal = 1000;
      const auto done = static_cast<int64_t>(share * kTotal);
      if (!cancel_.load() && tell_(user_, done, kTotal) != 0)
        cancel_.store(true);
    };
  }
  const std::atomic<bool>* cancel() const { return &cancel_; }

 private:
  weft_progress tell_;
  void* user_;
  std::atomic<bool> cancel_{false};
};

// As snprintf: what fits, the length of all, a NUL where there is room.
absl::Status Give(absl::string_view text, char* to, size_t capacity,
                  size_t* size);
template <class T>
absl::Status GiveAll(absl::Span<const T> values, T* to, size_t capacity,
                     size_t* count) {
  if (count == nullptr) return IsNull("where the count goes");
  if (to == nullptr && capacity > 0) return IsNull("the buffer");
  std::copy_n(values.begin(), std::min(values.size(), capacity), to);
  *count = values.size();
  return absl::OkStatus();
}

// "q4_k" and the like.
std::optional<DType> DTypeNamed(absl::string_view name);

// The graph after all passes, and what was fused, as texts.
absl::Status GiveGraph(const Graph& graph, char* to, size_t capacity,
                       size_t* size);
absl::Status GiveReport(const FusionReport& report, char* to, size_t capacity,
                        size_t* size);

absl::StatusOr<SessionOptions> ReadSessionOptions(
    const weft_session_options* given, HostExecutor* executor);

}  // namespace c_api
}  // namespace weft::inline v0

#endif  // WEFT_MODELS_C_API_HANDLES_H_
