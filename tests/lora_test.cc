// Adapters: against a model into whose weights they were merged, and broken
// ones.
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/encode_row.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "tests/gguf_builder.h"
#include "tests/small_models.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

constexpr uint64_t kRank = 32;  // a q8_0 row needs so many
constexpr float kAlpha = 16, kScale = 0.75f;

GgufTensorSpec& Find(GgufSpec& spec, const std::string& name) {
  for (GgufTensorSpec& tensor : spec.tensors)
    if (tensor.name == name) return tensor;
  ADD_FAILURE() << "no tensor " << name;
  return spec.tensors.front();
}

std::vector<float> ValuesOf(const GgufTensorSpec& tensor) {
  const DTypeInfo& info = Info(static_cast<DType>(tensor.type));
  const auto blocks =
      static_cast<int64_t>(tensor.data.size()) / info.block_bytes;
  std::vector<float> values(static_cast<size_t>(blocks * info.block_values));
  info.decode(reinterpret_cast<const std::byte*>(tensor.data.data()), blocks,
              values.data());
  return values;
}

void SetValues(GgufTensorSpec& tensor, DType type,
               const std::vector<float>& values) {
  tensor.type = static_cast<uint32_t>(type);
  const auto columns = static_cast<int64_t>(tensor.dims[0]);
  const auto bytes = static_cast<size_t>(*PaddedRowBytes(type, columns));
  tensor.data.assign(values.size() / tensor.dims[0] * bytes, '\0');
  for (size_t row = 0; row * tensor.dims[0] < values.size(); ++row)
    EncodeRow(type, &values[row * tensor.dims[0]], columns,
              reinterpret_cast<std::byte*>(&tensor.data[row * bytes]));
}

std::vector<float> Noise(size_t n, float scale, std::mt19937& random) {
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(n);
  for (float& v : values) v = normal(random);
  return values;
}

// The tiny llama with an output of its own.
GgufSpec Base(DType type) {
  GgufSpec spec = TinyLlama();
  GgufTensorSpec output = Find(spec, "token_embd.weight");
  output.name = "output.weight";
  spec.tensors.push_back(output);
  for (GgufTensorSpec& tensor : spec.tensors)
    if (tensor.dims.size() > 1) SetValues(tensor, type, ValuesOf(tensor));
  return spec;
}

GgufSpec EmptyAdapter() {
  GgufSpec spec;
  spec.String("general.architecture", "llama")
      .String("general.type", "adapter")
      .String("adapter.type", "lora")
      .Scalar("adapter.lora.alpha", GgufType::kFloat32, kAlpha);
  return spec;
}

// Adds the halves for a weight of these dims, fastest first.
void AddPair(GgufSpec& adapter, const GgufTensorSpec& weight, DType type,
             std::mt19937& random) {
  std::vector<uint64_t> a = weight.dims, b = weight.dims;
  if (weight.name == "token_embd.weight") {
    a = {kRank, weight.dims[1]};
    b = {kRank, weight.dims[0]};
  } else {
    a[1] = kRank;
    b[0] = kRank;
  }
  for (const bool is_a : {true, false}) {
    adapter.Tensor(weight.name + (is_a ? ".lora_a" : ".lora_b"), DType::kF32,
                   is_a ? a : b);
    GgufTensorSpec& half = adapter.tensors.back();
    SetValues(half, type, Noise(half.data.size() / 4, 0.2f, random));
  }
}

// Adds scale * alpha / r * B A to the weights.
void Merge(GgufSpec& model, GgufSpec& adapter, float scale) {
  const float factor = scale * kAlpha / static_cast<float>(kRank);
  for (GgufTensorSpec& weight : model.tensors) {
    bool adapted = false;
    for (const auto& t : adapter.tensors)
      adapted |= t.name == weight.name + ".lora_a";
    if (!adapted) continue;
    std::vector<float> w = ValuesOf(weight);
    const auto a = ValuesOf(Find(adapter, weight.name + ".lora_a"));
    const auto b = ValuesOf(Find(adapter, weight.name + ".lora_b"));
    const size_t k = weight.dims[0], n = weight.dims[1];
    const bool table = weight.name == "token_embd.weight";
    for (size_t i = 0; i < w.size(); ++i) {
      const size_t column = i % k, row = i / k % n, expert = i / k / n;
      double sum = 0;
      for (size_t j = 0; j < kRank; ++j)
        sum += table
                   ? static_cast<double>(a[row * kRank + j]) *
                         b[column * kRank + j]
                   : static_cast<double>(a[(expert * kRank + j) * k + column]) *
                         b[(expert * n + row) * kRank + j];
      w[i] += factor * static_cast<float>(sum);
    }
    SetValues(weight, DType::kF32, w);
  }
}

