// Granite 3: a llama with scales on the embedding, the residuals, the scores
// and the logits.
#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Config : Sizes {
  double embedding_scale, residual_scale, logit_scale;
  bool use_rope;
};

// Files write 0 for "no scale".
double ReadScale(ModelBuilder& b, const char* key) {
  const double scale = b.Float(key, 0);
  return scale == 0 ? 1 : scale;
}

Config ReadConfig(ModelBuilder& b) {
  Config c{ReadSizes(b, {.adjacent = true}), 1, 1, 1, true};
  c.embedding_scale = ReadScale(b, "embedding_scale");
  c.residual_scale = ReadScale(b, "residual_scale");
  c.logit_scale = ReadScale(b, "logit_scale");
  const double scale = b.Float("attention.scale", 0);
  if (scale != 0) c.attend.scale = scale;
  c.use_rope = b.Bool("rope.scaling.finetuned", true);
  return c;
}

struct Layer {
  Value attn_norm, ffn_norm;
  AttentionWeights attn;
  MlpWeights ffn;
};

Layer ReadLayer(ModelBuilder& b, const Sizes& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.attn_norm = b.Vector(name("attn_norm.weight"), c.width);
  w.attn = ReadAttention(b, c, i);
  w.ffn_norm = b.Vector(name("ffn_norm.weight"), c.width);
  w.ffn = ReadMlp(b, c, i);
  return w;
}

Value Block(const Layer& w, const Config& c, Value x, const Step& step) {
  Value h = RmsNorm(x, c.eps) * w.attn_norm;
  Qkv qkv = ProjectQkv(h, w.attn);
  if (c.use_rope) qkv = Rotated(qkv, step.pos, c.rope, c.rope_factors);
  const Value a = SelfAttention(qkv, w.attn, step, c.attend);
  x = x + Times(a, c.residual_scale);
  h = RmsNorm(x, c.eps) * w.ffn_norm;
  h = Project(SwiGlu(Project(h, w.ffn.gate), Project(h, w.ffn.up)), w.ffn.down);
  return x + Times(h, c.residual_scale);
}

}  // namespace

void BuildGranite(ModelBuilder& b) {
  const Config c = ReadConfig(b);
  if (!b.status().ok()) return;
  const Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  Value x = Times(Embed(b, table), c.embedding_scale);
  for (int64_t i = 0; i < c.layers; ++i)
    x = Block(ReadLayer(b, c, i), c, x, b.step())
            .Named(absl::StrCat("layer.", i));
  x = SelectRows(x, b.out_rows());
  x = RmsNorm(x, c.eps) * b.Vector("output_norm.weight", c.width);
  b.Finish(x, Times(Logits(b, x, table), 1 / c.logit_scale));

  const int layers = static_cast<int>(c.layers);
  b.graph().Expect("attention", layers);
  b.graph().Expect("rms_norm_mul", 2 * layers + 1);
  b.graph().Expect("add_rms_norm", 2 * layers - 1);
  b.graph().Expect("gated", layers);
}

}  // namespace weft::inline v0
