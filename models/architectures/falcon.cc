// Falcon (arXiv:2311.16867): attention and feed-forward side by side, few heads
// of keys and values.
#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Layer {
  Norm norm, attn_norm;  // the second in models of 40B and up
  AttentionWeights attn;
  MlpWeights ffn;
};

Layer ReadLayer(ModelBuilder& b, const Sizes& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.norm = ReadNorm(b, name("attn_norm"), c.width);
  w.attn_norm = b.HasTensor(name("attn_norm_2.weight"))
                    ? ReadNorm(b, name("attn_norm_2"), c.width)
                    : w.norm;
  w.attn = ReadAttention(b, c, i);
  w.ffn = ReadMlp(b, c, i, /*gated=*/false);
  return w;
}

Value Block(const Layer& w, const Sizes& c, Value x, const Step& step) {
  const Value h = NormOf(x, w.norm, c.eps);
  Qkv qkv = ProjectQkv(NormOf(x, w.attn_norm, c.eps), w.attn);
  qkv = Rotated(qkv, step.pos, c.rope);
  const Value a = SelfAttention(qkv, w.attn, step, c.attend);
  const Value f = Project(GeluTanh(Project(h, w.ffn.up)), w.ffn.down);
  return x + a + f;
}

}  // namespace

void BuildFalcon(ModelBuilder& b) {
  const Sizes c = ReadSizes(b, {.layer_norm = true});
  if (!b.status().ok()) return;
  const Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  Value x = Embed(b, table);
  int norms = 1;
  for (int64_t i = 0; i < c.layers; ++i) {
    const Layer layer = ReadLayer(b, c, i);
    norms += layer.norm.weight == layer.attn_norm.weight ? 1 : 2;
    x = Block(layer, c, x, b.step()).Named(absl::StrCat("layer.", i));
  }
  x = SelectRows(x, b.out_rows());
  x = NormOf(x, ReadNorm(b, "output_norm", c.width), c.eps);
  b.Finish(x, Logits(b, x, table));

  const int layers = static_cast<int>(c.layers);
  b.graph().Expect("attention", layers);
  b.graph().Expect("layer_norm_mul_add", norms);
  b.graph().Expect("matmul_activation", layers);
}

}  // namespace weft::inline v0
