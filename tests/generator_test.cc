// Text made by a model, up to where it stops.
#include "tools/generator.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tiny_llama.h"
#include "tools/text_model.h"

namespace weft::inline v0 {
namespace {

std::unique_ptr<TextModel> Tiny(int64_t context = 64) {
  auto model = Model::Load(TinyLlamaPath());
  EXPECT_TRUE(model.ok()) << model.status();
  SessionOptions options;
  options.context = context;
  auto session = (*model)->NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  return std::make_unique<SessionTextModel>(*std::move(model),
                                            *std::move(session));
}

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
  const auto model = Tiny();
  const Generated g = Generate(*model, "weft", Greedy(10));
  ASSERT_TRUE(g.reason.ok()) << g.reason.status();
  EXPECT_EQ(*g.reason, StopReason::kMaxTokens);
  EXPECT_EQ(g.stats.prompt_tokens, 6);
  EXPECT_EQ(g.stats.tokens, 10);
  EXPECT_EQ(g.stats.decode_steps, 9);
}

TEST(Generator, FillsTheContextToTheLastPosition) {
  const auto model = Tiny(16);
  const Generated g = Generate(*model, "weft", Greedy(0));
  ASSERT_TRUE(g.reason.ok()) << g.reason.status();
  EXPECT_EQ(*g.reason, StopReason::kContextFull);
  // All 16 positions are taken, and what follows the last is known.
  EXPECT_EQ(g.stats.tokens, 16 - g.stats.prompt_tokens + 1);
}

TEST(Generator, RefusesAnEmptyPrompt) {
  const auto model = Tiny();
  EXPECT_TRUE(
      absl::IsInvalidArgument(Generate(*model, "", Greedy(1)).reason.status()));
}

TEST(Generator, RefusesALongPrompt) {
  const auto model = Tiny(4);
  EXPECT_TRUE(absl::IsInvalidArgument(
      Generate(*model, "weft", Greedy(1)).reason.status()));
}

TEST(Generator, GoesOnWhereItStopped) {
  const auto model = Tiny();
  const std::string whole = Generate(*model, "weft", Greedy(20)).text;
  std::string text;
  GeneratorOptions options = Greedy(10);
  options.write = [&text](absl::string_view piece) {
    text.append(piece.data(), piece.size());
    return absl::OkStatus();
  };
  auto generator = Generator::Make(model.get(), options);
  ASSERT_TRUE(generator.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(generator->Continue().status()));
  ASSERT_TRUE(generator->Begin("weft").ok());
  ASSERT_TRUE(generator->Continue().ok());
  EXPECT_EQ(text, whole);
}

TEST(Generator, StopsWhenAsked) {
  const auto model = Tiny();
  const std::atomic<bool> cancel{true};
  GeneratorOptions options = Greedy(10);
  options.cancel = &cancel;
  const Generated g = Generate(*model, "weft", options);
  ASSERT_TRUE(g.reason.ok()) << g.reason.status();
  EXPECT_EQ(*g.reason, StopReason::kInterrupted);
}

TEST(Generator, AnErrorOfTheWriterEndsIt) {
  const auto model = Tiny();
  GeneratorOptions options = Greedy(10);
  options.write = [](absl::string_view) {
    return absl::ResourceExhaustedError("full");
  };
  auto generator = Generator::Make(model.get(), options);
  ASSERT_TRUE(generator.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(generator->Begin("weft").status()));
}

}  // namespace
}  // namespace weft::inline v0
