#include "tools/synth_shapes.h"

#include <algorithm>
#include <cmath>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

constexpr float kEps = 1e-5f;
constexpr float kNormSpread = 0.1f;  // of norm weights, around 1
constexpr float kBiasSpread = 0.1f;
// So that logits differ enough for text that is not all one token.
constexpr float kOutputGain = 2;
constexpr int64_t kDefaultExperts = 8;
constexpr int64_t kMaxExpertsUsed = 2;
constexpr int64_t kStates = 16;  // of a recurrent channel

enum class Mlp { kGated, kPlain, kGateUp, kExperts };
enum class QkNorm { kNone, kHeads, kWhole };

// How a family's layers differ from llama's.
struct Family {
  absl::string_view arch;
  Mlp mlp = Mlp::kGated;
  QkNorm qk_norm = QkNorm::kNone;
  bool layer_norm = false;  // with shifts
  bool fused_qkv = false;
  bool qkv_bias = false;
  bool biases = false;  // of the other matrices
  bool pre_norms = true;
  bool post_norms = false;
  bool ffn_norm = true;
  bool tied = false;
  bool positions = false;  // a table of them instead of rotations
  bool alibi = false;      // biases instead of rotations
};

constexpr Family kFamilies[] = {
    {.arch = "falcon",
     .mlp = Mlp::kPlain,
     .layer_norm = true,
     .fused_qkv = true,
     .ffn_norm = false,
     .tied = true},
    {.arch = "gemma2", .post_norms = true, .tied = true},
    {.arch = "gemma3",
     .qk_norm = QkNorm::kHeads,
     .post_norms = true,
     .tied = true},
    {.arch = "gpt-oss",
     .mlp = Mlp::kExperts,
     .qkv_bias = true,
     .biases = true,
     .ffn_norm = false},
    {.arch = "gpt2",
     .mlp = Mlp::kPlain,
     .layer_norm = true,
     .fused_qkv = true,
     .qkv_bias = true,
     .biases = true,
     .tied = true,
     .positions = true},
    {.arch = "granite"},
    {.arch = "llama"},
    {.arch = "mpt",
     .mlp = Mlp::kPlain,
     .layer_norm = true,
     .fused_qkv = true,
     .tied = true,
     .alibi = true},
    {.arch = "olmo2",
     .qk_norm = QkNorm::kWhole,
     .pre_norms = false,
     .post_norms = true},
    {.arch = "phi3", .mlp = Mlp::kGateUp, .fused_qkv = true},
    {.arch = "qwen2", .qkv_bias = true},
    {.arch = "qwen3", .qk_norm = QkNorm::kHeads, .tied = true},
    {.arch = "qwen3moe", .mlp = Mlp::kExperts, .qk_norm = QkNorm::kHeads},
    {.arch = "starcoder2",
     .mlp = Mlp::kPlain,
     .layer_norm = true,
     .qkv_bias = true,
     .biases = true},
};

class ShapeMaker {
 public:
  explicit ShapeMaker(const SynthModel& m) : m_(m) {
    Int("block_count", m.layers);
    Int("context_length", m.context);
    Int("embedding_length", m.width);
    Int("feed_forward_length", m.ff);
    // Layers add up in the residual stream: the more there are, the less each.
    residual_ = 1 / std::sqrt(2 * static_cast<float>(m.layers));
    // A row of the table is looked up, not summed over: values of variance 1.
    Matrix("token_embd", m.vocab, m.width,
           std::sqrt(static_cast<float>(m.width)));
  }

  SynthShape Decoder(Family f) {
    if (m_.experts > 0) f.mlp = Mlp::kExperts;
    AttentionKeys(f.layer_norm);
    if (!f.positions && !f.alibi) RopeKeys(m_.head_size());
    FamilyKeys(f);
    if (f.mlp == Mlp::kExperts) ExpertKeys();
    if (f.positions) Matrix("position_embd", m_.context, m_.width);
    for (int64_t i = 0; i < m_.layers; ++i) {
      prefix_ = absl::StrCat("blk.", i, ".");
      DecoderLayer(f);
    }
    Head(f.layer_norm, f.tied);
    return std::move(shape_);
  }

