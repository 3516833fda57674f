// StarCoder 2 (arXiv:2402.19173): rotary positions, layer norms and biases.
#include "models/architecture.h"
#include "models/gelu_decoder.h"
#include "ops/ops.h"

namespace weft::inline v0 {

void BuildStarcoder2(ModelBuilder& b) {
  const Sizes c = ReadSizes(b, {.layer_norm = true});
  if (!b.status().ok()) return;
  const Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  BuildGeluDecoder(b, c, Embed(b, table), table);
}

}  // namespace weft::inline v0
