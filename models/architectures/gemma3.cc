// Gemma 3, text (arXiv:2503.19786): Gemma 2 with normalised queries and keys
// instead of soft-caps; five layers with a window for each without, which turn
// with a rotary base of their own.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "models/rope_metadata.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Config : Sizes {
  std::vector<int64_t> windows;  // by layer
  RopeOptions window_rope;
  double logit_cap;
};

Config ReadConfig(ModelBuilder& b) {
  Config c{ReadSizes(b), {}, {}, 0};
  if (!b.status().ok()) return c;
  // 27B, the only one of 62 layers, scales by the width of a head of the
  // residual stream, not by that of a query.
  if (c.layers == 62)
    c.attend.scale = 1 / std::sqrt(static_cast<double>(c.width / c.heads));
  c.logit_cap = b.Float("final_logit_softcapping", 0);
  b.Require(c.logit_cap >= 0 && std::isfinite(c.logit_cap), "BIND-A9",
            "final_logit_softcapping", absl::StrCat(c.logit_cap),
            "a number above 0, or 0 for none");
  c.windows = ReadWindows(b, c.layers, 0, 6);
  c.window_rope = {.n_dims = c.rope.n_dims,
                   .freq_base = ReadWindowFreqBase(b, 10000),
                   .adjacent = c.rope.adjacent,
                   .magnitude = ReadMagnitude(b)};
  return c;
}

struct Layer {
  Value attn_norm, q_norm, k_norm, attn_post_norm, ffn_norm, ffn_post_norm;
  AttentionWeights attn;
  MlpWeights ffn;
  AttendOptions attend;
  RopeOptions rope;
};

Layer ReadLayer(ModelBuilder& b, const Config& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.attn_norm = b.Vector(name("attn_norm.weight"), c.width);
  w.attn = ReadAttention(b, c, i);
  w.q_norm = b.Vector(name("attn_q_norm.weight"), c.head_size);
  w.k_norm = b.Vector(name("attn_k_norm.weight"), c.head_size);
  w.attn_post_norm = b.Vector(name("post_attention_norm.weight"), c.width);
  w.ffn_norm = b.Vector(name("ffn_norm.weight"), c.width);
  w.ffn = ReadMlp(b, c, i);
  w.ffn_post_norm = b.Vector(name("post_ffw_norm.weight"), c.width);
  w.attend = c.attend;
  w.attend.window = c.windows[static_cast<size_t>(i)];
  w.rope = w.attend.window > 0 ? c.window_rope : c.rope;
  return w;
}

Value Block(const Layer& w, const Sizes& c, Value x, const Step& step) {
  Value h = RmsNorm(x, c.eps) * w.attn_norm;
  Qkv qkv = ProjectQkv(h, w.attn);
  qkv.q = RmsNorm(qkv.q, c.eps) * w.q_norm;
  qkv.k = RmsNorm(qkv.k, c.eps) * w.k_norm;
  qkv = Rotated(qkv, step.pos, w.rope);
  h = SelfAttention(qkv, w.attn, step, w.attend);
  x = x + RmsNorm(h, c.eps) * w.attn_post_norm;
  h = RmsNorm(x, c.eps) * w.ffn_norm;
  h = GeluTanh(Project(h, w.ffn.gate)) * Project(h, w.ffn.up);
  return x + RmsNorm(Project(h, w.ffn.down), c.eps) * w.ffn_post_norm;
}

}  // namespace

void BuildGemma3(ModelBuilder& b) {
  const Config c = ReadConfig(b);
  if (!b.status().ok()) return;
  const Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  Value x = Embed(b, table) * std::sqrt(static_cast<float>(c.width));
  for (int64_t i = 0; i < c.layers; ++i)
    x = Block(ReadLayer(b, c, i), c, x, b.step())
            .Named(absl::StrCat("layer.", i));
  x = SelectRows(x, b.out_rows());
  x = RmsNorm(x, c.eps) * b.Vector("output_norm.weight", c.width);
  b.Finish(x, SoftCap(Logits(b, x, table), c.logit_cap));

  const int layers = static_cast<int>(c.layers);
  b.graph().Expect("attention", layers);
  b.graph().Expect("rms_norm_mul", 6 * layers + 1);
  b.graph().Expect("add_rms_norm", 2 * layers - 1);
  b.graph().Expect("gated", layers);
}

}  // namespace weft::inline v0
