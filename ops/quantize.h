// Activations as 8-bit blocks.
#ifndef WEFT_OPS_QUANTIZE_H_
#define WEFT_OPS_QUANTIZE_H_

#include "graph/graph.h"
#include "graph/passes.h"

namespace weft::inline v0 {

extern const OpDef kQuantize;

// x f32[..., K] as 8-bit values with a scale for each `per_scale` of them: 256
// gives q8_a[..., K], 32 q8_a32[..., K] (see graph/blocks). Lossy.
Value Quantize(Value x, FloatAttr per_scale,
               Where at = std::source_location::current());

// The type of the result: kQ8_A or kQ8_A32.
DType QuantizedType(double per_scale);

// True for weights whose products with 8-bit activations are sums of integers:
// every format of small integer codes.
bool HasIntegerCodes(DType weight);

// The `per_scale` of activations for such a weight: as many values as the
// weight's block has.
int PerScaleFor(DType weight);

// The lossy pass "quantize_activations": every qmatmul of f32 activations with
// a weight of integer codes gets a quantize node of its own for them, in the
// format that the weight wants. Common subexpression elimination then lets
// products of one value share it; where weights in blocks of 256 and of 32 read
// one value, two are left.
Pass QuantizeActivations(FusionReport* report, RewriteFilter allow = nullptr);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_QUANTIZE_H_
