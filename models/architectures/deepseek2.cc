// DeepSeek V2 and V3 (arXiv:2405.04434, arXiv:2412.19437): keys and values of
// all heads from one small latent vector per token, which is all that the cache
// holds; many experts, of which some are shared by all tokens.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "models/experts.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Config : Sizes {
  // Of a head: k_size = nope (plain) + rotary dimensions.
  int64_t k_size, v_size, nope, latent, q_latent, dense_layers, shared;
  // The file has the products of queries and keys, and of values and outputs,
  // with the latent: keys need not be unfolded.
  bool absorbed;
  ExpertSizes experts;

  int64_t rotary() const { return rope.n_dims; }
};

// Where the file says how the model was trained to, YaRN scales the scores
// instead of the rotation.
void ReadYarnScale(ModelBuilder& b, Config& c) {
  const double multiplier = b.Float("rope.scaling.yarn_log_multiplier", 0);
  b.Require(std::isfinite(multiplier), "BIND-A7",
            "rope.scaling.yarn_log_multiplier", absl::StrCat(multiplier),
            "a finite number");
  if (multiplier == 0 || c.rope.ext_factor == 0) return;
  const double log_factor = -std::log(c.rope.freq_scale);
  const double scale = 1 + multiplier * log_factor;
  c.rope.magnitude /= 1 + 0.1 * log_factor;
  c.attend.scale *= scale * scale;
}

Config ReadConfig(ModelBuilder& b) {
  Config c{ReadSizes(b, {.adjacent = true}), 0, 0, 0, 0, 0, 0, 0, false, {}};
  if (!b.status().ok()) return c;
  c.absorbed = b.Has("attention.key_length_mla");
  c.k_size = b.Int("attention.key_length_mla", 1, kMaxHeadSize, c.head_size);
  c.v_size = b.Int("attention.value_length_mla", 1, kMaxHeadSize, c.value_size);
  c.nope = c.k_size - c.rotary();
  b.Require(c.nope > 0, "BIND-A4", "attention.key_length_mla",
            absl::StrCat(c.k_size),
            absl::StrCat("more than the ", c.rotary(), " rotary dimensions"));
  c.latent = b.Int("attention.kv_lora_rank", 1, kMaxWidth);
  c.q_latent = b.Int("attention.q_lora_rank", 0, kMaxWidth, 0);
  c.attend.scale = 1 / std::sqrt(static_cast<double>(c.k_size));
  ReadYarnScale(b, c);
  c.dense_layers = b.Int("leading_dense_block_count", 0, c.layers, 0);
  if (c.dense_layers < c.layers) c.experts = ReadExpertSizes(b, c.hidden);
  c.shared = b.Int("expert_shared_count", 0, kMaxHeads, 0);
  return c;
}

struct Layer {
  Value attn_norm, q, q_a, q_norm, q_b, kv_a, kv_norm, kv_b, k_b, v_b, out;
  KvCache cache;
  Value ffn_norm;
  MlpWeights ffn;  // dense layers; else the shared experts
  ExpertWeights experts;
  bool dense = true;
};

void ReadMla(ModelBuilder& b, const Config& c, int64_t i, Layer& w) {
  const auto matrix = [&](const char* s, Shape shape) {
    return b.Weight(LayerTensor(i, s), std::move(shape));
  };
  const auto norm = [&](const char* s, int64_t n) {
    return b.Vector(LayerTensor(i, s), n);
  };
  const int64_t h = c.heads;
  if (c.q_latent > 0) {
    w.q_a = matrix("attn_q_a.weight", {c.q_latent, c.width});
    w.q_norm = norm("attn_q_a_norm.weight", c.q_latent);
    w.q_b = matrix("attn_q_b.weight", {h * c.k_size, c.q_latent});
  } else {
    w.q = matrix("attn_q.weight", {h * c.k_size, c.width});
  }
  w.kv_a = matrix("attn_kv_a_mqa.weight", {c.latent + c.rotary(), c.width});
  w.kv_norm = norm("attn_kv_a_norm.weight", c.latent);
  if (c.absorbed) {
    w.k_b = matrix("attn_k_b.weight", {h, c.latent, c.nope});
    w.v_b = matrix("attn_v_b.weight", {h, c.v_size, c.latent});
    const int64_t n = c.latent + c.rotary();
    w.cache.k = b.graph().State(LayerTensor(i, "k"), b.options().kv_k,
                                {b.options().slots, b.options().context, 1, n});
  } else {
    w.kv_b = matrix("attn_kv_b.weight", {h * (c.nope + c.v_size), c.latent});
    w.cache = b.Cache(i, h, c.k_size, c.v_size);
  }
  w.out = matrix("attn_output.weight", {c.width, h * c.v_size});
}

