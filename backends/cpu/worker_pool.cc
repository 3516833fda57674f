#include "backends/cpu/worker_pool.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "hwy/base.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

constexpr int kChunkBits = 20;
constexpr uint64_t kChunkMask = (uint64_t{1} << kChunkBits) - 1;

uint64_t EpochOf(uint64_t ticket) { return ticket >> (2 * kChunkBits); }
uint64_t ChunksOf(uint64_t ticket) { return ticket >> kChunkBits & kChunkMask; }
uint64_t NextOf(uint64_t ticket) { return ticket & kChunkMask; }

// How often an idle worker looks before it sleeps: a pause is 40 to 140 cycles,
// so about 50 microseconds, what a token's sampling and the inline steps
// between two forks take. Longer would burn a core that other programs want.
constexpr int kSpins = 2000;

void Pause() {
#if HWY_ARCH_X86
  __builtin_ia32_pause();
#elif HWY_ARCH_ARM
  asm volatile("yield" ::: "memory");
#endif
}

// What a worker does while it waits: asks for what it reads next, a few lines
// at a time, since it looks for work between them.
class Waiting {
 public:
  Waiting(const std::byte* at, size_t bytes)
      : at_(reinterpret_cast<uintptr_t>(at)), lines_(bytes / kLine) {}
  void Once() {
    if (lines_ == 0) return Pause();
    const size_t lines = std::min<size_t>(lines_, 8);
    for (size_t i = 0; i < lines; ++i, at_ += kLine)
      __builtin_prefetch(reinterpret_cast<const void*>(at_), 0, 2);
    lines_ -= lines;
  }

 private:
  static constexpr size_t kLine = 64;
  uintptr_t at_;  // as a number: there need be no object
  size_t lines_;
};

}  // namespace

int AvailableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

WorkerPool::WorkerPool(int threads, HostExecutor* host)
    : shares_(static_cast<size_t>(threads)),
      threads_(threads),
      host_(host),
      spins_(threads <= AvailableCores() ? kSpins : 0) {
  if (host != nullptr) return;
  // Where a thread cannot be had the caller hears of it, but those that there
  // are have to end first.
  absl::Cleanup end = [this] { End(); };
  workers_.reserve(static_cast<size_t>(threads - 1));
  for (int worker = 1; worker < threads; ++worker)
    workers_.emplace_back([this, worker] { WorkerLoop(worker); });
  std::move(end).Cancel();
}

WorkerPool::~WorkerPool() { End(); }

void WorkerPool::End() {
  ending_.store(true);
  wake_.fetch_add(1);
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void WorkerPool::RunOnHost(int64_t chunks, Work f) {
  struct Shared {
    Work work;
    int64_t chunks;
    std::atomic<int64_t> next{0};
  } shared{f, chunks};
  host_->Run(
      static_cast<int>(std::min<int64_t>(threads_, chunks)),
      [](void* context, int worker) {
        auto& s = *static_cast<Shared*>(context);
        for (;;) {
          const int64_t chunk = s.next.fetch_add(1, std::memory_order_relaxed);
          if (chunk >= s.chunks) return;
          s.work(chunk, worker);
        }
      },
      &shared);
}

void WorkerPool::SetNext(int worker, const std::byte* at, size_t bytes) {
  Share& share = shares_[static_cast<size_t>(worker)];
  share.next.store(at, std::memory_order_relaxed);
  share.next_bytes.store(bytes, std::memory_order_relaxed);
}

void WorkerPool::Run(int64_t chunks, Work f) {
  if (threads_ == 1 || chunks <= 1) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk) f(chunk, 0);
    return;
  }
  if (host_ != nullptr) return RunOnHost(chunks, f);
  work_ = &f;
  done_.store(0, std::memory_order_relaxed);
  for (Share& share : shares_) share.taken.store(0, std::memory_order_relaxed);
  const uint64_t epoch = EpochOf(ticket_.load(std::memory_order_relaxed)) + 1;
  ticket_.store(epoch << (2 * kChunkBits) | static_cast<uint64_t>(chunks)
                                                << kChunkBits,
                std::memory_order_release);
  wake_.fetch_add(1);  // sequentially consistent: before the look at sleepers_
  if (sleepers_.load() > 0) wake_.notify_all();
  RunChunks(0);
  // The others' last chunks: about as long as one of ours.
  Waiting waiting(shares_[0].next.load(std::memory_order_relaxed),
                  shares_[0].next_bytes.load(std::memory_order_relaxed));
  for (int i = 0; done_.load(std::memory_order_acquire) != chunks; ++i) {
    if (i < kSpins && spins_ > 0) {
      waiting.Once();
    } else {
      sched_yield();
    }
  }
}

uint64_t WorkerPool::RunChunks(int worker) {
  for (;;) {
    const uint64_t ticket = ticket_.fetch_add(1, std::memory_order_acquire);
    if (NextOf(ticket) >= ChunksOf(ticket)) return EpochOf(ticket);
    const auto chunks = static_cast<int64_t>(ChunksOf(ticket));
    (*work_)(TakeChunk(worker, chunks), worker);
    done_.fetch_add(1, std::memory_order_release);
  }
}

int64_t WorkerPool::TakeChunk(int worker, int64_t chunks) {
  // There are as many tickets as chunks, so that a turn around finds one.
  for (int64_t owner = worker;; owner = (owner + 1) % threads_) {
    const int64_t first = FirstChunk(chunks, owner);
    const int64_t size = FirstChunk(chunks, owner + 1) - first;
    const int64_t taken = shares_[static_cast<size_t>(owner)].taken.fetch_add(
        1, std::memory_order_relaxed);
    if (taken < size) return first + taken;
  }
}

void WorkerPool::AwaitEpoch(int worker, uint64_t seen) {
  const auto Changed = [&] {
    return EpochOf(ticket_.load(std::memory_order_relaxed)) != seen ||
           ending_.load(std::memory_order_relaxed);
  };
  const Share& share = shares_[static_cast<size_t>(worker)];
  Waiting waiting(share.next.load(std::memory_order_relaxed),
                  share.next_bytes.load(std::memory_order_relaxed));
  for (int i = 0; i < spins_; ++i) {
    if (Changed()) return;
    waiting.Once();
  }
  sleepers_.fetch_add(1);
  const uint32_t wake = wake_.load();
  if (!Changed()) wake_.wait(wake);
  sleepers_.fetch_sub(1);
}

void WorkerPool::WorkerLoop(int worker) {
  uint64_t seen = 0;
  while (!ending_.load(std::memory_order_relaxed)) {
    AwaitEpoch(worker, seen);
    seen = RunChunks(worker);
  }
}

}  // namespace cpu
}  // namespace weft::inline v0
