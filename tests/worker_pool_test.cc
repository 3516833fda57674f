#include "backends/cpu/worker_pool.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

class WorkerPoolTest : public ::testing::TestWithParam<int> {};

TEST_P(WorkerPoolTest, RunsEachChunkOnce) {
  WorkerPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  // Many short runs: late workers meet the next run's chunks.
  for (int round = 0; round < 2000; ++round) {
    const int64_t chunks = 1 + round % 17;
    // Not atomic: a chunk is run by one worker, and Run() waits for it.
    std::vector<int> count(static_cast<size_t>(chunks), 0);
    // Addresses where nothing is too: memory is only asked for them.
    for (int worker = 0; worker < pool.threads(); ++worker)
      pool.SetNext(worker,
                   reinterpret_cast<const std::byte*>(
                       uintptr_t{4097} * static_cast<unsigned>(round)),
                   size_t{1} << round % 20);
    pool.Run(chunks, [&](int64_t chunk, int worker) {
      ASSERT_GE(worker, 0);
      ASSERT_LT(worker, GetParam());
      ++count[static_cast<size_t>(chunk)];
    });
    for (const int n : count) ASSERT_EQ(n, 1) << "round " << round;
  }
}

TEST_P(WorkerPoolTest, RunsNothing) {
  WorkerPool pool(GetParam());
  pool.Run(0, [](int64_t, int) { FAIL(); });
}

TEST_P(WorkerPoolTest, WorkersComeBackFromSleep) {
  WorkerPool pool(GetParam());
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> count{0};
    pool.Run(64, [&](int64_t, int) { ++count; });
    EXPECT_EQ(count, 64);
  }
}

TEST_P(WorkerPoolTest, KeepsWorkersApart) {
  WorkerPool pool(GetParam());
  std::vector<int64_t> sum(static_cast<size_t>(GetParam()), 0);
  for (int round = 0; round < 100; ++round)
    pool.Run(100, [&](int64_t chunk, int worker) {
      sum[static_cast<size_t>(worker)] += chunk;
    });
  int64_t total = 0;
  for (const int64_t s : sum) total += s;
  EXPECT_EQ(total, 100 * 99 * 100 / 2);
}

// Whoever runs chunk 4, the first of the second worker's share, finds no time
// for others: they are done meanwhile, whosever they are.
TEST(WorkerPool, TakesChunksOfOneWhoIsHeldUp) {
  WorkerPool pool(2);
  constexpr int64_t kChunks = 8;
  std::atomic<int64_t> others{0};
  pool.Run(kChunks, [&](int64_t chunk, int) {
    if (chunk != kChunks / 2) {
      ++others;
      return;
    }
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (others < kChunks - 1 && std::chrono::steady_clock::now() < end)
      std::this_thread::yield();
    EXPECT_EQ(others, kChunks - 1);
  });
}

TEST(WorkerPool, IdleWorkersUseNoCpu) {
  WorkerPool pool(4);
  pool.Run(64, [](int64_t, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();  // of the whole process
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  // Three spinning workers would take 600 ms, or two cores' 400.
  EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC / 20);
}

INSTANTIATE_TEST_SUITE_P(Threads, WorkerPoolTest,
                         ::testing::Values(1, 2, 3, 8));

}  // namespace
}  // namespace cpu
}  // namespace weft::inline v0