SessionOptions Scaled(std::vector<float> scales) {
  SessionOptions options;
  options.adapter_scales = std::move(scales);
  return options;
}

std::string Save(const GgufSpec& spec, const std::string& name) {
  WriteBytes(ScratchPath(name), spec.Build());
  return ScratchPath(name);
}

std::vector<float> LogitsOf(const std::string& path, LoadOptions load = {},
                            SessionOptions options = {}) {
  load.tokenizer = false;
  const auto model = Model::Load(path, load);
  if (!model.ok()) return ADD_FAILURE() << model.status(), std::vector<float>();
  options.numerics = Numerics::kExact;
  options.kv_k = options.kv_v = DType::kF32;
  options.backend_options.threads = 1;
  options.logits_rows = 4;
  const auto session = (*model)->NewSession(options);
  if (!session.ok())
    return ADD_FAILURE() << session.status(), std::vector<float>();
  std::vector<float> all;
  PrefillOptions prefill;
  prefill.on_logits = [&](int64_t, absl::Span<const float> row) {
    all.insert(all.end(), row.begin(), row.end());
  };
  const std::vector<Token> tokens = {1, 5, 7, 3};
  EXPECT_TRUE((*session)->Prefill(0, tokens, prefill).ok());
  return all;
}

// Sums of 32 products in another order, on logits of order 1.
constexpr float kTolerance = 1e-4f;

void ExpectNear(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  float worst = 0, spread = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
    spread = std::max(spread, std::abs(b[i]));
  }
  EXPECT_LE(worst, kTolerance * std::max(1.0f, spread));
}

struct Formats {
  DType base, adapter;
};
class LoraTest : public testing::TestWithParam<Formats> {};

TEST_P(LoraTest, EqualsMergedWeights) {
  std::mt19937 random(3);
  GgufSpec base = Base(GetParam().base), adapter = EmptyAdapter();
  for (const char* name : {"token_embd.weight", "output.weight",
                           "blk.0.attn_q.weight", "blk.0.attn_v.weight",
                           "blk.1.attn_output.weight", "blk.0.ffn_gate.weight",
                           "blk.1.ffn_up.weight", "blk.1.ffn_down.weight"})
    AddPair(adapter, Find(base, name), GetParam().adapter, random);
  const std::string path = Save(base, "base.gguf");
  const std::string lora = Save(adapter, "lora.gguf");
  GgufSpec merged = base;
  Merge(merged, adapter, kScale);
  const auto want = LogitsOf(Save(merged, "merged.gguf"));
  LoadOptions load;
  load.adapters = {{lora, kScale}};
  ExpectNear(LogitsOf(path, load), want);
  // The session's scale wins, and 0 is the model as it was.
  load.adapters = {{lora}};
  ExpectNear(LogitsOf(path, load, Scaled({kScale})), want);
  const auto plain = LogitsOf(path);
  EXPECT_EQ(LogitsOf(path, load, Scaled({0})), plain);
  EXPECT_NE(LogitsOf(path, load), plain);
  // Twice with half of it.
  load.adapters = {{lora, kScale / 2}, {lora, kScale / 2}};
  ExpectNear(LogitsOf(path, load), want);
}

INSTANTIATE_TEST_SUITE_P(Formats, LoraTest,
                         testing::Values(Formats{DType::kF32, DType::kF32},
                                         Formats{DType::kF32, DType::kF16},
                                         Formats{DType::kQ8_0, DType::kQ8_0}),
                         [](const auto& test) {
                           return absl::StrCat(Name(test.param.base), "_",
                                               Name(test.param.adapter));
                         });

