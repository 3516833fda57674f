#include "tests/small_models.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::inline v0 {
namespace {

constexpr uint64_t kWidth = 32, kHidden = 48, kHeads = 4, kKvHeads = 2,
                   kHeadSize = 8, kVocab = 20, kExperts = 4;

class Maker {
 public:
  explicit Maker(std::string architecture) : architecture_(architecture) {
    spec_.String("general.architecture", architecture);
    Int("block_count", 1);
    Int("context_length", 64);
    Int("embedding_length", kWidth);
    Int("feed_forward_length", kHidden);
    Matrix("token_embd.weight", kVocab, kWidth);
  }

  void Int(const char* key, uint64_t value) {
    spec_.Scalar(absl::StrCat(architecture_, ".", key), GgufType::kUint32,
                 static_cast<uint32_t>(value));
  }
  void Float(const char* key, float value) {
    spec_.Scalar(absl::StrCat(architecture_, ".", key), GgufType::kFloat32,
                 value);
  }
  void String(const char* key, const char* value) {
    spec_.String(absl::StrCat(architecture_, ".", key), value);
  }
  // Slowest dimension first.
  void Tensor(const std::string& name, std::vector<uint64_t> dims) {
    spec_.Tensor(name, DType::kF32, {dims.rbegin(), dims.rend()});
  }
  void Matrix(const std::string& name, uint64_t rows, uint64_t columns) {
    Tensor(name, {rows, columns});
  }
  void Vector(const std::string& name, uint64_t n) { Tensor(name, {n}); }
  void Norm(const std::string& name, bool bias) {
    Vector(name + ".weight", kWidth);
    if (bias) Vector(name + ".bias", kWidth);
  }

  void Attention(bool fused = false) {
    Int("attention.head_count", kHeads);
    Int("attention.head_count_kv", kKvHeads);
    const uint64_t q = kHeads * kHeadSize, kv = kKvHeads * kHeadSize;
    if (fused) {
      Matrix("blk.0.attn_qkv.weight", q + 2 * kv, kWidth);
    } else {
      Matrix("blk.0.attn_q.weight", q, kWidth);
      Matrix("blk.0.attn_k.weight", kv, kWidth);
      Matrix("blk.0.attn_v.weight", kv, kWidth);
    }
    Matrix("blk.0.attn_output.weight", kWidth, q);
  }
  void Eps(bool layer_norm = false) {
    Float(layer_norm ? "attention.layer_norm_epsilon"
                     : "attention.layer_norm_rms_epsilon",
          1e-5f);
  }
  void Mlp(bool gated = true) {
    if (gated) Matrix("blk.0.ffn_gate.weight", kHidden, kWidth);
    Matrix("blk.0.ffn_up.weight", kHidden, kWidth);
    Matrix("blk.0.ffn_down.weight", kWidth, kHidden);
  }
  void Experts() {
    Int("expert_count", kExperts);
    Int("expert_used_count", 2);
    Matrix("blk.0.ffn_gate_inp.weight", kExperts, kWidth);
    Tensor("blk.0.ffn_gate_exps.weight", {kExperts, kHidden, kWidth});
    Tensor("blk.0.ffn_up_exps.weight", {kExperts, kHidden, kWidth});
    Tensor("blk.0.ffn_down_exps.weight", {kExperts, kWidth, kHidden});
  }
  // What llamas and their kin have in common.
  void Decoder() {
    Attention();
    Eps();
    Norm("blk.0.attn_norm", false);
    Norm("blk.0.ffn_norm", false);
    Norm("output_norm", false);
  }

  GgufSpec Take() { return std::move(spec_); }

