// Activations as 8-bit blocks.
#ifndef WEFT_OPS_QUANTIZE_H_
#define WEFT_OPS_QUANTIZE_H_

#include "graph/graph.h"
#include "graph/passes.h"

namespace weft::inline v0 {

extern const OpDef kQuantize;

// x f32[..., K] as q8_a[..., K] (see graph/blocks/q8_a.h). Lossy.
Value Quantize(Value x, Where at = std::source_location::current());

// True for weights whose products with q8_a activations are sums of integers:
// every format of small integer codes.
bool HasIntegerCodes(DType weight);

// The lossy pass "quantize_activations": every qmatmul of f32 activations with
// a weight of integer codes gets a quantize node of its own for them. Common
// subexpression elimination then lets products of one value share it.
Pass QuantizeActivations(FusionReport* report, RewriteFilter allow = nullptr);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_QUANTIZE_H_