  SynthShape Mamba() {
    const int64_t inner = 2 * m_.width;
    const int64_t rank = std::max<int64_t>(1, m_.width / 16);
    Int("ssm.conv_kernel", 4);
    Int("ssm.inner_size", inner);
    Int("ssm.state_size", kStates);
    Int("ssm.time_step_rank", rank);
    Eps(false);
    for (int64_t i = 0; i < m_.layers; ++i) {
      prefix_ = absl::StrCat("blk.", i, ".");
      NormWeights("attn_norm", false);
      Matrix("ssm_in", 2 * inner, m_.width);
      Matrix("ssm_conv1d", inner, 4);
      Vector("ssm_conv1d.bias", inner, 0, kBiasSpread);
      Matrix("ssm_x", rank + 2 * kStates, inner);
      Matrix("ssm_dt", inner, rank);
      // Steps of softplus(-3) = 0.05 and decay rates about 1.
      Vector("ssm_dt.bias", inner, -3, 0.5f);
      Tensor("ssm_a", {inner, kStates}, -1, 0.15f);
      Vector("ssm_d", inner, 1, kNormSpread);
      Matrix("ssm_out", m_.width, inner, residual_);
    }
    Head(false, true);
    return std::move(shape_);
  }

  SynthShape Bert() {
    constexpr int64_t kSentences = 2;
    AttentionKeys(/*layer_norm=*/true);
    Bool("attention.causal", false);
    Int("pooling_type", 1);
    // Sentences of a pair; llama.cpp wants the key.
    shape_.keys.SetUint32("tokenizer.ggml.token_type_count", kSentences);
    Matrix("position_embd", m_.context, m_.width);
    Matrix("token_types", kSentences, m_.width);
    NormWeights("token_embd_norm", true);
    for (int64_t i = 0; i < m_.layers; ++i) {
      prefix_ = absl::StrCat("blk.", i, ".");
      Qkv({.arch = "bert", .qkv_bias = true, .biases = true});
      NormWeights("attn_output_norm", true);
      Plain(/*biases=*/true);
      NormWeights("layer_output_norm", true);
    }
    return std::move(shape_);
  }

  SynthShape Deepseek2() {
    const int64_t rope = m_.head_size() / 4 * 2, plain = m_.head_size();
    const int64_t latent = 4 * m_.head_size(), q_latent = m_.width / 2;
    const int64_t k = plain + rope;
    AttentionKeys(false, /*kv_heads=*/1);
    RopeKeys(rope);
    Int("attention.key_length", latent + rope);
    Int("attention.value_length", latent);
    Int("attention.key_length_mla", k);
    Int("attention.value_length_mla", plain);
    Int("attention.kv_lora_rank", latent);
    Int("attention.q_lora_rank", q_latent);
    ExpertKeys();
    const int64_t dense = m_.layers > 1 ? 1 : 0;
    Int("leading_dense_block_count", dense);
    Int("expert_shared_count", 1);
    Int("expert_gating_func", 2);
    Float("expert_weights_scale", 2.5f);
    Bool("expert_weights_norm", true);
    for (int64_t i = 0; i < m_.layers; ++i) {
      prefix_ = absl::StrCat("blk.", i, ".");
      NormWeights("attn_norm", false);
      Matrix("attn_q_a", q_latent, m_.width);
      Vector("attn_q_a_norm.weight", q_latent, 1, kNormSpread);
      Matrix("attn_q_b", m_.heads * k, q_latent);
      Matrix("attn_kv_a_mqa", latent + rope, m_.width);
      Vector("attn_kv_a_norm.weight", latent, 1, kNormSpread);
      Matrices("attn_k_b", m_.heads, latent, plain);
      Matrices("attn_v_b", m_.heads, plain, latent);
      Matrix("attn_output", m_.width, m_.heads * plain, residual_);
      NormWeights("ffn_norm", false);
      if (i < dense) {
        Gated("", m_.ff);
        continue;
      }
      Experts(/*biases=*/false);
      Vector("exp_probs_b.bias", ExpertCount(), 0, kBiasSpread);
      Gated("_shexp", ExpertWidth());
    }
    Head(false, false);
    return std::move(shape_);
  }

 private:
  std::string Key(absl::string_view key) const {
    return absl::StrCat(m_.arch, ".", key);
  }
  void Int(absl::string_view key, int64_t value) {
    shape_.keys.SetUint32(Key(key), static_cast<uint32_t>(value));
  }
  void Float(absl::string_view key, float value) {
    shape_.keys.SetFloat(Key(key), value);
  }
  void Bool(absl::string_view key, bool value) {
    shape_.keys.SetBool(Key(key), value);
  }

