// Phi 3 and 3.5 (arXiv:2404.14219): one matrix for q, k and v, one for gate and
// up, rotary frequencies divided by factors for short or for long contexts.
#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Layer {
  Value attn_norm, ffn_norm;
  AttentionWeights attn;
  Projection gate_up, down;
};

Layer ReadLayer(ModelBuilder& b, const Sizes& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.attn_norm = b.Vector(name("attn_norm.weight"), c.width);
  w.attn = ReadAttention(b, c, i);
  w.ffn_norm = b.Vector(name("ffn_norm.weight"), c.width);
  w.gate_up = ReadProjection(b, name("ffn_up"), 2 * c.hidden, c.width);
  w.down = ReadProjection(b, name("ffn_down"), c.width, c.hidden);
  return w;
}

// The window that the file may name is not the model's: it was trained without.
Value Block(const Layer& w, const Sizes& c, Value x, const Step& step) {
  Value h = RmsNorm(x, c.eps) * w.attn_norm;
  const Qkv qkv =
      Rotated(ProjectQkv(h, w.attn), step.pos, c.rope, c.rope_factors);
  x = x + SelfAttention(qkv, w.attn, step, c.attend);
  h = Project(RmsNorm(x, c.eps) * w.ffn_norm, w.gate_up);
  const Value gate = Slice(h, -1, 0, c.hidden);
  const Value up = Slice(h, -1, c.hidden, 2 * c.hidden);
  return x + Project(SwiGlu(gate, up), w.down);
}

}  // namespace

void BuildPhi3(ModelBuilder& b) {
  const Sizes c = ReadSizes(b);
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
  b.graph().Expect("attention", layers);
  b.graph().Expect("rms_norm_mul", 2 * layers + 1);
  b.graph().Expect("add_rms_norm", 2 * layers - 1);
  b.graph().Expect("gated", layers);
}

}  // namespace weft::inline v0
