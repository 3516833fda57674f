#include "tests/tiny_llama.h"

#include <cstdint>
#include <cstring>
#include <random>

#include "absl/strings/str_cat.h"
#include "graph/blocks/q8_0.h"
#include "tests/spm_vocab.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

constexpr uint64_t kWidth = 32, kHidden = 64, kHeads = 4, kGroups = 2;
constexpr uint64_t kKvWidth = kWidth / kHeads * kGroups;

// Random blocks: as good as quantised random weights.
void FillWithNoise(GgufTensorSpec& tensor, std::mt19937& random) {
  BlockQ8_0 block;
  block.d = F32ToF16(0.004f);
  for (size_t at = 0; at < tensor.data.size(); at += sizeof(block)) {
    for (int8_t& q : block.q)
      q = static_cast<int8_t>(static_cast<int>(random() % 255) - 127);
    std::memcpy(&tensor.data[at], &block, sizeof(block));
  }
}

void FillWithOnes(GgufTensorSpec& tensor) {
  const std::string one = LittleEndian(1.0f);
  for (size_t at = 0; at < tensor.data.size(); at += one.size())
    tensor.data.replace(at, one.size(), one);
}

void AddKeys(GgufSpec& spec, int layers) {
  const auto size = [&spec](const char* key, uint64_t value) {
    spec.Scalar(absl::StrCat("llama.", key), GgufType::kUint32,
                static_cast<uint32_t>(value));
  };
  spec.String("general.architecture", "llama");
  size("block_count", static_cast<uint64_t>(layers));
  size("context_length", 64);
  size("embedding_length", kWidth);
  size("feed_forward_length", kHidden);
  size("attention.head_count", kHeads);
  size("attention.head_count_kv", kGroups);
  spec.Scalar("llama.attention.layer_norm_rms_epsilon", GgufType::kFloat32,
              1e-5f);
}

void AddTensors(GgufSpec& spec, uint64_t vocab, int layers) {
  // Fastest dimension first, as in the file.
  const auto matrix = [&spec](const std::string& name, uint64_t columns,
                              uint64_t rows) {
    spec.Tensor(name, DType::kQ8_0, {columns, rows});
  };
  const auto norm = [&spec](const std::string& name) {
    spec.Tensor(name, DType::kF32, {kWidth});
  };
  matrix("token_embd.weight", kWidth, vocab);
  for (int layer = 0; layer < layers; ++layer) {
    const std::string blk = absl::StrCat("blk.", layer, ".");
    norm(blk + "attn_norm.weight");
    matrix(blk + "attn_q.weight", kWidth, kWidth);
    matrix(blk + "attn_k.weight", kWidth, kKvWidth);
    matrix(blk + "attn_v.weight", kWidth, kKvWidth);
    matrix(blk + "attn_output.weight", kWidth, kWidth);
    norm(blk + "ffn_norm.weight");
    matrix(blk + "ffn_gate.weight", kWidth, kHidden);
    matrix(blk + "ffn_up.weight", kWidth, kHidden);
    matrix(blk + "ffn_down.weight", kHidden, kWidth);
  }
  norm("output_norm.weight");
}

}  // namespace

GgufSpec TinyLlama(int layers) {
  const SpmVocab vocab = SmallSpmVocab();
  GgufSpec spec = vocab.Spec();
  AddKeys(spec, layers);
  AddTensors(spec, vocab.texts.size(), layers);
  std::mt19937 random(1);
  for (GgufTensorSpec& tensor : spec.tensors) {
    if (tensor.dims.size() == 1)
      FillWithOnes(tensor);
    else
      FillWithNoise(tensor, random);
  }
  return spec;
}

GgufSpec TinyAdapter() {
  constexpr uint64_t kRank = 2;
  GgufSpec spec;
  spec.String("general.architecture", "llama")
      .String("general.type", "adapter")
      .String("adapter.type", "lora")
      .Scalar("adapter.lora.alpha", GgufType::kFloat32, 2.0f)
      .Tensor("blk.0.ffn_gate.weight.lora_a", DType::kF32, {kWidth, kRank})
      .Tensor("blk.0.ffn_gate.weight.lora_b", DType::kF32, {kRank, kHidden});
  std::mt19937 random(2);
  for (GgufTensorSpec& half : spec.tensors) {
    const size_t bytes = half.data.size();
    half.data.clear();
    while (half.data.size() < bytes)
      half.data +=
          LittleEndian(static_cast<float>(random() % 255) / 255 - 0.5f);
  }
  return spec;
}

std::string TinyLlamaPath() {
  static const std::string path = [] {
    const std::string p = ScratchPath("tiny-llama.gguf");
    WriteBytes(p, TinyLlama().Build());
    return p;
  }();
  return path;
}

}  // namespace weft::inline v0
