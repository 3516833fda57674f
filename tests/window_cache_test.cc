// Caches of sliding windows: rings, which give the bits of the whole cache.
#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "models/engine.h"
#include "tests/gguf_builder.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kWindow = 24, kBatch = 40;
// Of the tests below: a ring of 128 positions turns around four times.
constexpr int64_t kContext = 512;

// Noise in [-1, 1).
void Fill(GgufTensorSpec& tensor, std::mt19937& random, float scale) {
  std::string data;
  for (size_t i = 0; i < tensor.data.size(); i += 4)
    data +=
        LittleEndian(scale * (static_cast<float>(random() % 2048) / 1024 - 1));
  tensor.data = data;
}

// A gemma2 of two layers, of which the first has a window.
std::string ModelPath() {
  static const std::string path = [] {
    GgufSpec spec;
    const auto size = [&](const std::string& key, uint32_t value) {
      spec.Scalar<uint32_t>("gemma2." + key, GgufType::kUint32, value);
    };
    spec.String("general.architecture", "gemma2");
    size("block_count", 2);
    size("context_length", kContext);
    size("embedding_length", 32);
    size("feed_forward_length", 48);
    size("attention.head_count", 4);
    size("attention.head_count_kv", 2);
    size("attention.sliding_window", kWindow);
    spec.Scalar<float>("gemma2.attention.layer_norm_rms_epsilon",
                       GgufType::kFloat32, 1e-6f);
    const auto tensor = [&](const std::string& name,
                            std::vector<uint64_t> dims) {
      spec.Tensor(name, DType::kF32, {dims.rbegin(), dims.rend()});
    };
    tensor("token_embd.weight", {40, 32});
    tensor("output_norm.weight", {32});
    for (const std::string layer : {"blk.0.", "blk.1."}) {
      for (const char* norm :
           {"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"})
        tensor(layer + norm + ".weight", {32});
      tensor(layer + "attn_q.weight", {32, 32});
      tensor(layer + "attn_k.weight", {16, 32});
      tensor(layer + "attn_v.weight", {16, 32});
      tensor(layer + "attn_output.weight", {32, 32});
      tensor(layer + "ffn_gate.weight", {48, 32});
      tensor(layer + "ffn_up.weight", {48, 32});
      tensor(layer + "ffn_down.weight", {32, 48});
    }
    std::mt19937 random(1);
    for (GgufTensorSpec& t : spec.tensors) Fill(t, random, 1.0f);
    const std::string to = ScratchPath("window.gguf");
    WriteBytes(to, spec.Build());
    return to;
  }();
  return path;
}

std::vector<Token> Tokens(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Token> tokens(n);
  for (Token& token : tokens) token = static_cast<Token>(random() % 40);
  return tokens;
}

class WindowCache : public testing::TestWithParam<DType> {
 protected:
  // The ring is as large as the context where `batch` is.
  std::unique_ptr<Session> NewSession(int64_t batch, int slots = 1) {
    LoadOptions load;
    load.tokenizer = false;
    const auto model = Model::Load(ModelPath(), load);
    EXPECT_TRUE(model.ok()) << model.status();
    SessionOptions options;
    options.context = kContext;
    options.batch = options.logits_rows = batch;
    options.slots = slots;
    options.kv_k = options.kv_v = GetParam();
    options.backend_options.threads = 2;
    auto session = (*model)->NewSession(options);
    EXPECT_TRUE(session.ok()) << session.status();
    return *std::move(session);
  }
  // Logits of all tokens in steps of `chunk`.
  static std::vector<float> Run(Session& session, int slot,
                                absl::Span<const Token> tokens, int64_t chunk) {
    std::vector<float> all;
    PrefillOptions options;
    options.chunk = chunk;
    options.on_logits = [&](int64_t, absl::Span<const float> row) {
      all.insert(all.end(), row.begin(), row.end());
    };
    const absl::Status status = session.Prefill(slot, tokens, options).status();
    EXPECT_TRUE(status.ok()) << status;
    return all;
  }
};

TEST_P(WindowCache, TakesLessAndGivesTheSameBits) {
  const auto whole = NewSession(kContext), ring = NewSession(kBatch);
  EXPECT_EQ(whole->plan().rewind, kNoRewindLimit);
  EXPECT_GE(ring->plan().rewind, kBatch);
  // 128 positions of one layer, 512 of the other.
  EXPECT_LT(ring->plan().memory.state, whole->plan().memory.state * 2 / 3);
  const std::vector<Token> tokens = Tokens(kContext, 2);
  const std::vector<float> want = Run(*whole, 0, tokens, 0);
  for (const int64_t chunk : {kBatch, int64_t{1}, int64_t{7}}) {
    ring->Truncate(0, 0);
    EXPECT_EQ(Run(*ring, 0, tokens, chunk), want) << chunk;
  }
}

