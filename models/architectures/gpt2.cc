// GPT-2: learned positions, layer norms, biases everywhere.
#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
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
  const Qkv qkv = ProjectQkv(NormOf(x, w.attn_norm, c.eps), w.attn);
  x = x + SelfAttention(qkv, w.attn, step, c.attend);
  const Value h = NormOf(x, w.ffn_norm, c.eps);
  return x + Project(GeluTanh(Project(h, w.ffn.up)), w.ffn.down);
}

}  // namespace

void BuildGpt2(ModelBuilder& b) {
  const Sizes c = ReadSizes(b, {.layer_norm = true, .rope = false});
  const int64_t positions = b.Int("context_length", 1, kMaxContext);
  RequireContext(b, positions);
  if (!b.status().ok()) return;
  const Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  const Value places = b.Weight("position_embd.weight", {positions, c.width});
  Value x = Embed(b, table) + GatherRows(Dequant(places), b.step().pos);
  for (int64_t i = 0; i < c.layers; ++i)
    x = Block(ReadLayer(b, c, i), c, x, b.step())
            .Named(absl::StrCat("layer.", i));
  x = SelectRows(x, b.out_rows());
  x = NormOf(x, ReadNorm(b, "output_norm", c.width), c.eps);
  b.Finish(x, Logits(b, x, table));

  const int layers = static_cast<int>(c.layers);
  b.graph().Expect("attention", layers);
  b.graph().Expect("layer_norm_mul_add", 2 * layers + 1);
  b.graph().Expect("matmul_activation", layers);
}

}  // namespace weft::inline v0
