// Each sampler against a distribution worked out by hand, their order, and the
// random choices of mirostat.
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/sampler.h"
#include "tests/spm_vocab.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();

SamplerOptions Plain() {
  return {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0};
}

Sampler Make(const SamplerOptions& options) {
  auto sampler = Sampler::Make(options);
  EXPECT_TRUE(sampler.ok()) << sampler.status();
  return *std::move(sampler);
}

std::vector<float> Logits(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities)
    logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

// The share of each token in many draws: within 0.02 of its probability but
// for one run in 10^8 (four sigma of 10,000 draws, five tokens).
std::vector<double> Shares(Sampler sampler, const std::vector<float>& logits) {
  constexpr int kDraws = 10'000;
  std::vector<double> shares(logits.size());
  for (int i = 0; i < kDraws; ++i)
    shares[static_cast<size_t>(sampler.Sample(logits).value())] += 1.0 / kDraws;
  return shares;
}

void ExpectShares(const SamplerOptions& options,
                  const std::vector<float>& logits,
                  const std::vector<double>& want) {
  const std::vector<double> shares = Shares(Make(options), logits);
  for (size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(shares[i], want[i], want[i] == 0 ? 0 : 0.02) << "token " << i;
}

// ln 2 as a bias doubles the odds.
TEST(SamplerChain, LogitBias) {
  SamplerOptions options = Plain();
  options.logit_bias = {{1, std::log(2.0f)}, {2, -kInf}, {99, 5}};
  ExpectShares(options, {0, 0, 9, 0}, {0.25, 0.5, 0, 0.25});
  options.logit_bias = {{0, -kInf}, {1, -kInf}};
  EXPECT_THAT(Make(options).Sample({1, 2}).status().message(),
              HasSubstr("logit_bias forbids all"));
  EXPECT_EQ(Make(options).Sample({kInf, 2, 0}).value(), 2);
}

// Token 0 came twice and token 1 once: 4/2 - 2*0.5 - 0.25, -1*2 - 0.5 - 0.25.
TEST(SamplerChain, Penalties) {
  SamplerOptions options = Plain();
  options.repeat_penalty = 2;
  options.frequency_penalty = 0.5f;
  options.presence_penalty = 0.25f;
  Sampler sampler = Make(options);
  for (const Token token : {0, 1, 0}) sampler.Accept(token);
  const double w[] = {std::exp(0.75), std::exp(-2.75), std::exp(0.5)};
  const double sum = w[0] + w[1] + w[2];
  const std::vector<double> shares = Shares(sampler, {4, -1, 0.5f});
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(shares[i], w[i] / sum, 0.02) << i;
}

// p = 0.4, 0.3, 0.2, 0.1: the entropy is 1.280 nats, the surprises 0.916,
// 1.204, 1.609, 2.303; so by distance 1 (0.076), 2 (0.329), 0 (0.364), 3.
TEST(SamplerChain, TypicalP) {
  const std::vector<float> logits = Logits({0.4, 0.3, 0.2, 0.1});
  SamplerOptions options = Plain();
  options.typical_p = 0.29f;
  ExpectShares(options, logits, {0, 1, 0, 0});
  options.typical_p = 0.45f;
  ExpectShares(options, logits, {0, 0.6, 0.4, 0});
  options.typical_p = 0.8f;
  ExpectShares(options, logits, {4.0 / 9, 3.0 / 9, 2.0 / 9, 0});
}

// Logits 3, 1, 1, -1: mean 1, standard deviation sqrt(2).
TEST(SamplerChain, TopNSigma) {
  SamplerOptions options = Plain();
  options.top_n_sigma = 1.4f;
  ExpectShares(options, {3, 1, 1, -1}, {1, 0, 0, 0});
  options.top_n_sigma = 1.5f;
  const double sum = std::exp(3) + 2 * std::exp(1);
  ExpectShares(options, {3, 1, 1, -1},
               {std::exp(3) / sum, std::exp(1) / sum, std::exp(1) / sum, 0});
}

// Of those with 0.2 or more, the least likely stays.
TEST(SamplerChain, Xtc) {
  const std::vector<float> logits = Logits({0.4, 0.1, 0.3, 0.2});
  SamplerOptions options = Plain();
  options.xtc_probability = 1;
  options.xtc_threshold = 0.19f;
  ExpectShares(options, logits, {0, 1.0 / 3, 0, 2.0 / 3});
  options.xtc_threshold = 0.35f;  // a single top choice stays
  ExpectShares(options, logits, {0.4, 0.1, 0.3, 0.2});
  options.xtc_threshold = 0.19f;
  options.xtc_probability = 0.5f;
  ExpectShares(options, logits, {0.2, 0.05 + 1.0 / 6, 0.15, 0.1 + 1.0 / 3});
}

// Two equal tokens have all of the entropy that two can have: temperature
// 1 + 0.5; against a sure one it is 1 - 0.5.
TEST(SamplerChain, DynamicTemperature) {
  SamplerOptions options = Plain();
  options.dynatemp_range = 0.5f;
  ExpectShares(options, {1, 1}, {0.5, 0.5});
  // The share of entropy of (0.9, 0.1) is 0.469: temperature 0.969.
  const double t = 0.5 + 0.46899559;
  const double w = std::pow(9, 1 / t);
  ExpectShares(options, Logits({0.9, 0.1}), {w / (w + 1), 1 / (w + 1)});
  options.dynatemp_exponent = 2;
  const double t2 = 0.5 + 0.46899559 * 0.46899559;
  const double w2 = std::pow(9, 1 / t2);
  ExpectShares(options, Logits({0.9, 0.1}), {w2 / (w2 + 1), 1 / (w2 + 1)});
}

// min_p before the temperature keeps one token, after it all of them.
TEST(SamplerChain, TheCallersOrder) {
  SamplerOptions options = Plain();
  options.min_p = 0.5f;
  options.temperature = 10;
  const std::vector<float> logits = Logits({0.6, 0.2, 0.2});
  options.chain = {SamplerStep::kMinP, SamplerStep::kTemperature};
  ExpectShares(options, logits, {1, 0, 0});
  options.chain = {SamplerStep::kTemperature, SamplerStep::kMinP};
  const double w = std::pow(3, 0.1);
  ExpectShares(options, logits, {w / (w + 2), 1 / (w + 2), 1 / (w + 2)});
  // What is not listed is not done.
  options.chain = {SamplerStep::kTopK};
  ExpectShares(options, logits, {0.6, 0.2, 0.2});
}

TEST(SamplerChain, NamesOfSteps) {
  const auto chain = ParseSamplerChain("temperature;typ_p; dry");
  ASSERT_FALSE(chain.ok());
  EXPECT_THAT(chain.status().message(), HasSubstr("there is no sampler"));
  EXPECT_EQ(FormatSamplerChain(*ParseSamplerChain("temperature;typ_p;dry")),
            "temperature;typ_p;dry");
  EXPECT_THAT(ParseSamplerChain("top_k;top_k").status().message(),
              HasSubstr("top_k twice"));
  EXPECT_EQ(FormatSamplerChain(SamplerOptions().chain),
            "logit_bias;grammar;penalties;dry;top_n_sigma;top_k;typ_p;top_p;"
            "min_p;xtc;temperature");
}

TEST(SamplerChain, TextsOfBiases) {
  const auto biases = ParseLogitBias("15043+1.5,29871-inf,7-2");
  ASSERT_TRUE(biases.ok()) << biases.status();
  EXPECT_EQ((*biases)[0].token, 15043);
  EXPECT_EQ((*biases)[0].bias, 1.5f);
  EXPECT_EQ((*biases)[1].bias, -kInf);
  EXPECT_EQ((*biases)[2].bias, -2);
  for (const char* bad : {"15043", "x+1", "1+", "1+nan", "1+inf", "-1+1",
                          "1+1,1+2", "99999999999+1"})
    EXPECT_FALSE(ParseLogitBias(bad).ok()) << bad;
}

// ---- DRY ----

// "a b c d" came before and "a b c" again: d goes on with a repetition of 3, so
// it is penalised by 0.5 * 2^(3 - 2); b would go on with one of 0.
TEST(SamplerDry, PenalizesWhatGoesOn) {
  SamplerOptions options = {.temperature = 0};
  options.dry_multiplier = 0.5f;
  options.dry_base = 2;
  Sampler sampler = Make(options);
  for (const Token token : {0, 1, 2, 3, 9, 0, 1, 2}) sampler.Accept(token);
  EXPECT_EQ(sampler.Sample({0, 0, 0, 1.01f, 0}).value(), 3);
  EXPECT_EQ(sampler.Sample({0, 0.1f, 0, 0.99f, 0}).value(), 1);
  // Shorter than allowed.
  options.dry_allowed_length = 4;
  Sampler patient = Make(options);
  for (const Token token : {0, 1, 2, 3, 9, 0, 1, 2}) patient.Accept(token);
  EXPECT_EQ(patient.Sample({0, 0, 0, 0.1f, 0}).value(), 3);
  // Beyond the window.
  options.dry_allowed_length = 2;
  options.dry_penalty_last_n = 4;
  Sampler narrow = Make(options);
  for (const Token token : {0, 1, 2, 3, 9, 0, 1, 2}) narrow.Accept(token);
  EXPECT_EQ(narrow.Sample({0, 0, 0, 0.1f, 0}).value(), 3);
}

// A long repetition's penalty is no infinity, and its time is linear.
TEST(SamplerDry, LongRepetitions) {
  SamplerOptions options = {.temperature = 0};
  options.dry_multiplier = 1000;
  options.dry_base = 100;
  Sampler sampler = Make(options);
  for (int i = 0; i < 100'000; ++i) sampler.Accept(7);
  std::vector<float> logits(10, 0.0f);
  logits[7] = 1e30f;
  EXPECT_NE(sampler.Sample(logits).value(), 7);
}

TEST(SamplerDry, ABreakerEndsASequence) {
  const auto tokenizer = MakeTokenizer(SmallSpmVocab().Spec());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto pieces = std::make_shared<const TokenPieces>(**tokenizer);
  const auto encode = [&](absl::string_view text) {
    return (*tokenizer)->Encode(text, {}).value();
  };
  SamplerOptions options = {.temperature = 0};
  options.dry_multiplier = 1;
  const auto after = [&](absl::string_view text, absl::string_view next) {
    Sampler sampler = Sampler::Make(options, pieces).value();
    for (const Token token : encode(text)) sampler.Observe(token);
    std::vector<float> logits(static_cast<size_t>(pieces->size()), 0.0f);
    const Token token = encode(next).back();
    logits[static_cast<size_t>(token)] = 0.5f;
    return sampler.Sample(logits).value() == token;
  };
  options.dry_sequence_breakers = {"*"};
  EXPECT_FALSE(after("qwertyqwert", "y"));
  options.dry_sequence_breakers = {"t"};
  EXPECT_TRUE(after("qwertyqwert", "y"));
  options.dry_sequence_breakers = {"er"};  // across tokens
  EXPECT_TRUE(after("qwertyqwer", "t"));
  EXPECT_TRUE(after("qwertyqwert", "y"));
}

// ---- Mirostat ----

// Version 2 leaves out what is more surprising than mu = 2 tau bits, and moves
// mu by eta of the error.
TEST(SamplerMirostat, TwoLeavesOutTheSurprising) {
  SamplerOptions options = Plain();
  options.mirostat = 2;
  options.mirostat_tau = 1;  // at first 2 bits: 0.25 or more
  options.mirostat_eta = 0;
  const std::vector<float> logits = Logits({0.5, 0.26, 0.14, 0.1});
  ExpectShares(options, logits, {0.5 / 0.76, 0.26 / 0.76, 0, 0});
  // A sure token surprises by nothing: mu grows until all tokens stay.
  options.mirostat_eta = 1;
  Sampler sampler = Make(options);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(sampler.Sample({0.0f}).ok());
  std::set<Token> drawn;
  for (int i = 0; i < 1000; ++i) {
    Sampler copy = sampler;
    copy.Sample(logits).IgnoreError();
    drawn.insert(sampler.Sample(logits).value());
  }
  EXPECT_EQ(drawn.size(), 4u);
}

std::vector<double> Zipf(size_t n) {
  std::vector<double> p(n);
  double sum = 0;
  for (size_t i = 0; i < n; ++i)
    sum += p[i] = 1.0 / (static_cast<double>(i) + 1);
  for (double& x : p) x /= sum;
  return p;
}

// The rule worked out beside it: every token is one of those that it leaves,
// and their surprise among these is tau on average.
TEST(SamplerMirostat, TwoKeepsTheSurprise) {
  const std::vector<double> p = Zipf(500);
  const std::vector<float> logits = Logits(p);
  SamplerOptions options = Plain();
  options.mirostat = 2;
  options.mirostat_tau = 4;
  Sampler sampler = Make(options);
  double mu = 8, total = 0;
  constexpr int kTokens = 1000;
  for (int i = 0; i < kTokens; ++i) {
    double left = 0;
    for (const double x : p) left += x >= std::exp2(-mu) ? x : 0;
    const double drawn = p[static_cast<size_t>(sampler.Sample(logits).value())];
    ASSERT_GE(drawn, std::exp2(-mu) * (1 - 1e-6)) << i;  // logits are f32
    const double surprise = -std::log2(drawn / left);
    total += surprise;
    mu -= 0.1 * (surprise - 4);
  }
  // mu moved by less than 4 in all: 4 / (0.1 * 1000).
  EXPECT_NEAR(total / kTokens, 4, 0.04);
}

// The estimate of version 1 is rough: that of a text is what counts.
TEST(SamplerMirostat, OneFollowsTau) {
  const std::vector<double> p = Zipf(500);
  const std::vector<float> logits = Logits(p);
  double last = 0;
  for (const float tau : {2.0f, 3.0f, 4.0f}) {
    SamplerOptions options = Plain();
    options.mirostat = 1;
    options.mirostat_tau = tau;
    Sampler sampler = Make(options);
    double surprise = 0;
    constexpr int kTokens = 500;
    for (int i = 0; i < kTokens; ++i)
      surprise -=
          std::log2(p[static_cast<size_t>(sampler.Sample(logits).value())]) /
          kTokens;
    // Among all tokens it is more than among those that were left.
    EXPECT_GT(surprise, tau - 0.2);
    EXPECT_GT(surprise, last + 0.3);
    EXPECT_LT(surprise, tau + 3);
    last = surprise;
  }
}

TEST(SamplerMirostat, TemperatureZeroIsGreedy) {
  SamplerOptions options = {.temperature = 0};
  options.mirostat = 1;
  EXPECT_EQ(Make(options).Sample({1, 3, 2}).value(), 1);
}

}  // namespace
}  // namespace weft
