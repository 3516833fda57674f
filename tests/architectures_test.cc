// Every architecture, from file to logits against an independent engine: exact
// products of decoded weights and f32 activations.
#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "ops/work.h"
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
    "llama_rope3", "llama_linear", "llama_yarn", "mixtral",   "qwen2", "qwen3",
    "qwen3moe",    "gemma2",       "phi3",       "phi3_long", "gpt2",  "falcon",
    "starcoder2",  "olmo2",        "granite",    "mamba"};

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
  std::unique_ptr<Session> NewSession(int threads = 1,
                                      Numerics numerics = Numerics::kExact,
                                      int slots = 1) {
    SessionOptions options;
    options.numerics = numerics;
    options.slots = slots;
    options.context = golden_.context;
    options.logits_rows = golden_.context;
    options.kv_k = options.kv_v = DType::kF32;
    options.backend_options = {threads, GetParam().target};
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
  for (const Numerics numerics : {Numerics::kExact, Numerics::kFast}) {
    const auto session = NewSession(1, numerics);
    ASSERT_NE(session, nullptr);
    for (const PlannedStep& step : session->plan().steps) {
      EXPECT_FALSE(step.on_reference)
          << session->graph().Describe(session->graph().node(step.node));
      EXPECT_FALSE(absl::StartsWith(step.kernel, "dequant"));
    }
  }
}

// Two sequences whose tokens take turns in one step, whatever else differs.
TEST_P(ArchitectureTest, BitIdenticalForAnyChunkingThreadsAndCompany) {
  const std::vector<Token>& tokens = golden_.prompts[0].tokens;
  const std::vector<Token>& other = golden_.prompts[1].tokens;
  const auto alone = NewSession();
  ASSERT_NE(alone, nullptr);
  const std::vector<float> want = AllLogits(*alone, tokens, 1);
  const auto threaded = NewSession(3);
  EXPECT_EQ(AllLogits(*threaded, tokens, 7), want);
  const auto both = NewSession(2, Numerics::kExact, 2);
  std::vector<float> got;
  for (size_t i = 0; i < tokens.size(); i += 4) {
    std::vector<StepToken> batch;
    for (size_t j = i; j < std::min(tokens.size(), i + 4); ++j) {
      batch.push_back({tokens[j], 1, true});
      if (j < other.size()) batch.push_back({other[j], 0, false});
    }
    const auto logits = both->Step(batch);
    ASSERT_TRUE(logits.ok()) << logits.status();
    got.insert(got.end(), logits->begin(), logits->end());
  }
  EXPECT_EQ(got, want);
}

// A sequence that was cut back goes on as if the rest had never been.
TEST_P(ArchitectureTest, Truncates) {
  const std::vector<Token>& tokens = golden_.prompts[0].tokens;
  const auto session = NewSession();
  ASSERT_NE(session, nullptr);
  const std::vector<float> want = AllLogits(*session, tokens);
  ASSERT_TRUE(session->Decode(0, tokens[3]).ok());
  const bool rewinds = model_->architecture().rewinds;
  EXPECT_EQ(session->Truncate(0, 9), rewinds ? 9 : 0);
  const std::vector<Token> rest(
      tokens.begin() + static_cast<std::ptrdiff_t>(session->position(0)),
      tokens.end());
  const std::vector<float> got = AllLogits(*session, rest);
  ASSERT_LE(got.size(), want.size());
  EXPECT_TRUE(std::equal(got.rbegin(), got.rend(), want.rbegin()));
}

// A recurrent state has no place for a context.
TEST(Mamba, CostsTheSameAtAnyPosition) {
  const GoldenModel golden = LoadOpen("mamba", "");
  if (golden.prompts.empty())
    GTEST_SKIP() << "no reference values in " << WEFT_SHARED_DIR;
  LoadOptions load;
  load.tokenizer = false;
  const auto model = Model::Load(golden.path, load);
  ASSERT_TRUE(model.ok()) << model.status();
  SessionOptions small, large;
  small.context = small.batch = 64;
  large.context = 1 << 20;
  large.batch = 64;
  const auto a = (*model)->NewSession(small), b = (*model)->NewSession(large);
  ASSERT_TRUE(a.ok()) << a.status();
  ASSERT_TRUE(b.ok()) << b.status();
  EXPECT_EQ((*a)->plan().memory.state, (*b)->plan().memory.state);
  EXPECT_EQ((*a)->plan().memory.arena, (*b)->plan().memory.arena);
  const auto bytes = [&](int64_t position) {
    return WorkOfSteps((*b)->graph(), {{{"T", 1}, {"R", 1}}, position, 1})
        .bytes();
  };
  EXPECT_EQ(bytes(0), bytes(1 << 19));
}

INSTANTIATE_TEST_SUITE_P(Models, ArchitectureTest, testing::ValuesIn(Cases()),
                         [](const auto& test) {
                           return absl::StrCat(test.param.model, "_",
                                               test.param.target);
                         });

}  // namespace
}  // namespace weft::inline v0