TEST_P(WindowCache, SlotsShareSteps) {
  const auto whole = NewSession(kContext), ring = NewSession(kBatch, 2);
  const std::vector<Token> a = Tokens(300, 3), b = Tokens(300, 4);
  const std::vector<float> want = Run(*whole, 0, a, 0);
  std::vector<float> got;
  for (size_t i = 0; i < a.size(); i += 20) {
    std::vector<StepToken> step;
    for (size_t j = i; j < i + 20; ++j) {
      step.push_back({b[j], 0, false});
      step.push_back({a[j], 1, true});
    }
    const auto logits = ring->Step(step);
    ASSERT_TRUE(logits.ok()) << logits.status();
    got.insert(got.end(), logits->begin(), logits->end());
  }
  EXPECT_EQ(got, want);
}

TEST_P(WindowCache, SequencesAreForkedAndRestored) {
  const auto ring = NewSession(kBatch, 2), whole = NewSession(kContext);
  const std::vector<Token> tokens = Tokens(360, 7);
  const auto all = absl::MakeConstSpan(tokens);
  Run(*ring, 0, all.first(300), kBatch);
  std::vector<std::byte> state(static_cast<size_t>(ring->StateBytes(0)));
  ASSERT_TRUE(ring->SaveState(0, absl::MakeSpan(state)).ok());
  ASSERT_TRUE(ring->Fork(0, 1).ok());
  const std::vector<float> want = Run(*ring, 0, all.subspan(300), kBatch);
  EXPECT_EQ(Run(*ring, 1, all.subspan(300), 7), want) << "forked";
  ASSERT_TRUE(ring->RestoreState(1, state).ok());
  EXPECT_EQ(Run(*ring, 1, all.subspan(300), 1), want) << "restored";
  ASSERT_TRUE(ring->RestoreState(1, state).ok());
  EXPECT_EQ(ring->Truncate(1, 299), 0) << "what lay before may be gone";
  // It would take rows for kept that the ring has overwritten.
  EXPECT_TRUE(absl::IsInvalidArgument(whole->RestoreState(0, state)));
}

TEST_P(WindowCache, RewindsAsFarAsTheRingHolds) {
  const auto whole = NewSession(kContext), ring = NewSession(kBatch);
  const std::vector<Token> tokens = Tokens(400, 5), other = Tokens(60, 6);
  const auto rest = absl::MakeConstSpan(tokens);
  Run(*ring, 0, rest.first(300), kBatch);
  const int64_t rewind = ring->plan().rewind;
  // Twice, since what was written counts, not where the sequence ends.
  ASSERT_EQ(ring->Truncate(0, 300 - rewind + 5), 300 - rewind + 5);
  ASSERT_EQ(ring->Truncate(0, 300 - rewind), 300 - rewind);
  const auto from = static_cast<size_t>(300 - rewind);
  std::vector<Token> mixed(tokens.begin(),
                           tokens.begin() + static_cast<std::ptrdiff_t>(from));
  mixed.insert(mixed.end(), other.begin(), other.end());
  const std::vector<float> want = Run(*whole, 0, mixed, 0);
  const std::vector<float> got = Run(*ring, 0, other, 13);
  ASSERT_LT(got.size(), want.size());
  EXPECT_TRUE(std::equal(got.rbegin(), got.rend(), want.rbegin()));
  // One more and all is forgotten.
  EXPECT_EQ(ring->Truncate(0, 300 - rewind - 1), 0);
  whole->Truncate(0, 0);
  EXPECT_EQ(Run(*ring, 0, rest, kBatch), Run(*whole, 0, rest, 0));
}

// What a step wrote that was taken back, or that failed after it wrote.
TEST_P(WindowCache, GoesOnBehindAStepThatDoesNotCount) {
  const auto whole = NewSession(kContext), ring = NewSession(kBatch);
  const std::vector<Token> tokens = Tokens(400, 7);
  const auto all = absl::MakeConstSpan(tokens);
  const std::vector<float> want = Run(*whole, 0, all, 0);
  Run(*ring, 0, all.first(350), kBatch);
  const std::vector<Token> other = Tokens(kBatch, 8);
  std::vector<StepToken> step;
  for (const Token token : other) step.push_back({token, 0, false});
  ASSERT_TRUE(ring->Step(step).ok());
  ASSERT_EQ(ring->Truncate(0, 350), 350);
  const std::vector<float> got = Run(*ring, 0, all.subspan(350), 3);
  EXPECT_TRUE(std::equal(got.rbegin(), got.rend(), want.rbegin()));
}

// An emulator takes a minute for each.
constexpr bool kEmulated = sizeof(WEFT_EMULATOR) > 1;
INSTANTIATE_TEST_SUITE_P(
    Formats, WindowCache,
    testing::ValuesIn(kEmulated ? std::vector<DType>{DType::kF16}
                                : std::vector<DType>{DType::kF32, DType::kF16,
                                                     DType::kQ8_0}),
    [](const auto& test) { return std::string(Name(test.param)); });

TEST(WindowCachePlan, ShowsIt) {
  const ToolResult plan = RunTool(
      "graph-dump",
      {"--model=" + ModelPath(), "--plan", "--context=512", "--batch=40"});
  ExpectSuccess(plan);
  EXPECT_PRED2(Says, plan.out, "2 caches keep a window");
}

}  // namespace
}  // namespace weft::inline v0