  void AttentionKeys(bool layer_norm, int64_t kv_heads = 0) {
    Int("attention.head_count", m_.heads);
    Int("attention.head_count_kv", kv_heads == 0 ? m_.kv_heads : kv_heads);
    Eps(layer_norm);
  }
  void Eps(bool layer_norm) {
    Float(layer_norm ? "attention.layer_norm_epsilon"
                     : "attention.layer_norm_rms_epsilon",
          kEps);
  }
  void RopeKeys(int64_t dims) {
    Float("rope.freq_base", m_.rope_base);
    Int("rope.dimension_count", dims);
  }
  void FamilyKeys(const Family& f) {
    if (f.arch == "gemma2" || f.arch == "gemma3" || f.arch == "gpt-oss") {
      Int("attention.key_length", m_.head_size());
      Int("attention.value_length", m_.head_size());
      Int("attention.sliding_window", std::max<int64_t>(1, m_.context / 8));
    }
    if (f.alibi) Float("attention.max_alibi_bias", 8);
    if (f.arch == "gemma2") {
      Float("attn_logit_softcapping", 50);
      Float("final_logit_softcapping", 30);
    }
    if (f.arch == "granite") {
      Float("attention.scale", 1 / static_cast<float>(m_.head_size()));
      Float("embedding_scale", 12);
      Float("residual_scale", 0.22f);
      Float("logit_scale", 8);
    }
  }
  // Experts are a quarter as wide as the whole, in whole blocks of 32, but
  // Mixtral's, whose files have one width for all.
  int64_t ExpertWidth() const {
    if (m_.arch == "llama") return m_.ff;
    return std::max<int64_t>(32, m_.ff / 4 / 32 * 32);
  }
  int64_t ExpertCount() const {
    return m_.experts > 0 ? m_.experts : kDefaultExperts;
  }
  void ExpertKeys() {
    shape_.experts = ExpertCount();
    Int("expert_count", ExpertCount());
    Int("expert_used_count", std::min(ExpertCount(), kMaxExpertsUsed));
    Int("expert_feed_forward_length", ExpertWidth());
  }

  void Tensor(absl::string_view name, std::vector<int64_t> dims, float mean,
              float spread) {
    shape_.tensors.push_back(
        {absl::StrCat(prefix_, name), std::move(dims), mean, spread});
  }
  void Matrix(absl::string_view name, int64_t rows, int64_t columns,
              float gain = 1) {
    Tensor(absl::StrCat(name, ".weight"), {rows, columns}, 0,
           gain / std::sqrt(static_cast<float>(columns)));
  }
  void Matrices(absl::string_view name, int64_t n, int64_t rows,
                int64_t columns, float gain = 1) {
    Tensor(absl::StrCat(name, ".weight"), {n, rows, columns}, 0,
           gain / std::sqrt(static_cast<float>(columns)));
  }
  void Vector(absl::string_view name, int64_t n, float mean, float spread) {
    Tensor(name, {n}, mean, spread);
  }
  void NormWeights(absl::string_view name, bool bias) {
    Vector(absl::StrCat(name, ".weight"), m_.width, 1, kNormSpread);
    if (bias) Bias(name, m_.width);
  }
  void Bias(absl::string_view name, int64_t n) {
    Vector(absl::StrCat(name, ".bias"), n, 0, kBiasSpread);
  }

  void Qkv(const Family& f) {
    const int64_t kv = m_.kv_heads * m_.head_size();
    const auto project = [&](absl::string_view name, int64_t rows) {
      Matrix(name, rows, m_.width);
      if (f.qkv_bias) Bias(name, rows);
    };
    if (f.fused_qkv) {
      project("attn_qkv", m_.width + 2 * kv);
    } else {
      project("attn_q", m_.width);
      project("attn_k", kv);
      project("attn_v", kv);
    }
    Matrix("attn_output", m_.width, m_.width, residual_);
    if (f.biases) Bias("attn_output", m_.width);
    if (f.qk_norm == QkNorm::kNone) return;
    const bool heads = f.qk_norm == QkNorm::kHeads;
    Vector("attn_q_norm.weight", heads ? m_.head_size() : m_.width, 1,
           kNormSpread);
    Vector("attn_k_norm.weight", heads ? m_.head_size() : kv, 1, kNormSpread);
  }

