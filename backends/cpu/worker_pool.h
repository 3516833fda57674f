// Fork and join over independent tasks.
#ifndef WEFT_BACKENDS_CPU_WORKER_POOL_H_
#define WEFT_BACKENDS_CPU_WORKER_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "backends/host.h"

namespace weft::inline v0 {
namespace cpu {

// `threads` workers, the caller's thread included. Each begins with a share of
// its own, the same one in every Run(), so that it finds in its caches what it
// wrote in the step before; who has none left takes from the others. Run()
// waits for chunks, not for workers: one that the operating system has put
// aside delays only the chunk that it holds. (hwy::ThreadPool gives each worker
// a share beforehand and spins until the last has passed its barrier: with
// another busy process on the machine two threads came down from 15 tokens/s to
// 0.6.)
//
// Idle workers spin for a while, so that the next step finds them awake, then
// sleep; they do not spin at all when there are more of them than cores. Not
// thread-safe: one Run at a time.
//
// With a host's executor there are no threads: each Run() is one of the host's,
// of as many tasks as there would be workers.
class WorkerPool {
 public:
  explicit WorkerPool(int threads,  // at least 1
                      HostExecutor* host = nullptr);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  int threads() const { return threads_; }

  // Calls f(chunk, worker) for each chunk in [0, chunks), worker in
  // [0, threads()); returns when all are done. Which worker runs which chunk is
  // not defined, though worker w prefers those from FirstChunk() on.
  // At most kMaxChunks. Does not allocate.
  void Run(int64_t chunks, absl::FunctionRef<void(int64_t, int)> f);

  static constexpr int64_t kMaxChunks = 1 << 19;

  // Where the share of `chunks` that worker w prefers begins; that of
  // threads() is where the last one ends.
  int64_t FirstChunk(int64_t chunks, int64_t worker) const {
    return chunks * worker / threads_;
  }

  // What `worker` reads first in the Run() after the next one: the bytes on
  // from `at`, for which it asks memory while it waits at the end of the next
  // Run() and until another begins. Nothing is read, so that `at` may be any
  // address. Holds until it is set again.
  void SetNext(int worker, const std::byte* at, size_t bytes);

 private:
  using Work = absl::FunctionRef<void(int64_t, int)>;

  void RunOnHost(int64_t chunks, Work f);
  void WorkerLoop(int worker);
  void End();
  // Takes and runs chunks until none is left; returns the ticket's epoch.
  uint64_t RunChunks(int worker);
  // A chunk for a worker who holds a ticket.
  int64_t TakeChunk(int worker, int64_t chunks);
  // Waits until the epoch is not `seen` or the pool ends.
  void AwaitEpoch(int worker, uint64_t seen);

  // Epoch, number of chunks and how many of them are taken in one word, so that
  // a worker who comes late takes either a chunk of the current run or none:
  // 24, 20 and 20 bits. Each worker overruns the last field by one at most.
  std::atomic<uint64_t> ticket_{0};
  // How many chunks of each worker's share are taken; those who look for one
  // overrun it. A run does not end before all who hold one of its tickets have
  // found their chunk.
  struct alignas(64) Share {
    std::atomic<int64_t> taken{0};
    // Of SetNext(), which the worker may read while it is set: then it asks for
    // other lines.
    std::atomic<const std::byte*> next{nullptr};
    std::atomic<size_t> next_bytes{0};
  };
  std::vector<Share> shares_;
  std::atomic<int64_t> done_{0};
  // What the current run calls; written before the ticket, read only by those
  // who hold a chunk.
  const Work* work_ = nullptr;
  std::atomic<int> sleepers_{0};
  std::atomic<bool> ending_{false};
  // Changes with each epoch; sleepers wait on it.
  std::atomic<uint32_t> wake_{0};
  int threads_;
  HostExecutor* host_;
  int spins_;
  std::vector<std::thread> workers_;
};

// Cores that this process may run on, at least 1.
int AvailableCores();

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_WORKER_POOL_H_
