// Hidden states and what they are pooled to: an encoder against an independent
// engine, and a decoder against its own rows.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "tests/golden.h"
#include "tests/tiny_llama.h"

namespace weft::inline v0 {
namespace {

// 3e-5 of it is the reference's own; the rest is the order of sums.
constexpr float kTolerance = 1e-3f;

float Worst(absl::Span<const float> a, absl::Span<const float> b) {
  if (a.size() != b.size()) return HUGE_VALF;
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

SessionOptions Options(bool pack = false) {
  SessionOptions options;
  options.numerics = Numerics::kExact;
  options.kv_k = options.kv_v = DType::kF32;
  options.embeddings = true;
  options.backend_options.threads = 1;
  options.pack_weights = pack;
  return options;
}

// With a file's rows, which are f16, and where that makes a difference packed.
class EncoderTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    golden_ = LoadEncoder("bert");
    if (golden_.texts.empty())
      GTEST_SKIP() << "no reference values in " << WEFT_SHARED_DIR;
    LoadOptions options;
    options.tokenizer = false;
    auto model = Model::Load(golden_.path, options);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
    auto session = model_->NewSession(Options(GetParam()));
    ASSERT_TRUE(session.ok()) << session.status();
    session_ = *std::move(session);
  }

  GoldenEncoder golden_;
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Session> session_;
};

TEST_P(EncoderTest, HiddenStatesEqualTheReference) {
  for (const GoldenText& text : golden_.texts) {
    session_->Truncate(0, 0);
    EXPECT_LE(Worst(AllLogits(*session_, text.tokens), text.hidden),
              kTolerance);
  }
  for (const PlannedStep& step : session_->plan().steps)
    EXPECT_FALSE(step.on_reference)
        << session_->graph().Describe(session_->graph().node(step.node));
}

TEST_P(EncoderTest, PoolsAsTheReference) {
  for (const GoldenText& text : golden_.texts) {
    EmbedOptions options;
    options.normalize = false;
    // The file asks for the mean.
    const auto mean = session_->Embed(text.tokens, options);
    ASSERT_TRUE(mean.ok()) << mean.status();
    EXPECT_LE(Worst(*mean, text.mean), kTolerance);
    options.pooling = Pooling::kFirst;
    const auto first = session_->Embed(text.tokens, options);
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_LE(Worst(*first, text.first), kTolerance);
    options.normalize = true;
    const auto unit = session_->Embed(text.tokens, options);
    ASSERT_TRUE(unit.ok()) << unit.status();
    EXPECT_NEAR(
        std::inner_product(unit->begin(), unit->end(), unit->begin(), 0.0), 1,
        1e-5);
  }
}

TEST_P(EncoderTest, HasNoLogits) {
  const auto session = model_->NewSession({});
  EXPECT_EQ(session.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(session.status().message(), "no logits"))
      << session.status();
}

TEST_P(EncoderTest, TakesWholeTextsOnly) {
  ASSERT_TRUE(session_->Decode(0, 5).ok());
  const auto second = session_->Decode(0, 6);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(second.status().message(), "one step"))
      << second.status();
  const std::vector<Token> long_text(129, 5);
  EXPECT_FALSE(session_->Embed(long_text).ok());
}

INSTANTIATE_TEST_SUITE_P(Packed, EncoderTest, testing::Bool());

class DecoderEmbedTest : public testing::Test {
 protected:
  void SetUp() override {
    auto model = Model::Load(TinyLlamaPath());
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
  }
  std::shared_ptr<const Model> model_;
  const std::vector<Token> tokens_ = {1, 5, 9, 7, 30};
};

TEST_F(DecoderEmbedTest, PoolsRows) {
  auto session = model_->NewSession(Options());
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ((*session)->row_size(), 32);
  const std::vector<float> rows = AllLogits(**session, tokens_);
  ASSERT_EQ(rows.size(), tokens_.size() * 32);
  EmbedOptions options;
  options.normalize = false;
  const auto last = (*session)->Embed(tokens_, options);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(*last, std::vector<float>(rows.end() - 32, rows.end()));
  options.pooling = Pooling::kMean;
  const auto mean = (*session)->Embed(tokens_, options);
  ASSERT_TRUE(mean.ok()) << mean.status();
  std::vector<float> want(32);
  for (size_t i = 0; i < 32; ++i) {
    for (size_t t = 0; t < tokens_.size(); ++t) want[i] += rows[t * 32 + i];
    want[i] /= static_cast<float>(tokens_.size());
  }
  EXPECT_LE(Worst(*mean, want), 1e-6f);  // sums in f32 here, in f64 there
}

TEST_F(DecoderEmbedTest, NeedsASessionForIt) {
  auto session = model_->NewSession({});
  ASSERT_TRUE(session.ok()) << session.status();
  const auto embedding = (*session)->Embed(tokens_);
  EXPECT_EQ(embedding.status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace weft::inline v0
