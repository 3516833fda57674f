// What a host supplies and limits: threads, memory, cancellation.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/runner.h"
#include "ops/ops.h"
#include "tests/greedy.h"

namespace weft::inline v0 {
namespace {

// Runs tasks backwards on the calling thread, and counts.
class BackwardsExecutor : public HostExecutor {
 public:
  void Run(int count, void (*task)(void*, int), void* context) override {
    most = std::max(most, count);
    ++runs;
    for (int i = count; i-- > 0;) task(context, i);
  }
  int runs = 0, most = 0;
};

// A thread for each task.
class ThreadsExecutor : public HostExecutor {
 public:
  void Run(int count, void (*task)(void*, int), void* context) override {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back(task, context, i);
    for (std::thread& thread : threads) thread.join();
  }
};

// Two products that are worth splitting: about 60 MFLOP.
constexpr int64_t kRows = 64, kWidth = 512;
std::unique_ptr<Runner> MakeRunner(HostExecutor* executor) {
  auto g = std::make_unique<Graph>();
  const auto weight = [&](const char* name) {
    return g->Weight(name, DType::kF32, {kWidth, kWidth});
  };
  const Value x = g->Input("x", DType::kF32, {kRows, kWidth});
  g->Output("y", Linear(Softmax(Linear(x, weight("a"))), weight("b")));
  CompileOptions options;
  options.backend_options.threads = 3;
  options.backend_options.executor = executor;
  auto runner = Runner::Compile(std::move(g), RandomWeights(1), options);
  EXPECT_TRUE(runner.ok()) << runner.status();
  return *std::move(runner);
}

absl::StatusOr<std::vector<float>> RunOnce(Runner& runner,
                                           const std::atomic<bool>* cancel) {
  std::vector<float> x(kRows * kWidth), y(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 13) - 6;
  const absl::Status ran =
      runner.Run({InputOf(x, {kRows, kWidth})}, {OutputOf(y)}, cancel);
  if (!ran.ok()) return ran;
  return y;
}

std::vector<float> Results(HostExecutor* executor) {
  const auto y = RunOnce(*MakeRunner(executor), nullptr);
  EXPECT_TRUE(y.ok()) << y.status();
  return *y;
}

TEST(HostExecutor, GivesTheSameBits) {
  const std::vector<float> want = Results(nullptr);
  BackwardsExecutor backwards;
  EXPECT_EQ(Results(&backwards), want);
  EXPECT_GT(backwards.runs, 0);
  EXPECT_LE(backwards.most, 3);
  ThreadsExecutor threads;
  EXPECT_EQ(Results(&threads), want);
}

struct Counter {
  std::map<void*, size_t> live;
  size_t total = 0;
  int allowed = 1 << 30;  // allocations until there is no more
};
void* Allocate(void* user, size_t bytes, size_t alignment) {
  auto& counter = *static_cast<Counter*>(user);
  if (counter.allowed-- <= 0) return nullptr;
  void* const at = std::aligned_alloc(
      alignment, (bytes + alignment - 1) / alignment * alignment);
  std::memset(at, 0x55, bytes);  // need not be zeroed
  counter.live[at] = bytes;
  counter.total += bytes;
  return at;
}
void Release(void* user, void* at, size_t bytes) {
  auto& counter = *static_cast<Counter*>(user);
  EXPECT_EQ(counter.live[at], bytes);
  counter.live.erase(at);
  std::free(at);
}

TEST(HostMemory, HoldsAllThatThePlanSays) {
  Counter counter;
  SessionOptions options;
  options.backend_options.memory = {Allocate, Release, &counter};
  const auto estimate = TinyModel()->Estimate(options);
  ASSERT_TRUE(estimate.ok());
  EXPECT_EQ(counter.total, 0u);
  {
    auto session = TinyModel()->NewSession(options);
    ASSERT_TRUE(session.ok()) << session.status();
    EXPECT_EQ(counter.total, static_cast<size_t>(estimate->session.total()));
    EXPECT_EQ(Greedy(**session, 0, 3, 10),
              GreedyAlone(*TinyModel(), std::vector<Token>{3}, 10));
  }
  EXPECT_TRUE(counter.live.empty());
  for (int allowed = 0; allowed < 3; ++allowed) {
    counter.allowed = allowed;
    EXPECT_TRUE(
        absl::IsResourceExhausted(TinyModel()->NewSession(options).status()));
    EXPECT_TRUE(counter.live.empty());
  }
  options.backend_options.memory.release = nullptr;
  EXPECT_TRUE(
      absl::IsInvalidArgument(TinyModel()->NewSession(options).status()));
}

TEST(HostMemory, ALimitComesBeforeTheMemory) {
  Counter counter;
  SessionOptions options;
  options.backend_options.memory = {Allocate, Release, &counter};
  const int64_t needed = TinyModel()->Estimate(options)->session.total();
  options.backend_options.max_bytes = needed - 1;
  const absl::Status refused = TinyModel()->NewSession(options).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_NE(refused.message().find("max_bytes"), absl::string_view::npos);
  EXPECT_EQ(counter.total, 0u);
  options.backend_options.max_bytes = needed;
  EXPECT_TRUE(TinyModel()->NewSession(options).ok());
}

// Sets a flag in the middle of a node: the step ends there.
class CancellingExecutor : public HostExecutor {
 public:
  void Run(int count, void (*task)(void*, int), void* context) override {
    task(context, 0);
    if (runs_left-- == 0) cancel.store(true);
    for (int i = 1; i < count; ++i) task(context, i);
  }
  std::atomic<bool> cancel{false};
  int runs_left = 0;
};

TEST(Cancel, WithinANodeAndThenAgain) {
  CancellingExecutor executor;
  const std::unique_ptr<Runner> runner = MakeRunner(&executor);
  executor.runs_left = 1 << 30;
  const auto want = RunOnce(*runner, &executor.cancel);
  ASSERT_TRUE(want.ok()) << want.status();
  // In the last node as in the first.
  for (int runs = 0; runs < 2; ++runs) {
    executor.runs_left = runs;
    EXPECT_TRUE(absl::IsCancelled(RunOnce(*runner, &executor.cancel).status()));
    executor.cancel.store(false);
  }
  executor.runs_left = 1 << 30;
  EXPECT_EQ(*RunOnce(*runner, &executor.cancel), *want);
}

// The logits of a prompt and of 20 steps after it.
std::vector<float> LogitsOf(const SessionOptions& options, Token token) {
  auto session = TinyModel()->NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  std::vector<float> out;
  auto logits = (*session)->Prefill(0, std::vector<Token>{1, token, 3, token});
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(logits.ok()) << logits.status();
    if (!logits.ok()) break;
    out.insert(out.end(), logits->begin(), logits->end());
    logits = (*session)->Decode(0, BestToken(*logits));
  }
  return out;
}

// Sixteen sessions of one model, each on a thread of its own; some have threads
// of their own besides.
TEST(Threads, SessionsOnThreadsGiveTheBitsThatOneGives) {
  constexpr size_t kSessions = 16;
  const auto run = [](size_t i) {
    SessionOptions options;
    options.backend_options.threads = i % 4 == 0 ? 2 : 1;
    return LogitsOf(options, static_cast<Token>(i + 1));
  };
  std::vector<std::vector<float>> want, got(kSessions);
  for (size_t i = 0; i < kSessions; ++i) want.push_back(run(i));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kSessions; ++i)
    threads.emplace_back([&, i] { got[i] = run(i); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(got, want);
}

}  // namespace
}  // namespace weft::inline v0
