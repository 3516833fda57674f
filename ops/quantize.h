// Activations rounded to fewer bits.
#ifndef WEFT_OPS_QUANTIZE_H_
#define WEFT_OPS_QUANTIZE_H_

#include "graph/graph.h"
#include "graph/passes.h"

namespace weft::inline v0 {

extern const OpDef kQuantize;

// x f32[..., K] as 8-bit values with a scale for each `per_scale` of them: 256
// gives q8_a[..., K], 32 q8_a32[..., K] (see graph/blocks). 1: bf16[..., K],
// which have their own exponents. Lossy.
Value Quantize(Value x, FloatAttr per_scale,
               Where at = std::source_location::current());

// The type of the result: kQ8_A, kQ8_A32 or kBF16.
DType QuantizedType(double per_scale);

// True for weights whose products with 8-bit activations are sums of integers:
// every format of small integer codes.
bool HasIntegerCodes(DType weight);

// True for weights that quantize_activations quantises activations for: those
// of integer codes, and bf16, since CPUs multiply bf16 in pairs. f16 is none:
// its weights would have to be rounded too.
bool WantsQuantized(DType weight);

// The `per_scale` of activations for such a weight: as many values as the
// weight's block has.
int PerScaleFor(DType weight);

// The lossy pass "quantize_activations": every qmatmul of f32 activations with
// a weight that wants them quantised gets a quantize node of its own, in the
// format that goes with the weight. Common subexpression elimination then lets
// products of one value share it; where weights in blocks of 256 and of 32 read
// one value, two are left.
Pass QuantizeActivations(FusionReport* report, RewriteFilter allow = nullptr);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_QUANTIZE_H_
