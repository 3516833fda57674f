// BERT (arXiv:1810.04805): an encoder of whole texts. Every token sees all
// others, norms follow what they normalise, and what comes out are hidden
// states.
#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Layer {
  AttentionWeights attn;
  Norm attn_norm, ffn_norm;
  MlpWeights ffn;
};

Layer ReadLayer(ModelBuilder& b, const Sizes& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.attn = ReadAttention(b, c, i, /*cached=*/false);
  w.attn_norm = ReadNorm(b, name("attn_output_norm"), c.width);
  w.ffn = ReadMlp(b, c, i, /*gated=*/false);
  w.ffn_norm = ReadNorm(b, name("layer_output_norm"), c.width);
  return w;
}

Value Block(const Layer& w, const Sizes& c, Value x) {
  const Qkv qkv = ProjectQkv(x, w.attn);
  const Value a = AttendAll(qkv.q, qkv.k, qkv.v, {}, c.attend);
  x = NormOf(x + Project(Merge(a), w.attn.out), w.attn_norm, c.eps);
  const Value h = Project(GeluTanh(Project(x, w.ffn.up)), w.ffn.down);
  return NormOf(x + h, w.ffn_norm, c.eps);
}

}  // namespace

void BuildBert(ModelBuilder& b) {
  Sizes c = ReadSizes(b, {.layer_norm = true, .rope = false});
  c.attend.causal = false;
  const int64_t positions = b.Int("context_length", 1, kMaxContext);
  RequireContext(b, positions);
  if (!b.status().ok()) return;
  const Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  const Value places = b.Weight("position_embd.weight", {positions, c.width});
  Value x = Embed(b, table) + GatherRows(Dequant(places), b.step().pos);
  // Texts are taken as the first of a pair: all tokens are of type 0.
  const std::string types = "token_types.weight";
  if (b.HasTensor(types)) {
    const int64_t n = b.TensorDim(types, 0);
    x = x + Slice(Dequant(b.Weight(types, {n, c.width})), 0, 0, 1);
  }
  x = NormOf(x, ReadNorm(b, "token_embd_norm", c.width), c.eps);
  for (int64_t i = 0; i < c.layers; ++i)
    x = Block(ReadLayer(b, c, i), c, x).Named(absl::StrCat("layer.", i));
  b.Finish(SelectRows(x, b.out_rows()));

  const int layers = static_cast<int>(c.layers);
  b.graph().Expect("attention", layers);
  b.graph().Expect("layer_norm_mul_add", 2 * layers + 1);
  b.graph().Expect("matmul_activation", layers);
}

}  // namespace weft::inline v0
