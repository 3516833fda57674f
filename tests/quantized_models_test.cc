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
    // A kind of tokenizer that is not there yet, which the prompts do not need.
    if (absl::StrContains(model.status().message(), "tokenizer.ggml.model"))
      GTEST_SKIP() << model.status();
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
  }
  std::unique_ptr<Session> NewSession() {
    SessionOptions options;
    options.numerics = Numerics::kExact;
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