TEST(Lora, Experts) {
  std::mt19937 random(4);
  GgufSpec base = SmallModel("mixtral"), adapter = EmptyAdapter();
  for (GgufTensorSpec& tensor : base.tensors)
    SetValues(tensor, DType::kF32, Noise(tensor.data.size() / 4, 0.3f, random));
  for (const char* name :
       {"blk.0.ffn_gate_exps.weight", "blk.0.ffn_down_exps.weight"})
    AddPair(adapter, Find(base, name), DType::kF32, random);
  GgufSpec merged = base;
  Merge(merged, adapter, 1);
  LoadOptions load;
  load.adapters = {{Save(adapter, "experts-lora.gguf")}};
  ExpectNear(LogitsOf(Save(base, "experts.gguf"), load),
             LogitsOf(Save(merged, "experts-merged.gguf")));
}

// The weights stay quantised, products with A and B fuse like any others.
TEST(Lora, NodesFuse) {
  std::mt19937 random(5);
  GgufSpec base = Base(DType::kQ8_0), adapter = EmptyAdapter();
  AddPair(adapter, Find(base, "blk.0.attn_q.weight"), DType::kQ8_0, random);
  const std::string lora = Save(adapter, "one.gguf");
  const std::string model = "--model=" + Save(base, "fuse.gguf");
  const ToolResult dump = RunTool(
      "graph-dump", {model, "--lora=" + lora + ":0.5", "--numerics=fast"});
  ExpectSuccess(dump);
  for (const char* part :
       {"q8_0[32,32] = weight(lora.0.blk.0.attn_q.weight.lora_a)",
        ", blk.0.attn_q.weight)", ", lora.0.blk.0.attn_q.weight.lora_a)",
        ", lora.0.blk.0.attn_q.weight.lora_b)", "scale"})
    EXPECT_PRED2(Says, dump.out, part);
  EXPECT_FALSE(Says(dump.out, "= dequant(")) << dump.out;
  const ToolResult diff = RunTool(
      "graph-dump", {model, "--lora=" + lora, "--diff=" + model.substr(8)});
  ExpectSuccess(diff);
  EXPECT_PRED2(Says, diff.out, "lora_b");
  ExpectSuccess(RunTool("weft-run", {model, "--lora=" + lora, "--lora", lora,
                                     "--prompt=a", "--max_tokens=2"}));
  ExpectFailure(
      RunTool("weft-run", {model, "--lora=" + lora + ":nan", "--prompt=a"}),
      "weft-run", "LORA-10: scale is nan");
  ExpectFailure(
      RunTool("weft-run", {model, "--lora=absent.gguf:2", "--prompt=a"}),
      "weft-run", "absent.gguf");
}

// What an adapter made of a text is nothing to go on from without it.
TEST(Lora, SavedSequencesKnowTheirAdapters) {
  std::mt19937 random(5);
  GgufSpec base = Base(DType::kF32), adapter = EmptyAdapter();
  AddPair(adapter, Find(base, "blk.0.attn_k.weight"), DType::kF32, random);
  LoadOptions load;
  load.tokenizer = false;
  load.adapters = {{Save(adapter, "state-lora.gguf")}};
  const auto model = Model::Load(Save(base, "state-base.gguf"), load);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto with = (*model)->NewSession({});
  ASSERT_TRUE(with.ok()) << with.status();
  const std::vector<Token> tokens = {1, 5, 7};
  ASSERT_TRUE((*with)->Prefill(0, tokens).ok());
  std::vector<std::byte> state(static_cast<size_t>((*with)->StateBytes(0)));
  ASSERT_TRUE((*with)->SaveState(0, absl::MakeSpan(state)).ok());
  EXPECT_TRUE((*with)->RestoreState(0, state).ok());
  for (const float scale : {0.0f, 0.5f}) {
    const auto other = (*model)->NewSession(Scaled({scale}));
    ASSERT_TRUE(other.ok()) << other.status();
    EXPECT_TRUE(absl::IsInvalidArgument((*other)->RestoreState(0, state)));
  }
}

class LoraErrors : public testing::Test {
 protected:
  LoraErrors() {
    std::mt19937 random(6);
    AddPair(adapter_, Find(base_, "blk.0.attn_q.weight"), DType::kF32, random);
  }
  void Expect(absl::StatusCode code, const std::string& what) {
    LoadOptions load;
    load.tokenizer = false;
    load.adapters = {{Save(adapter_, "bad-lora.gguf")}};
    const auto model = Model::Load(Save(base_, "lora-base.gguf"), load);
    absl::Status status = model.status();
    if (model.ok()) status = (*model)->NewSession({}).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_PRED2(Says, status.message(), what);
  }
  GgufSpec base_ = Base(DType::kQ8_0), adapter_ = EmptyAdapter();
};