// Shared experts that are not counted would be left out without a word.
void RequireNoShared(ModelBuilder& b, int64_t i) {
  constexpr char kCount[] = "expert_shared_count";
  for (const char* part :
       {"ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"}) {
    const std::string tensor = LayerTensor(i, absl::StrCat(part, ".weight"));
    b.Require(!b.HasTensor(tensor), "BIND-A12", kCount,
              b.Has(kCount) ? "0" : "missing",
              absl::StrCat("the number of experts that ", tensor, " holds"));
  }
}

Layer ReadLayer(ModelBuilder& b, const Config& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.attn_norm = b.Vector(name("attn_norm.weight"), c.width);
  ReadMla(b, c, i, w);
  w.ffn_norm = b.Vector(name("ffn_norm.weight"), c.width);
  w.dense = i < c.dense_layers;
  if (w.dense) {
    w.ffn = ReadMlp(b, c, i);
    return w;
  }
  w.experts = ReadExperts(b, c.experts, c.width, i);
  if (c.shared == 0) {
    RequireNoShared(b, i);
    return w;
  }
  const int64_t hidden = c.shared * c.experts.hidden;
  w.ffn = {ReadProjection(b, name("ffn_gate_shexp"), hidden, c.width),
           ReadProjection(b, name("ffn_up_shexp"), hidden, c.width),
           ReadProjection(b, name("ffn_down_shexp"), c.width, hidden)};
  return w;
}

// The latent and the rotated key of each token stand in for keys and values of
// every head: q k^T = (q k_b) latent^T, and p v = (p latent) v_b^T.
Value Attention(const Layer& w, const Config& c, Value x, const Step& step) {
  Value q = c.q_latent == 0
                ? Linear(x, w.q)
                : Linear(RmsNorm(Linear(x, w.q_a), c.eps) * w.q_norm, w.q_b);
  q = Heads(q, c.heads);
  const Value q_plain = Slice(q, 2, 0, c.nope);
  const Value q_turned = Rope(Slice(q, 2, c.nope, c.k_size), step.pos, c.rope);
  const Value kv = Linear(x, w.kv_a);
  const Value latent = RmsNorm(Slice(kv, 1, 0, c.latent), c.eps) * w.kv_norm;
  const Value turned = Slice(kv, 1, c.latent, c.latent + c.rotary());
  const Value k_turned = Rope(Heads(turned, 1), step.pos, c.rope);
  if (c.absorbed) {
    q = Concat({LinearById(q_plain, w.k_b), q_turned}, 2);
    const Value rows = Concat({Heads(latent, 1), k_turned}, 2);
    const Value keys = Append(w.cache.k, rows, step);
    const Value a = Attend(q, keys, keys, step, c.attend);
    return Linear(Merge(LinearById(Slice(a, 2, 0, c.latent), w.v_b)), w.out);
  }
  const Value heads = Heads(Linear(latent, w.kv_b), c.heads);
  const Value k =
      Concat({Slice(heads, 2, 0, c.nope), Repeat(k_turned, 1, c.heads)}, 2);
  const Value v = Slice(heads, 2, c.nope, c.nope + c.v_size);
  const Value a =
      Attend(Concat({q_plain, q_turned}, 2), Append(w.cache.k, k, step),
             Append(w.cache.v, v, step), step, c.attend);
  return Linear(Merge(a), w.out);
}

Value Block(const Layer& w, const Config& c, Value x, const Step& step) {
  x = x + Attention(w, c, RmsNorm(x, c.eps) * w.attn_norm, step);
  const Value h = RmsNorm(x, c.eps) * w.ffn_norm;
  const auto mlp = [&] {
    const Value gate = Project(h, w.ffn.gate), up = Project(h, w.ffn.up);
    return Project(SwiGlu(gate, up), w.ffn.down);
  };
  if (w.dense) return x + mlp();
  const Value mixed = ExpertMlp(h, w.experts, c.experts.route);
  return x + (c.shared == 0 ? mixed : mixed + mlp());
}

}  // namespace

void BuildDeepseek2(ModelBuilder& b) {
  const Config c = ReadConfig(b);
  if (!b.status().ok()) return;
  const Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  Value x = Embed(b, table);
  for (int64_t i = 0; i < c.layers; ++i)
    x = Block(ReadLayer(b, c, i), c, x, b.step())
            .Named(absl::StrCat("layer.", i));
  x = SelectRows(x, b.out_rows());
  x = RmsNorm(x, c.eps) * b.Vector("output_norm.weight", c.width);
  b.Finish(x, Logits(b, x, table));

  const int layers = static_cast<int>(c.layers);
  const int sparse = static_cast<int>(c.layers - c.dense_layers);
  b.graph().Expect("attention", layers);
  b.graph().Expect("rms_norm_mul", (c.q_latent > 0 ? 4 : 3) * layers + 1);
  b.graph().Expect("add_rms_norm", 2 * layers - 1);
  b.graph().Expect("matmul_by_id", 3 * sparse + (c.absorbed ? 2 * layers : 0));
  b.graph().Expect("gated", layers + (c.shared > 0 ? sparse : 0));
}

}  // namespace weft::inline v0
