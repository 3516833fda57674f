// The doors of the library: what the standard library throws stays inside.
#ifndef WEFT_MODELS_NO_THROW_H_
#define WEFT_MODELS_NO_THROW_H_

#include <utility>

#include "absl/status/status.h"

namespace weft::inline v0 {

// ResourceExhausted with a text where there is memory for one.
inline absl::Status OutOfMemory() noexcept {
  try {
    return absl::ResourceExhaustedError("out of memory");
  } catch (...) {
    return absl::Status(absl::StatusCode::kResourceExhausted, "");
  }
}

// f(), which returns a Status or StatusOr. Containers throw std::bad_alloc when
// memory runs out and std::thread throws std::system_error when a thread cannot
// be had: both are ResourceExhausted, and destructors have given everything
// back by then. There is nothing else that throws.
template <class F>
auto NoThrow(F&& f) noexcept -> decltype(f()) {
  try {
    return std::forward<F>(f)();
  } catch (...) {
    return OutOfMemory();
  }
}

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_NO_THROW_H_
