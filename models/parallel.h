// Independent pieces of work on several threads.
#ifndef WEFT_MODELS_PARALLEL_H_
#define WEFT_MODELS_PARALLEL_H_

#include <atomic>
#include <cstdint>
#include <functional>

#include "absl/functional/function_ref.h"

namespace weft::inline v0 {

// What --threads means: itself, or one per core for 0.
int ThreadCount(int threads_flag);

// Calls f(0) to f(n - 1), each once, on up to `threads` threads, the caller's
// included, and returns when all are done. Which thread runs which is not
// defined. Where the system refuses a thread, fewer do the work. `progress`,
// where there is one, is called on the caller's thread, after each call of its
// own, with the share that is done, up to 1. Once `cancel`, where there is one,
// is true, no call begins; false if some are left out so.
bool ParallelFor(int threads, int64_t n, absl::FunctionRef<void(int64_t)> f,
                 const std::function<void(double)>& progress = nullptr,
                 const std::atomic<bool>* cancel = nullptr);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_PARALLEL_H_
