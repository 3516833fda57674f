#include "backends/cpu/worker_pool.h"

#include <sched.h>

#include <algorithm>
#include <thread>

#include "hwy/contrib/thread_pool/thread_pool.h"

namespace weft::inline v0 {
namespace cpu {

struct WorkerPool::Pool {
  explicit Pool(size_t threads) : pool(threads) {}
  hwy::ThreadPool pool;
};

int AvailableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

WorkerPool::WorkerPool(int threads)
    : threads_(std::max(1, threads)), may_spin_(threads <= AvailableCores()) {
  if (threads_ > 1)
    pool_ = std::make_unique<Pool>(static_cast<size_t>(threads_));
}

WorkerPool::~WorkerPool() = default;

void WorkerPool::Run(int64_t chunks, absl::FunctionRef<void(int64_t, int)> f) {
  if (!pool_ || chunks <= 1) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk) f(chunk, 0);
    return;
  }
  pool_->pool.Run(0, static_cast<uint64_t>(chunks),
                  [&f](uint64_t chunk, size_t worker) {
                    f(static_cast<int64_t>(chunk), static_cast<int>(worker));
                  });
}

void WorkerPool::Wake() {
  if (!pool_ || spinning_ || !may_spin_) return;
  pool_->pool.SetWaitMode(hwy::PoolWaitMode::kSpin);
  spinning_ = true;
}

void WorkerPool::Rest() {
  if (!pool_ || !spinning_) return;
  pool_->pool.SetWaitMode(hwy::PoolWaitMode::kBlock);
  spinning_ = false;
}

}  // namespace cpu
}  // namespace weft::inline v0
