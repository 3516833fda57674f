#include "models/sampler.h"

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace {
std::atomic<int> allocations{0};
}

// Counts. Not inlined, so that no compiler sees malloc's memory deleted.
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}

namespace weft {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Nothing but what a test sets.
SamplerOptions Plain() {
  return {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0};
}

Sampler Make(const SamplerOptions& options) {
  auto sampler = Sampler::Make(options);
  EXPECT_TRUE(sampler.ok()) << sampler.status();
  return *std::move(sampler);
}

// How often each token comes in `n` draws.
std::map<Token, int> Count(Sampler sampler, const std::vector<float>& logits,
                           int n = 10000) {
  std::map<Token, int> counts;
  for (int i = 0; i < n; ++i) ++counts[sampler.Sample(logits).value()];
  return counts;
}

std::set<Token> Drawn(const SamplerOptions& options,
                      const std::vector<float>& logits) {
  std::set<Token> tokens;
  for (const auto& [token, count] : Count(Make(options), logits))
    tokens.insert(token);
  return tokens;
}

TEST(Sampler, GreedyTakesTheLowestOfTheBest) {
  Sampler sampler = Make({.temperature = 0});
  EXPECT_EQ(sampler.Sample({1.0f, 3.0f, 2.0f, 3.0f}).value(), 1);
  EXPECT_EQ(sampler.Sample({-5.0f}).value(), 0);
  EXPECT_EQ(sampler.Sample({kNan, -kInf, -3e38f, kNan}).value(), 2);
  EXPECT_EQ(sampler.Sample({1.0f, kInf, kInf}).value(), 1);
}

TEST(Sampler, NoTokenLeft) {
  for (const float temperature : {0.0f, 1.0f}) {
    SamplerOptions options = Plain();
    options.temperature = temperature;
    Sampler sampler = Make(options);
    for (const std::vector<float>& logits :
         {std::vector<float>{}, {kNan, kNan}, {-kInf, kNan}}) {
      const absl::Status status = sampler.Sample(logits).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_TRUE(absl::StrContains(status.message(), "NaN or -inf")) << status;
    }
    EXPECT_EQ(sampler.Sample({kNan, 1.0f}).value(), 1);
  }
}

TEST(Sampler, FollowsTheDistribution) {
  const std::vector<float> logits = {0.0f, std::log(2.0f), kNan, -kInf,
                                     std::log(5.0f)};
  auto counts = Count(Make(Plain()), logits, 80000);
  EXPECT_EQ(counts.size(), 3u);
  EXPECT_NEAR(counts[0], 10000, 400);
  EXPECT_NEAR(counts[1], 20000, 500);
  EXPECT_NEAR(counts[4], 50000, 600);
  // At temperature 0.5 the weights are squares.
  SamplerOptions options = Plain();
  options.temperature = 0.5f;
  counts = Count(Make(options), logits, 30000);
  EXPECT_NEAR(counts[0], 1000, 150);
  EXPECT_NEAR(counts[1], 4000, 300);
  EXPECT_NEAR(counts[4], 25000, 400);
}

TEST(Sampler, ExtremeLogits) {
  EXPECT_EQ(Drawn(Plain(), {1.0f, kInf, 2.0f, kInf}), (std::set<Token>{1, 3}));
  EXPECT_EQ(Drawn(Plain(), {-3e38f, 3e38f}), (std::set<Token>{1}));
  SamplerOptions cold = Plain();
  cold.temperature = 1e-45f;
  EXPECT_EQ(Drawn(cold, {1.0f, 2.0f, 2.0f}), (std::set<Token>{1, 2}));
}

TEST(Sampler, TopK) {
  SamplerOptions options = Plain();
  const std::vector<float> logits = {1, 4, 2, 4, 3, 2};
  for (const int k : {0, 6, 100}) {
    options.top_k = k;
    EXPECT_EQ(Drawn(options, logits).size(), 6u) << k;
  }
  options.top_k = 1;
  EXPECT_EQ(Drawn(options, logits), (std::set<Token>{1}));
  options.top_k = 3;
  EXPECT_EQ(Drawn(options, logits), (std::set<Token>{1, 3, 4}));
  options.top_k = 4;  // of two equal ones the lower id
  EXPECT_EQ(Drawn(options, logits), (std::set<Token>{1, 2, 3, 4}));
}

TEST(Sampler, TopP) {
  SamplerOptions options = Plain();
  const std::vector<float> logits = {std::log(0.1f), std::log(0.5f),
                                     std::log(0.15f), std::log(0.25f)};
  const std::pair<float, std::set<Token>> kCases[] = {
      {0.01f, {1}},        {0.49f, {1}},       {0.51f, {1, 3}},
      {0.74f, {1, 3}},     {0.76f, {1, 2, 3}}, {0.91f, {0, 1, 2, 3}},
      {1.0f, {0, 1, 2, 3}}};
  for (const auto& [p, tokens] : kCases) {
    options.top_p = p;
    EXPECT_EQ(Drawn(options, logits), tokens) << p;
  }
}

TEST(Sampler, MinP) {
  SamplerOptions options = Plain();
  const std::vector<float> logits = {std::log(0.1f), std::log(0.5f),
                                     std::log(0.15f), std::log(0.25f)};
  options.min_p = 0.4f;
  EXPECT_EQ(Drawn(options, logits), (std::set<Token>{1, 3}));
  // Temperature comes after and changes nothing about it.
  options.temperature = 100;
  EXPECT_EQ(Drawn(options, logits), (std::set<Token>{1, 3}));
  options.min_p = 1;
  EXPECT_EQ(Drawn(options, logits), (std::set<Token>{1}));
}

TEST(Sampler, RepetitionPenalty) {
  SamplerOptions options = {
      .temperature = 0, .repeat_penalty = 2, .repeat_last_n = 2};
  Sampler sampler = Make(options);
  const std::vector<float> logits = {4, 3, -1, kNan};
  EXPECT_EQ(sampler.Sample(logits).value(), 0);
  sampler.Accept(0);
  sampler.Accept(0);  // pays once: 4 / 2
  EXPECT_EQ(sampler.Sample(logits).value(), 1);
  EXPECT_EQ(sampler.Sample({4.0f, 1.5f}).value(), 0);
  sampler.Accept(1);  // 2 against 1.5
  EXPECT_EQ(sampler.Sample(logits).value(), 0);
  sampler.Accept(1);  // 0 has left the window
  EXPECT_EQ(sampler.Sample(logits).value(), 0);
  // Negative logits get worse, too.
  EXPECT_EQ(sampler.Sample({-1.5f, -1.0f}).value(), 0);
  for (const Token odd : {-1, 100, INT32_MAX, INT32_MIN}) sampler.Accept(odd);
  EXPECT_EQ(sampler.Sample({-1.5f, -1.0f}).value(), 1);
  sampler.Accept(0);
  sampler.Reset();
  EXPECT_EQ(sampler.Sample(logits).value(), 0);
}

TEST(Sampler, SeedDecides) {
  const std::vector<float> logits(100, 0.0f);
  const auto draw = [&](Sampler& sampler) {
    std::vector<Token> tokens;
    for (int i = 0; i < 50; ++i)
      tokens.push_back(sampler.Sample(logits).value());
    return tokens;
  };
  SamplerOptions options = Plain();
  options.seed = 7;
  Sampler a = Make(options);
  Sampler b = Make(options);
  const std::vector<Token> tokens = draw(a);
  EXPECT_EQ(draw(b), tokens);
  EXPECT_NE(draw(b), tokens);
  b.Reset();
  Sampler copy = b;
  EXPECT_EQ(draw(b), tokens);
  EXPECT_EQ(draw(copy), tokens);
  options.seed = 8;
  Sampler other = Make(options);
  EXPECT_NE(draw(other), tokens);
}

TEST(Sampler, NoAllocationAfterTheFirstCall) {
  std::vector<float> logits(5000);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = static_cast<float>(i * 7919 % 5000) / 500.0f;
  for (const int top_k : {0, 40}) {
    Sampler sampler = Make({.top_k = top_k, .repeat_penalty = 1.1f});
    sampler.Accept(sampler.Sample(logits).value());
    sampler.Sample(logits).IgnoreError();  // the first with a penalty
    const int before = allocations;
    for (int i = 0; i < 100; ++i)
      sampler.Accept(sampler.Sample(logits).value());
    EXPECT_EQ(allocations, before);
  }
}

// The sequence is part of the contract. The 10000th number of a default
// std::mt19937_64 is fixed by the C++ standard ([rand.predef]).
TEST(Sampler, NumbersAreTheStandards) {
  SamplerOptions options = Plain();
  options.seed = 5489;
  Sampler sampler = Make(options);
  std::vector<float> logits(1000, 0.0f);
  for (int i = 1; i < 10000; ++i) ASSERT_TRUE(sampler.Sample(logits).ok());
  const double number =
      static_cast<double>(9981545732273789042u >> 11) * 0x1p-53;
  EXPECT_EQ(sampler.Sample(logits).value(), static_cast<Token>(number * 1000));
}

TEST(SamplerOptions, FieldsOutOfRange) {
  const auto expect = [](const SamplerOptions& options,
                         absl::string_view field) {
    const absl::Status status = Sampler::Make(options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_TRUE(absl::StartsWith(status.message(), field)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "; expected ")) << status;
  };
  for (const float bad : {kNan, kInf, -kInf, 1e30f, -1.0f}) {
    expect({.temperature = bad}, "temperature is ");
    expect({.top_p = bad}, "top_p is ");
    expect({.min_p = bad}, "min_p is ");
    expect({.dynatemp_range = bad}, "dynatemp_range is ");
    expect({.dynatemp_exponent = bad}, "dynatemp_exponent is ");
    expect({.typical_p = bad}, "typical_p is ");
    expect({.top_n_sigma = bad}, "top_n_sigma is ");
    expect({.xtc_probability = bad}, "xtc_probability is ");
    expect({.xtc_threshold = bad}, "xtc_threshold is ");
    expect({.dry_multiplier = bad}, "dry_multiplier is ");
    expect({.dry_base = bad}, "dry_base is ");
    expect({.mirostat_tau = bad}, "mirostat_tau is ");
    expect({.mirostat_eta = bad}, "mirostat_eta is ");
    expect({.repeat_penalty = bad}, "repeat_penalty is ");
  }
  for (const float bad : {kNan, kInf, -kInf, 1e30f, -101.0f}) {
    expect({.presence_penalty = bad}, "presence_penalty is ");
    expect({.frequency_penalty = bad}, "frequency_penalty is ");
  }
  expect({.typical_p = 0}, "typical_p is 0; ");
  expect({.mirostat_tau = 0}, "mirostat_tau is 0; ");
  expect({.top_p = 0}, "top_p is 0; ");
  expect({.repeat_penalty = 0}, "repeat_penalty is 0; ");
  for (const int bad : {-1, INT32_MIN}) {
    expect({.top_k = bad}, "top_k is ");
  }
  for (const int bad : {-2, INT32_MIN, INT32_MAX}) {
    expect({.repeat_last_n = bad}, "repeat_last_n is ");
    expect({.dry_penalty_last_n = bad}, "dry_penalty_last_n is ");
    expect({.dry_allowed_length = bad}, "dry_allowed_length is ");
    expect({.mirostat = bad}, "mirostat is ");
  }
  EXPECT_TRUE(Sampler::Make({}).ok());
  EXPECT_TRUE(Sampler::Make({.temperature = 0, .top_k = INT32_MAX}).ok());
}

}  // namespace
}  // namespace weft
