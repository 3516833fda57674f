// MPT (MosaicML 2023): distances as a bias (ALiBi), layer norms without shifts.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/gelu_decoder.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

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
  b.Require(c.attend.alibi >= 0 && std::isfinite(c.attend.alibi), "BIND-A7",
            "attention.max_alibi_bias", absl::StrCat(c.attend.alibi),
            "0 or more");
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
  BuildGeluDecoder(b, c, x, table);
}

}  // namespace weft::inline v0
