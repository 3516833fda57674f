// How another thread ends work: by a flag that the work looks at.
#ifndef WEFT_GRAPH_CANCEL_H_
#define WEFT_GRAPH_CANCEL_H_

#include <atomic>

#include "absl/status/status.h"

namespace weft::inline v0 {

// Whether there is a flag and it is set.
inline bool IsSet(const std::atomic<bool>* cancel) {
  return cancel != nullptr && cancel->load(std::memory_order_relaxed);
}

// Cancelled if it is.
inline absl::Status CheckCancel(const std::atomic<bool>* cancel) {
  return IsSet(cancel) ? absl::CancelledError("cancelled") : absl::OkStatus();
}

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_CANCEL_H_
