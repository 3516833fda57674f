#include "models/gelu_decoder.h"

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Layer {
  Norm attn_norm, ffn_norm;
  AttentionWeights attn;
  MlpWeights ffn;
};

Layer ReadLayer(ModelBuilder& b, const Sizes& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.attn_norm = ReadNorm(b, name("attn_norm"), c.width);
  w.attn = ReadAttention(b, c, i);
  w.ffn_norm = ReadNorm(b, name("ffn_norm"), c.width);
  w.ffn = ReadMlp(b, c, i, /*gated=*/false);
  return w;
}

Value Block(const Layer& w, const Sizes& c, Value x, const Step& step) {
  Qkv qkv = ProjectQkv(NormOf(x, w.attn_norm, c.eps), w.attn);
  if (c.rope.n_dims > 0) qkv = Rotated(qkv, step.pos, c.rope);
  x = x + SelfAttention(qkv, w.attn, step, c.attend);
  const Value h = NormOf(x, w.ffn_norm, c.eps);
  return x + Project(GeluTanh(Project(h, w.ffn.up)), w.ffn.down);
}

}  // namespace

void BuildGeluDecoder(ModelBuilder& b, const Sizes& c, Value x, Value table) {
  for (int64_t i = 0; i < c.layers; ++i)
    x = Block(ReadLayer(b, c, i), c, x, b.step())
            .Named(absl::StrCat("layer.", i));
  x = SelectRows(x, b.out_rows());
  const Norm norm = ReadNorm(b, "output_norm", c.width);
  x = NormOf(x, norm, c.eps);
  b.Finish(x, Logits(b, x, table));

  const int layers = static_cast<int>(c.layers);
  b.graph().Expect("attention", layers);
  b.graph().Expect("matmul_activation", layers);
  if (norm.bias.graph() != nullptr)
    b.graph().Expect("layer_norm_mul_add", 2 * layers + 1);
}

}  // namespace weft::inline v0
