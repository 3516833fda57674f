// Small models of the llama architecture in every format that they come in,
// from file to logits against an independent engine: exact products of decoded
// weights and f32 activations.
#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "tests/golden.h"

namespace weft::inline v0 {
namespace {

// 3e-5 of it is the reference's own (README of the reference values); the rest
// is the order of sums on logits of order 10.
constexpr float kTolerance = 1e-3f;

struct Case {
  std::string model;
  std::string tag;  // "": as it is, f16
  std::string name() const {
    return tag.empty() ? model : absl::StrCat(model, "_", tag);
  }
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name(); }

std::vector<Case> Cases() {
  return {{"llama_gqa", ""},       {"llama_gqa", "q4_0"},
          {"llama_gqa", "q8_0"},   {"llama_gqa", "q2_k"},
          {"llama_gqa", "q3_k"},   {"llama_gqa", "q4_k"},
          {"llama_gqa", "q5_k"},   {"llama_gqa", "q6_k"},
          {"llama_gqa", "iq4_xs"}, {"llama_rope3", ""},
          {"llama_rope3", "q4_1"}, {"llama_rope3", "q5_0"},
          {"llama_rope3", "q5_1"}, {"llama_rope3", "iq4_nl"},
          {"llama_linear", ""},    {"llama_linear", "bf16"},
          {"llama_yarn", ""}};
}

class QuantizedModelTest
    : public testing::TestWithParam<std::tuple<Case, std::string>> {
 protected:
  void SetUp() override {
    const Case& c = std::get<0>(GetParam());
    golden_ = LoadOpen(c.model, c.tag);
    if (golden_.prompts.empty())
      GTEST_SKIP() << "no reference values in " << WEFT_SHARED_DIR;
    auto model = Model::Load(golden_.path);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
  }
  std::unique_ptr<Session> NewSession(Numerics numerics = Numerics::kExact) {
    SessionOptions options;
    options.numerics = numerics;
    options.context = golden_.context;
    options.logits_rows = golden_.context;
    options.kv_k = options.kv_v = DType::kF32;
    options.backend_options = {1, std::get<1>(GetParam())};
    auto session = model_->NewSession(options);
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }

  GoldenModel golden_;
  std::shared_ptr<const Model> model_;
};

TEST_P(QuantizedModelTest, LogitsEqualTheReference) {
  for (const GoldenPrompt& prompt : golden_.prompts) {
    const auto session = NewSession();
    ASSERT_NE(session, nullptr);
    const std::vector<float> logits = AllLogits(*session, prompt.tokens);
    ASSERT_EQ(logits.size(), prompt.logits.size());
    float worst = 0;
    for (size_t i = 0; i < logits.size(); ++i)
      worst = std::max(worst, std::abs(logits[i] - prompt.logits[i]));
    EXPECT_LE(worst, kTolerance) << prompt.name;
    RecordProperty("worst_" + prompt.name, absl::StrCat(worst));
  }
}

// Mean over tokens of the Kullback-Leibler divergence of softmax(q) from
// softmax(p); rows of n logits.
double MeanDivergence(const std::vector<float>& p, const std::vector<float>& q,
                      size_t n) {
  const auto log_sum = [n](const float* x) {
    const double largest = *std::max_element(x, x + n);
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += std::exp(x[i] - largest);
    return largest + std::log(sum);
  };
  double total = 0;
  for (size_t row = 0; row < p.size(); row += n) {
    const double p_sum = log_sum(&p[row]), q_sum = log_sum(&q[row]);
    for (size_t i = row; i < row + n; ++i)
      total += std::exp(p[i] - p_sum) * ((p[i] - p_sum) - (q[i] - q_sum));
  }
  return total * static_cast<double>(n) / static_cast<double>(p.size());
}

// Activations of 8 bits cost no more than those of the engine that made the
// reference, which rounds them too: in blocks of 256, or of 32 where the
// weights have those, as weft does.
TEST_P(QuantizedModelTest, FastNumericsStayCloseToExact) {
  const Case& c = std::get<0>(GetParam());
  const GoldenModel rounded = LoadOpen(c.model, c.tag, "file");
  const auto n = static_cast<size_t>(golden_.n_vocab);
  for (size_t i = 0; i < golden_.prompts.size(); ++i) {
    const GoldenPrompt& prompt = golden_.prompts[i];
    const auto session = NewSession(Numerics::kFast);
    ASSERT_NE(session, nullptr);
    const double ours =
        MeanDivergence(prompt.logits, AllLogits(*session, prompt.tokens), n);
    const double theirs =
        MeanDivergence(prompt.logits, rounded.prompts[i].logits, n);
    EXPECT_LE(ours, std::max(1e-3, 1.25 * theirs)) << prompt.name;
    RecordProperty("divergence_" + prompt.name,
                   absl::StrCat(ours, " against ", theirs));
  }
}

// A step of 8 tokens, each of a sequence of its own, takes other loops than one
// of one token does, and rows as stored others than packed ones.
TEST_P(QuantizedModelTest, EightSequencesHaveTheBitsOfEachAlone) {
  constexpr int kSequences = 8, kSteps = 3;
  const auto token = [&](int slot, int step) {
    return static_cast<Token>((37 * slot + 11 * step + 1) % golden_.n_vocab);
  };
  for (const bool packed : {false, true}) {
    SCOPED_TRACE(packed ? "packed" : "as stored");
    SessionOptions options;
    options.numerics = Numerics::kFast;
    options.context = 16;
    options.pack_weights = packed;
    options.backend_options = {2, std::get<1>(GetParam())};
    const auto alone = model_->NewSession(options);
    options.slots = options.logits_rows = kSequences;
    const auto together = model_->NewSession(options);
    ASSERT_TRUE(alone.ok()) << alone.status();
    ASSERT_TRUE(together.ok()) << together.status();
    std::vector<std::vector<float>> got(kSteps);
    for (int step = 0; step < kSteps; ++step) {
      std::vector<StepToken> batch;
      for (int slot = 0; slot < kSequences; ++slot)
        batch.push_back({token(slot, step), slot, true});
      const auto logits = (*together)->Step(batch);
      ASSERT_TRUE(logits.ok()) << logits.status();
      got[static_cast<size_t>(step)].assign(logits->begin(), logits->end());
    }
    for (const int slot : {0, 3, 7}) {
      (*alone)->Truncate(0, 0);
      for (int step = 0; step < kSteps; ++step) {
        const auto want = (*alone)->Decode(0, token(slot, step));
        ASSERT_TRUE(want.ok()) << want.status();
        const std::vector<float>& rows = got[static_cast<size_t>(step)];
        ASSERT_TRUE(std::equal(want->begin(), want->end(),
                               rows.begin() + slot * golden_.n_vocab))
            << "sequence " << slot << ", step " << step;
      }
    }
  }
}

// Matrices are multiplied as stored: each step has a kernel, and none expands
// a weight.
TEST_P(QuantizedModelTest, ReadsWeightsAsStored) {
  const auto session = NewSession();
  ASSERT_NE(session, nullptr);
  const std::string& tag = std::get<0>(GetParam()).tag;
  const std::string dtype = tag.empty() ? "f16" : tag;
  int products = 0;
  for (const PlannedStep& step : session->plan().steps) {
    EXPECT_FALSE(step.on_reference)
        << session->graph().Describe(session->graph().node(step.node));
    EXPECT_FALSE(absl::StartsWith(step.kernel, "dequant"));
    products += step.kernel == absl::StrCat("qmatmul.", dtype);
  }
  EXPECT_GE(products, 8);  // 7 in a layer, and the output head
}

// Under an emulator one instruction set has to do: these models take a minute
// each there, and stories_test and kernel_test run on all of them.
std::vector<std::string> Targets() {
  std::vector<std::string> targets = (*MakeBackend("cpu"))->Targets();
  if (!absl::string_view(WEFT_EMULATOR).empty())
    targets.erase(targets.begin(), targets.end() - 1);
  return targets;
}

INSTANTIATE_TEST_SUITE_P(Models, QuantizedModelTest,
                         testing::Combine(testing::ValuesIn(Cases()),
                                          testing::ValuesIn(Targets())),
                         [](const auto& test) {
                           return absl::StrCat(std::get<0>(test.param).name(),
                                               "_", std::get<1>(test.param));
                         });

}  // namespace
}  // namespace weft::inline v0
