// The probes do what they time: every byte is read, every multiply-add is done,
// on every instruction set; and the rates are those of a real machine.
#include "backends/probe.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/cpu/probe_loops.h"
#include "backends/cpu/target_names.h"
#include "gtest/gtest.h"
#include "tests/sanitizer.h"

namespace weft::inline v0 {
namespace {

// Operations per second: a core does a few thousand in a nanosecond at most.
constexpr double kFastestCore = 1e13;

class ProbeLoopsTest : public testing::TestWithParam<std::string> {
 protected:
  ProbeLoopsTest()
      : loops_(cpu::GetProbeLoops(*cpu::ParseTarget(GetParam()))) {}
  cpu::ProbeLoops loops_;
};

// A buffer as the loops want it.
struct Buffer {
  explicit Buffer(int64_t n)
      : bytes(n),
        data(static_cast<std::byte*>(
            std::aligned_alloc(cpu::kReadGranule, static_cast<size_t>(n)))) {
    std::mt19937_64 random(1);
    for (int64_t i = 0; i < n; ++i)
      data.get()[i] = static_cast<std::byte>(random());
  }
  uint64_t Xor() const {
    uint64_t all = 0, word;
    for (int64_t i = 0; i < bytes; i += 8) {
      std::memcpy(&word, data.get() + i, sizeof(word));
      all ^= word;
    }
    return all;
  }

  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  int64_t bytes;
  std::unique_ptr<std::byte[], Free> data;
};

TEST_P(ProbeLoopsTest, EveryByteIsRead) {
  Buffer buffer(3 * cpu::kReadGranule);
  const uint64_t want = buffer.Xor();
  ASSERT_GE(loops_.read.size(), 2u);
  for (const cpu::ReadLoop& loop : loops_.read) {
    EXPECT_EQ(loop.run(buffer.data.get(), buffer.bytes), want) << loop.name;
    // 61: each line is hit, at changing places within it.
    for (int64_t i = 0; i < buffer.bytes; i += 61) {
      buffer.data.get()[i] ^= std::byte{1};
      ASSERT_NE(loop.run(buffer.data.get(), buffer.bytes), want)
          << loop.name << ", byte " << i;
      buffer.data.get()[i] ^= std::byte{1};
    }
  }
}

TEST_P(ProbeLoopsTest, EveryMultiplyAddIsDone) {
  ASSERT_GE(loops_.arithmetic.size(), 2u);
  for (const cpu::ArithmeticLoop& loop : loops_.arithmetic) {
    EXPECT_GT(loop.operations, 0) << loop.name;
    // All numbers stay below 2^24, so that sums in f32 are exact.
    EXPECT_EQ(loop.run(1500) - loop.run(500), 1000 * loop.per_round)
        << loop.name;
    EXPECT_EQ(loop.operations, 2 * loop.per_round) << loop.name;
  }
}

// A loop that a compiler has turned into a formula takes no time. What else the
// machine does can only make a run longer, so this cannot fail by chance.
TEST_P(ProbeLoopsTest, NoRoundIsLeftOut) {
  constexpr int64_t kRounds = 100'000;
  for (const cpu::ArithmeticLoop& loop : loops_.arithmetic) {
    const auto start = std::chrono::steady_clock::now();
    loop.run(kRounds);
    const std::chrono::duration<double> taken =
        std::chrono::steady_clock::now() - start;
    EXPECT_LT(kRounds * loop.operations / taken.count(), kFastestCore)
        << loop.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, ProbeLoopsTest,
                         testing::ValuesIn(cpu::RunnableTargets()),
                         [](const auto& test) { return test.param; });

TEST(Probe, MeasuresWithEveryNumberOfThreads) {
  for (const int threads : {1, 2}) {
    BackendOptions options;
    options.threads = threads;
    const auto backend = MakeBackend("cpu", options);
    ASSERT_TRUE(backend.ok());
    const auto probe = (*backend)->MakeProbe(16 << 20);
    ASSERT_TRUE(probe.ok()) << probe.status();
    const ReadRate first = (*probe)->Read();
    const ReadRate again = (*probe)->Read();
    EXPECT_FALSE(first.loop.empty());
    EXPECT_EQ(again.loop, first.loop);
    // Between a slow emulator and any machine there is: bytes per second.
    for (const ReadRate& rate : {first, again}) {
      EXPECT_GT(rate.bytes_per_second, 1e6);
      EXPECT_LT(rate.bytes_per_second, 1e14);
    }
    std::vector<Arithmetic> kinds;
    for (const Peak& peak : (*probe)->Peaks()) {
      kinds.push_back(peak.arithmetic);
      EXPECT_GT(peak.operations_per_second, 1e6) << peak.loop;
      EXPECT_LT(peak.operations_per_second, threads * kFastestCore)
          << peak.loop;
    }
    EXPECT_EQ(kinds.front(), Arithmetic::kF32);
    EXPECT_EQ(kinds.back(), Arithmetic::kInt8);
  }
}

TEST(Probe, RefusesTooLittleMemory) {
  const auto backend = MakeBackend("cpu");
  const auto probe = (*backend)->MakeProbe(1000);
  EXPECT_EQ(probe.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(probe.status().message().find("1000"), std::string::npos);
}

// The sanitizers' allocators end the program instead.
TEST(Probe, SaysThatMemoryCannotBeHad) {
  if (kSanitized) GTEST_SKIP() << "not under a sanitizer";
  const auto backend = MakeBackend("cpu");
  // More than any address space.
  const auto probe = (*backend)->MakeProbe(int64_t{1} << 60);
  EXPECT_EQ(probe.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(Probe, TheReferenceHasNone) {
  const auto backend = MakeBackend("reference");
  EXPECT_EQ((*backend)->MakeProbe(1 << 30).status().code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace weft::inline v0
