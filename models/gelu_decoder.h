// Decoders of GPT-2's kind: gpt2, mpt, starcoder2. They differ in how tokens
// get their places.
#ifndef WEFT_MODELS_GELU_DECODER_H_
#define WEFT_MODELS_GELU_DECODER_H_

#include "models/blocks.h"
#include "models/model_builder.h"

namespace weft::inline v0 {

// The layers over x f32[T, width], each
//   x = x + Attention(LayerNorm(x)); x = x + Down(GeluTanh(Up(LayerNorm(x))))
// with rotated queries and keys where the sizes have a rope, then the last norm
// and the products with output.weight or `table`. Ends the model: calls
// Finish. Expects the fusions that all of the kind have, layer_norm_mul_add
// only where norms have shifts.
void BuildGeluDecoder(ModelBuilder& b, const Sizes& sizes, Value x,
                      Value table);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GELU_DECODER_H_
