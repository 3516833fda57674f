#include "tools/demo_model.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tools/generator.h"

namespace weft::inline v0 {
namespace {

std::unique_ptr<DemoModel> Demo(const DemoOptions& options = {}) {
  auto demo = DemoModel::Make(options);
  EXPECT_TRUE(demo.ok()) << demo.status();
  return *std::move(demo);
}

std::vector<float> LogitsOf(DemoModel& demo, const std::vector<Token>& tokens) {
  const auto logits = demo.Prefill(tokens, {});
  EXPECT_TRUE(logits.ok()) << logits.status();
  return {logits->begin(), logits->end()};
}

TEST(DemoModel, IsFusedAndRunsOnKernelsAlone) {
  const auto demo = Demo();
  EXPECT_EQ(demo->fusion_report().Count("attention"), 4);
  // Seven per layer and the output.
  EXPECT_EQ(demo->fusion_report().Count("dequant_matmul"), 4 * 7 + 1);
  for (const PlannedStep& step : demo->plan().steps)
    EXPECT_FALSE(step.on_reference) << step.kernel;
}

TEST(DemoModel, EqualsTheReferenceBackend) {
  DemoOptions options = {
      .context = 8,
      .kv_k = DType::kF32,
      .kv_v = DType::kF32,
      .numerics = Numerics::kExact};
  const auto demo = Demo(options);
  options.backend = "reference";
  const auto reference = Demo(options);
  const std::vector<Token> tokens = {ByteTokenizer::kBos, 'w', 'e', 'f', 't'};
  const std::vector<float> got = LogitsOf(*demo, tokens);
  const std::vector<float> want = LogitsOf(*reference, tokens);
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], want[i], 1e-4 * std::max(1.0f, std::abs(want[i])));
}

TEST(DemoModel, TheSeedDecides) {
  const std::vector<Token> tokens = {ByteTokenizer::kBos, 'a'};
  const std::vector<float> one = LogitsOf(*Demo({.seed = 1}), tokens);
  EXPECT_EQ(one, LogitsOf(*Demo({.seed = 1}), tokens));
  EXPECT_NE(one, LogitsOf(*Demo({.seed = 2}), tokens));
}

// ---- The generator, on the demo ----

struct Generated {
  std::string text;
  absl::StatusOr<StopReason> reason = absl::UnknownError("not run");
  GeneratorStats stats;
};

Generated Generate(TextModel& model, absl::string_view prompt,
                   GeneratorOptions options) {
  Generated result;
  options.write = [&result](absl::string_view piece) {
    result.text.append(piece.data(), piece.size());
    return absl::OkStatus();
  };
  auto generator = Generator::Make(&model, options);
  EXPECT_TRUE(generator.ok()) << generator.status();
  result.reason = generator->Begin(prompt);
  result.stats = generator->stats();
  return result;
}

GeneratorOptions Greedy(int64_t max_tokens) {
  return {.max_tokens = max_tokens, .sampler = {.temperature = 0}};
}

TEST(Generator, CountsTokens) {
  const auto demo = Demo();
  const Generated g = Generate(*demo, "weft", Greedy(10));
  ASSERT_TRUE(g.reason.ok()) << g.reason.status();
  EXPECT_EQ(*g.reason, StopReason::kMaxTokens);
  EXPECT_EQ(g.text.size(), 10u);
  EXPECT_EQ(g.stats.prompt_tokens, 5);
  EXPECT_EQ(g.stats.tokens, 10);
  EXPECT_EQ(g.stats.decode_steps, 9);
}

TEST(Generator, FillsTheContextToTheLastPosition) {
  const auto demo = Demo({.context = 16});
  const Generated g = Generate(*demo, "weft", Greedy(0));
  ASSERT_TRUE(g.reason.ok()) << g.reason.status();
  EXPECT_EQ(*g.reason, StopReason::kContextFull);
  // All 16 positions are taken, and what follows the last is known.
  EXPECT_EQ(g.text.size(), 16u - 5 + 1);
}

TEST(Generator, RefusesAnEmptyPrompt) {
  const auto demo = Demo();
  EXPECT_TRUE(
      absl::IsInvalidArgument(Generate(*demo, "", Greedy(1)).reason.status()));
}

TEST(Generator, RefusesALongPrompt) {
  const auto demo = Demo({.context = 4});
  EXPECT_TRUE(absl::IsInvalidArgument(
      Generate(*demo, "weft", Greedy(1)).reason.status()));
}

TEST(Generator, GoesOnWhereItStopped) {
  const auto demo = Demo();
  const std::string whole = Generate(*demo, "weft", Greedy(20)).text;
  std::string text;
  GeneratorOptions options = Greedy(10);
  options.write = [&text](absl::string_view piece) {
    text.append(piece.data(), piece.size());
    return absl::OkStatus();
  };
  auto generator = Generator::Make(demo.get(), options);
  ASSERT_TRUE(generator.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(generator->Continue().status()));
  ASSERT_TRUE(generator->Begin("weft").ok());
  ASSERT_TRUE(generator->Continue().ok());
  EXPECT_EQ(text, whole);
}

TEST(Generator, StopsWhenAsked) {
  const auto demo = Demo();
  const std::atomic<bool> cancel{true};
  GeneratorOptions options = Greedy(10);
  options.cancel = &cancel;
  const Generated g = Generate(*demo, "weft", options);
  ASSERT_TRUE(g.reason.ok()) << g.reason.status();
  EXPECT_EQ(*g.reason, StopReason::kInterrupted);
}

TEST(Generator, AnErrorOfTheWriterEndsIt) {
  const auto demo = Demo();
  GeneratorOptions options = Greedy(10);
  options.write = [](absl::string_view) {
    return absl::ResourceExhaustedError("full");
  };
  auto generator = Generator::Make(demo.get(), options);
  ASSERT_TRUE(generator.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(generator->Begin("weft").status()));
}

}  // namespace
}  // namespace weft::inline v0
