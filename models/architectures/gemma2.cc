// Gemma 2 (arXiv:2408.00118): norms before and after each part, soft-caps on
// scores and logits, a window on every other layer.
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
  // 27B, the only one of 46 layers, scales by the width of a head of the
  // residual stream, not by that of a query.
  if (c.layers == 46)
    c.attend.scale = 1 / std::sqrt(static_cast<double>(c.width / c.heads));
  c.attend.softcap = b.Float("attn_logit_softcapping", 50);
  c.logit_cap = b.Float("final_logit_softcapping", 30);
  b.Require(c.attend.softcap >= 0 && std::isfinite(c.attend.softcap), "BIND-A9",
            "attn_logit_softcapping", absl::StrCat(c.attend.softcap),
            "a number above 0, or 0 for none");
  b.Require(c.logit_cap >= 0 && std::isfinite(c.logit_cap), "BIND-A9",
            "final_logit_softcapping", absl::StrCat(c.logit_cap),
            "a number above 0, or 0 for none");
  c.windows = ReadWindows(b, c.layers, 4096, 2);
  c.window_rope = c.rope;
  c.window_rope.freq_base = ReadWindowFreqBase(b, c.rope.freq_base);
  return c;
}

struct Layer {
  Value attn_norm, attn_post_norm, ffn_norm, ffn_post_norm;
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
  const Qkv qkv = Rotated(ProjectQkv(h, w.attn), step.pos, w.rope);
  h = SelfAttention(qkv, w.attn, step, w.attend);
  x = x + RmsNorm(h, c.eps) * w.attn_post_norm;
  h = RmsNorm(x, c.eps) * w.ffn_norm;
  h = GeluTanh(Project(h, w.ffn.gate)) * Project(h, w.ffn.up);
  return x + RmsNorm(Project(h, w.ffn.down), c.eps) * w.ffn_post_norm;
}

}  // namespace

void BuildGemma2(ModelBuilder& b) {
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
  b.graph().Expect("rms_norm_mul", 4 * layers + 1);
  b.graph().Expect("add_rms_norm", 2 * layers - 1);
  b.graph().Expect("gated", layers);
}

}  // namespace weft::inline v0
