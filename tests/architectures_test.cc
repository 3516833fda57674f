// Every architecture, from file to logits against an independent engine: exact
// products of decoded weights and f32 activations.
#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

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
  std::string target;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.model << " on " << c.target;
}

// The quantised forms of the llamas stand in quantized_models_test. Models that
// run on every instruction set come first; under an emulator they are all.
const char* const kEverywhere[] = {"gemma3", "deepseek2", "gpt_oss"};
const char* const kOnce[] = {
    "llama_rope3", "llama_linear", "llama_yarn", "mixtral",    "qwen2",
    "qwen3",       "qwen3moe",     "gemma2",     "phi3",       "phi3_long",
    "gpt2",        "falcon",       "starcoder2", "olmo2",      "granite",
    "mamba"};

std::vector<Case> Cases() {
  const std::vector<std::string> targets = (*MakeBackend("cpu"))->Targets();
  const bool emulated = !absl::string_view(WEFT_EMULATOR).empty();
  std::vector<Case> cases;
  for (const char* model : kEverywhere)
    for (const std::string& target : targets)
      if (!emulated || target == targets.back())
        cases.push_back({model, target});
  if (!emulated)
    for (const char* model : kOnce) cases.push_back({model, targets.front()});
  return cases;
}

Token ArgMax(absl::Span<const float> logits) {
  return static_cast<Token>(std::max_element(logits.begin(), logits.end()) -
                            logits.begin());
}

class ArchitectureTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    golden_ = LoadOpen(GetParam().model, "");
    if (golden_.prompts.empty())
      GTEST_SKIP() << "no reference values in " << WEFT_SHARED_DIR;
    LoadOptions options;
    options.tokenizer = false;
    auto model = Model::Load(golden_.path, options);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
  }
  std::unique_ptr<Session> NewSession() {
    SessionOptions options;
    options.numerics = Numerics::kExact;
    options.context = golden_.context;
    options.logits_rows = golden_.context;
    options.kv_k = options.kv_v = DType::kF32;
    options.backend_options = {1, GetParam().target};
    auto session = model_->NewSession(options);
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }

  GoldenModel golden_;
  std::shared_ptr<const Model> model_;
};

// In one step and token by token: windows and caches matter in the second.
TEST_P(ArchitectureTest, LogitsEqualTheReference) {
  for (const GoldenPrompt& prompt : golden_.prompts)
    for (const int64_t chunk : {0, 5}) {
      const auto session = NewSession();
      ASSERT_NE(session, nullptr);
      const std::vector<float> logits =
          AllLogits(*session, prompt.tokens, chunk);
      ASSERT_EQ(logits.size(), prompt.logits.size());
      float worst = 0;
      for (size_t i = 0; i < logits.size(); ++i)
        worst = std::max(worst, std::abs(logits[i] - prompt.logits[i]));
      EXPECT_LE(worst, kTolerance) << prompt.name << " in chunks of " << chunk;
      RecordProperty("worst_" + prompt.name, absl::StrCat(worst));
    }
}

TEST_P(ArchitectureTest, GreedyTokensEqualTheReference) {
  for (const GoldenPrompt& prompt : golden_.prompts) {
    const auto session = NewSession();
    ASSERT_NE(session, nullptr);
    auto logits = session->Prefill(0, prompt.tokens);
    for (size_t i = 0; i < prompt.greedy.size(); ++i) {
      ASSERT_TRUE(logits.ok()) << logits.status();
      // Two tokens closer than the tolerance may change places.
      if (prompt.greedy_margin[i] <= 2 * kTolerance) break;
      const Token token = ArgMax(*logits);
      ASSERT_EQ(token, prompt.greedy[i]) << prompt.name << " token " << i;
      logits = session->Decode(0, token);
    }
  }
}

// Expectations were checked when the session was made.
TEST_P(ArchitectureTest, EveryStepHasAKernel) {
  const auto session = NewSession();
  ASSERT_NE(session, nullptr);
  for (const PlannedStep& step : session->plan().steps)
    EXPECT_FALSE(step.on_reference)
        << session->graph().Describe(session->graph().node(step.node));
}

INSTANTIATE_TEST_SUITE_P(Models, ArchitectureTest, testing::ValuesIn(Cases()),
                         [](const auto& test) {
                           return absl::StrCat(test.param.model, "_",
                                               test.param.target);
                         });

}  // namespace
}  // namespace weft::inline v0
