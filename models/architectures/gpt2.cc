// GPT-2: learned positions, layer norms, biases everywhere.
#include "models/architecture.h"
#include "models/gelu_decoder.h"
#include "ops/ops.h"

namespace weft::inline v0 {

void BuildGpt2(ModelBuilder& b) {
  const Sizes c = ReadSizes(b, {.layer_norm = true, .rope = false});
  const int64_t positions = b.Int("context_length", 1, kMaxContext);
  RequireContext(b, positions);
  if (!b.status().ok()) return;
  const Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  const Value places = b.Weight("position_embd.weight", {positions, c.width});
  const Value x = Embed(b, table) + GatherRows(Dequant(places), b.step().pos);
  BuildGeluDecoder(b, c, x, table);
}

}  // namespace weft::inline v0
