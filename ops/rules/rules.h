// The fusion rules. Each is one function in a file of its family; the list is
// in rules.cc.
#ifndef WEFT_OPS_RULES_RULES_H_
#define WEFT_OPS_RULES_RULES_H_

#include <vector>

#include "graph/rewrite.h"

namespace weft::inline v0 {

// All lossless fusions, in the order in which they are applied: a rule may
// build on what those before it made.
std::vector<Rule> FusionRules();

// QK^T -> softmax -> V to attention, canonical or written out by hand.
Rule AttentionRule();
// MatMul(x, Transpose(Dequant(w))) to qmatmul; GatherRows(Dequant(w), ids) to
// qgather; and the f32 weight that needs no dequant.
Rule DequantMatMulRule();
Rule TransposeMatMulRule();
// MatMul with either operand transposed, of computed values.
Rule TransposedLeftRule();
Rule TransposedRightRule();
Rule DequantGatherRule();
// MatMulById(x, Dequant(w), ...) to qmatmul_by_id.
Rule ByIdRule();
// qmatmul followed by + bias, then by an activation.
Rule MatMulBiasRule();
Rule MatMulActivationRule();
// RmsNorm(x) * w; (a + b) into that; LayerNorm(x) * w + b.
Rule RmsNormMulRule();
Rule AddRmsNormRule();
Rule LayerNormMulAddRule();
// activation(gate) * up.
Rule GatedRule();
// That of two products of one value: gate and up in one step.
Rule GatedMatMulRule();

// Fusions after quantize_activations: quantize into the op that computes its
// input.
std::vector<Rule> QuantizeRules();

// Quantize(RmsNormMul), Quantize(AddRmsNorm's second result),
// Quantize(LayerNormMulAdd), Quantize(Gated) or of its products.
Rule NormQuantizeRule();
Rule AddNormQuantizeRule();
Rule LayerNormQuantizeRule();
Rule GatedQuantizeRule();

}  // namespace weft::inline v0

#endif  // WEFT_OPS_RULES_RULES_H_
