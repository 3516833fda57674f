// Fork and join over independent tasks.
#ifndef WEFT_BACKENDS_CPU_WORKER_POOL_H_
#define WEFT_BACKENDS_CPU_WORKER_POOL_H_

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"

namespace weft::inline v0 {
namespace cpu {

// A Highway thread pool of `threads` workers, the caller's thread included.
// Workers spin while steps follow each other and block after Rest(), or always
// when there are more of them than cores: spinning would then keep the others
// from working. Not thread-safe: one Run at a time.
class WorkerPool {
 public:
  explicit WorkerPool(int threads);  // at least 1
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  int threads() const { return threads_; }

  // Calls f(chunk, worker) for each chunk in [0, chunks); returns when all are
  // done. Which worker runs which chunk is not defined.
  void Run(int64_t chunks, absl::FunctionRef<void(int64_t, int)> f);

  // Spin for work from now on; call before a step.
  void Wake();
  // Sleep until the next Run.
  void Rest();

 private:
  struct Pool;
  int threads_;
  bool spinning_ = false;
  bool may_spin_;
  std::unique_ptr<Pool> pool_;
};

// Cores that this process may run on, at least 1.
int AvailableCores();

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_WORKER_POOL_H_