TEST_F(LoraErrors, NoAdapter) {
  adapter_.Key("general.type").payload = GgufString("model");
  Expect(absl::StatusCode::kInvalidArgument,
         "LORA-1: general.type is \"model\"");
  adapter_ = base_;
  Expect(absl::StatusCode::kInvalidArgument, "LORA-1: general.type is missing");
  adapter_ = EmptyAdapter();
  Expect(absl::StatusCode::kInvalidArgument, "LORA-1: number of tensors is 0");
}
TEST_F(LoraErrors, OtherKind) {
  adapter_.Key("adapter.type").payload = GgufString("ia3");
  Expect(absl::StatusCode::kUnimplemented, "LORA-2: adapter.type is \"ia3\"");
}
TEST_F(LoraErrors, PartsOfATextOnly) {
  adapter_.Array<int32_t>("adapter.alora.invocation_tokens", GgufType::kInt32,
                          {1});
  Expect(absl::StatusCode::kUnimplemented, "LORA-2");
}
TEST_F(LoraErrors, OtherArchitecture) {
  adapter_.Key("general.architecture").payload = GgufString("qwen2");
  Expect(absl::StatusCode::kInvalidArgument, "LORA-3");
}
TEST_F(LoraErrors, Alpha) {
  adapter_.Key("adapter.lora.alpha").payload =
      LittleEndian(std::numeric_limits<float>::quiet_NaN());
  Expect(absl::StatusCode::kInvalidArgument, "LORA-4");
}
TEST_F(LoraErrors, OtherTensor) {
  adapter_.tensors[1].name = "blk.0.attn_q.weight.lora_c";
  Expect(absl::StatusCode::kNotFound, "LORA-6");
  adapter_.tensors[0].name = "blk.0.attn_q.weight.lora_d";
  Expect(absl::StatusCode::kUnimplemented, "LORA-5");
}
TEST_F(LoraErrors, MissingHalf) {
  adapter_.tensors.erase(adapter_.tensors.begin());
  Expect(absl::StatusCode::kNotFound, "lora_a\" is missing");
}
TEST_F(LoraErrors, OtherModel) {
  for (GgufTensorSpec& t : adapter_.tensors) t.name.replace(4, 1, "7");
  Expect(absl::StatusCode::kNotFound, "LORA-7: weight \"blk.7.attn_q.weight\"");
}
TEST_F(LoraErrors, Shapes) {
  for (const size_t half : {0, 1})
    for (const size_t axis : {0, 1}) {
      const GgufSpec before = adapter_;
      GgufTensorSpec& tensor = adapter_.tensors[half];
      tensor.dims[axis] -= 1;
      tensor.data.resize(4 * tensor.dims[0] * tensor.dims[1]);
      Expect(absl::StatusCode::kInvalidArgument, "LORA-8");
      adapter_ = before;
    }
}
TEST_F(LoraErrors, TypeThatCannotBeComputedWith) {
  for (GgufTensorSpec& t : adapter_.tensors)
    t.type = static_cast<uint32_t>(DType::kI32);
  Expect(absl::StatusCode::kUnimplemented, "LORA-9");
}
TEST_F(LoraErrors, TiedTable) {
  std::mt19937 random(7);
  base_.tensors.pop_back();  // output.weight
  AddPair(adapter_, Find(base_, "token_embd.weight"), DType::kF32, random);
  Expect(absl::StatusCode::kUnimplemented, "LORA-11");
}
TEST_F(LoraErrors, ScalesOfOthers) {
  LoadOptions load;
  load.adapters = {{Save(adapter_, "good-lora.gguf")}};
  load.tokenizer = false;
  const auto model = Model::Load(Save(base_, "lora-base.gguf"), load);
  ASSERT_TRUE(model.ok()) << model.status();
  const absl::Status status = (*model)->NewSession(Scaled({1, 2})).status();
  EXPECT_PRED2(Says, status.message(), "adapter_scales has 2 numbers");
}

}  // namespace
}  // namespace weft::inline v0