 private:
  std::string architecture_;
  GgufSpec spec_;
};

void MakeQwen3moe(Maker& m) {
  m.Decoder();
  m.Int("expert_feed_forward_length", kHidden);
  m.Vector("blk.0.attn_q_norm.weight", kHeadSize);
  m.Vector("blk.0.attn_k_norm.weight", kHeadSize);
  m.Experts();
}

void MakeGptOss(Maker& m) {
  m.Attention();
  m.Eps();
  m.Int("attention.sliding_window", 8);
  m.Norm("blk.0.attn_norm", false);
  m.Norm("blk.0.post_attention_norm", false);
  m.Norm("output_norm", false);
  m.Vector("blk.0.attn_sinks.weight", kHeads);
  m.Experts();
}

void MakeDeepseek2(Maker& m) {
  m.Eps();
  m.Int("attention.head_count", kHeads);
  m.Int("attention.head_count_kv", 1);
  m.Int("attention.key_length", 20);
  m.Int("attention.value_length", 16);
  m.Int("attention.key_length_mla", 12);
  m.Int("attention.value_length_mla", 8);
  m.Int("attention.kv_lora_rank", 16);
  m.Int("attention.q_lora_rank", 24);
  m.Int("rope.dimension_count", 4);
  m.Int("expert_feed_forward_length", kHidden);
  m.Norm("blk.0.attn_norm", false);
  m.Norm("blk.0.ffn_norm", false);
  m.Norm("output_norm", false);
  m.Matrix("blk.0.attn_q_a.weight", 24, kWidth);
  m.Vector("blk.0.attn_q_a_norm.weight", 24);
  m.Matrix("blk.0.attn_q_b.weight", kHeads * 12, 24);
  m.Matrix("blk.0.attn_kv_a_mqa.weight", 20, kWidth);
  m.Vector("blk.0.attn_kv_a_norm.weight", 16);
  m.Tensor("blk.0.attn_k_b.weight", {kHeads, 16, 8});
  m.Tensor("blk.0.attn_v_b.weight", {kHeads, 8, 16});
  m.Matrix("blk.0.attn_output.weight", kWidth, kHeads * 8);
  m.Experts();
  m.Int("expert_shared_count", 1);
  m.Matrix("blk.0.ffn_gate_shexp.weight", kHidden, kWidth);
  m.Matrix("blk.0.ffn_up_shexp.weight", kHidden, kWidth);
  m.Matrix("blk.0.ffn_down_shexp.weight", kWidth, kHidden);
}

void MakeMamba(Maker& m) {
  m.Eps();
  m.Int("ssm.conv_kernel", 4);
  m.Int("ssm.inner_size", 64);
  m.Int("ssm.state_size", 8);
  m.Int("ssm.time_step_rank", 2);
  m.Norm("blk.0.attn_norm", false);
  m.Norm("output_norm", false);
  m.Matrix("blk.0.ssm_in.weight", 128, kWidth);
  m.Matrix("blk.0.ssm_conv1d.weight", 64, 4);
  m.Vector("blk.0.ssm_conv1d.bias", 64);
  m.Matrix("blk.0.ssm_x.weight", 18, 64);
  m.Matrix("blk.0.ssm_dt.weight", 64, 2);
  m.Vector("blk.0.ssm_dt.bias", 64);
  m.Matrix("blk.0.ssm_a", 64, 8);
  m.Vector("blk.0.ssm_d", 64);
  m.Matrix("blk.0.ssm_out.weight", kWidth, 64);
}

void MakeBert(Maker& m) {
  m.Attention();
  m.Eps(/*layer_norm=*/true);
  m.Matrix("position_embd.weight", 64, kWidth);
  m.Matrix("token_types.weight", 2, kWidth);
  m.Norm("token_embd_norm", true);
  m.Norm("blk.0.attn_output_norm", true);
  m.Norm("blk.0.layer_output_norm", true);
  m.Mlp(/*gated=*/false);
}

void MakeGpt2(Maker& m) {
  m.Attention(/*fused=*/true);
  m.Eps(/*layer_norm=*/true);
  m.Matrix("position_embd.weight", 64, kWidth);
  m.Norm("blk.0.attn_norm", true);
  m.Norm("blk.0.ffn_norm", true);
  m.Norm("output_norm", true);
  m.Mlp(/*gated=*/false);
}

void MakeGemma2(Maker& m) {
  m.Decoder();
  m.Norm("blk.0.post_attention_norm", false);
  m.Norm("blk.0.post_ffw_norm", false);
  m.Mlp();
}

void MakePhi3(Maker& m) {
  m.Attention(/*fused=*/true);
  m.Eps();
  m.String("rope.scaling.type", "longrope");
  m.Int("rope.scaling.original_context_length", 32);
  m.Vector("rope_factors_long.weight", kHeadSize / 2);
  m.Vector("rope_factors_short.weight", kHeadSize / 2);
  m.Norm("blk.0.attn_norm", false);
  m.Norm("blk.0.ffn_norm", false);
  m.Norm("output_norm", false);
  m.Matrix("blk.0.ffn_up.weight", 2 * kHidden, kWidth);
  m.Matrix("blk.0.ffn_down.weight", kWidth, kHidden);
}

void MakeLlama(Maker& m) {
  m.Decoder();
  m.Mlp();
}

void MakeMpt(Maker& m) {
  m.Attention(/*fused=*/true);
  m.Eps(true);
  m.Float("attention.max_alibi_bias", 8);
  m.Norm("blk.0.attn_norm", false);
  m.Norm("blk.0.ffn_norm", false);
  m.Norm("output_norm", false);
  m.Mlp(/*gated=*/false);
}

void MakeMixtral(Maker& m) {
  m.Decoder();
  m.Experts();
}

struct Entry {
  const char* name;
  const char* architecture;
  void (*make)(Maker&);
};

constexpr Entry kModels[] = {
    {"llama", "llama", MakeLlama},
    {"mixtral", "llama", MakeMixtral},
    {"qwen3moe", "qwen3moe", MakeQwen3moe},
    {"gpt-oss", "gpt-oss", MakeGptOss},
    {"deepseek2", "deepseek2", MakeDeepseek2},
    {"mamba", "mamba", MakeMamba},
    {"bert", "bert", MakeBert},
    {"gpt2", "gpt2", MakeGpt2},
    {"mpt", "mpt", MakeMpt},
    {"gemma2", "gemma2", MakeGemma2},
    {"phi3", "phi3", MakePhi3},
};

}  // namespace

std::vector<std::string> SmallModelNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kModels) names.push_back(entry.name);
  return names;
}

std::string ArchitectureOf(const std::string& name) {
  for (const Entry& entry : kModels)
    if (name == entry.name) return entry.architecture;
  return "";
}

GgufSpec SmallModel(const std::string& name) {
  for (const Entry& entry : kModels) {
    if (name != entry.name) continue;
    Maker maker(entry.architecture);
    entry.make(maker);
    return maker.Take();
  }
  return {};
}

}  // namespace weft::inline v0
