// MPT (MosaicML 2023): distances as a bias (ALiBi), layer norms without shifts.
#include <cmath>

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

// What some files of the family have beside this.
void RefuseVariants(ModelBuilder& b) {
  const double clamp = b.Float("attention.clamp_kqv", 0);
  if (clamp > 0)
    b.Fail(absl::UnimplementedError(absl::StrCat(
        "mpt: attention.clamp_kqv is ", clamp, "; only 0 is supported")));
  for (const char* name : {"attn_q_norm.weight", "ffn_act.scales"})
    if (b.HasTensor(LayerTensor(0, name)))
      b.Fail(absl::UnimplementedError(absl::StrCat(
          "mpt: tensors ", LayerTensor(0, name), " are not supported")));
}

}  // namespace

void BuildMpt(ModelBuilder& b) {
  Sizes c = ReadSizes(b, {.layer_norm = true, .rope = false});
  c.attend.alibi = b.Float("attention.max_alibi_bias", 0);
  b.Require(c.attend.alibi >= 0, "BIND-A7", "attention.max_alibi_bias",
            absl::StrCat(c.attend.alibi), "0 or more");
  // Bounds the positions of a table only: a bias has a value for any distance.
  const int64_t positions = b.Int("context_length", 1, kMaxContext);
  RefuseVariants(b);
  if (!b.status().ok()) return;
  const Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  Value x = Embed(b, table);
  if (b.HasTensor("position_embd.weight")) {
    RequireContext(b, positions);
    const Value places = b.Weight("position_embd.weight", {positions, c.width});
    x = x + GatherRows(Dequant(places), b.step().pos);
  }
  for (int64_t i = 0; i < c.layers; ++i)
    x = Block(ReadLayer(b, c, i), c, x, b.step())
            .Named(absl::StrCat("layer.", i));
  x = SelectRows(x, b.out_rows());
  x = NormOf(x, ReadNorm(b, "output_norm", c.width), c.eps);
  b.Finish(x, Logits(b, x, table));

  const int layers = static_cast<int>(c.layers);
  b.graph().Expect("attention", layers);
  b.graph().Expect("matmul_activation", layers);
}

}  // namespace weft::inline v0