  void Gated(absl::string_view suffix, int64_t hidden) {
    Matrix(absl::StrCat("ffn_gate", suffix), hidden, m_.width);
    Matrix(absl::StrCat("ffn_up", suffix), hidden, m_.width);
    Matrix(absl::StrCat("ffn_down", suffix), m_.width, hidden, residual_);
  }
  void Plain(bool biases) {
    Matrix("ffn_up", m_.ff, m_.width);
    if (biases) Bias("ffn_up", m_.ff);
    Matrix("ffn_down", m_.width, m_.ff, residual_);
    if (biases) Bias("ffn_down", m_.width);
  }
  void Experts(bool biases) {
    const int64_t hidden = ExpertWidth(), experts = ExpertCount();
    Matrix("ffn_gate_inp", experts, m_.width);
    if (biases) Bias("ffn_gate_inp", experts);
    const auto matrices = [&](absl::string_view name, int64_t rows,
                              int64_t columns, float gain) {
      Matrices(name, experts, rows, columns, gain);
      if (biases)
        Tensor(absl::StrCat(name, ".bias"), {experts, rows}, 0, kBiasSpread);
    };
    matrices("ffn_gate_exps", hidden, m_.width, 1);
    matrices("ffn_up_exps", hidden, m_.width, 1);
    matrices("ffn_down_exps", m_.width, hidden, residual_);
  }

  void DecoderLayer(const Family& f) {
    if (f.pre_norms) NormWeights("attn_norm", f.layer_norm);
    Qkv(f);
    if (f.arch == "gpt-oss") Vector("attn_sinks.weight", m_.heads, 0, 1);
    if (f.post_norms || f.arch == "gpt-oss")
      NormWeights("post_attention_norm", false);
    if (f.pre_norms && f.ffn_norm) NormWeights("ffn_norm", f.layer_norm);
    switch (f.mlp) {
      case Mlp::kGated:
        Gated("", m_.ff);
        break;
      case Mlp::kPlain:
        Plain(f.biases);
        break;
      case Mlp::kGateUp:
        Matrix("ffn_up", 2 * m_.ff, m_.width);
        Matrix("ffn_down", m_.width, m_.ff, residual_);
        break;
      case Mlp::kExperts:
        Experts(f.biases);
        break;
    }
    if (f.post_norms) NormWeights("post_ffw_norm", false);
  }

  void Head(bool layer_norm, bool tied) {
    prefix_.clear();
    NormWeights("output_norm", layer_norm);
    if (!tied) Matrix("output", m_.vocab, m_.width, kOutputGain);
  }

  const SynthModel& m_;
  SynthShape shape_;
  std::string prefix_;
  float residual_ = 1;
};

struct Special {
  absl::string_view arch;
  SynthShape (ShapeMaker::*make)();
};
constexpr Special kSpecial[] = {{"bert", &ShapeMaker::Bert},
                                {"deepseek2", &ShapeMaker::Deepseek2},
                                {"mamba", &ShapeMaker::Mamba}};

}  // namespace

std::string SynthArchitectures() {
  std::string names;
  const auto add = [&names](absl::string_view name) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", name);
  };
  for (const Special& special : kSpecial) add(special.arch);
  for (const Family& family : kFamilies) add(family.arch);
  return names;
}

absl::StatusOr<SynthShape> ShapeOf(const SynthModel& model) {
  constexpr absl::string_view kMayHaveExperts[] = {"deepseek2", "gpt-oss",
                                                   "llama", "qwen3moe"};
  if (model.experts > 0 && !absl::c_linear_search(kMayHaveExperts, model.arch))
    return absl::InvalidArgumentError(
        absl::StrCat("--experts is ", model.experts, "; expected 0, as ",
                     QuoteInput(model.arch), " has none (",
                     absl::StrJoin(kMayHaveExperts, ", "), " have)"));
  for (const Special& special : kSpecial)
    if (model.arch == special.arch) return (ShapeMaker(model).*special.make)();
  for (const Family& family : kFamilies)
    if (model.arch == family.arch) return ShapeMaker(model).Decoder(family);
  return absl::InvalidArgumentError(
      absl::StrCat("--arch is ", QuoteInput(model.arch), "; expected ",
                   SynthArchitectures()));
}

}  // namespace weft::inline v0
