// Ops that carry a small state from token to token (Mamba: Gu & Dao 2023,
// arXiv:2312.00752).
//
// Tokens of one slot stand in a step in their order; one at position 0 starts
// from a state of zeros, any other continues from the one before it.
#ifndef WEFT_OPS_RECURRENT_H_
#define WEFT_OPS_RECURRENT_H_

#include "graph/graph.h"
#include "ops/gather.h"

namespace weft::inline v0 {

extern const OpDef kCausalConv, kSelectiveScan;

// A convolution over the last K tokens, each channel for itself:
//   y[t, d] = bias[d] + sum over k of w[d, k] * x[t - (K - 1) + k, d]
// x f32[T, D], w f32[D, K], bias f32[D], K >= 2; `state` f32[slots, K - 1, D]
// holds the inputs before this step's, the oldest first.
Value CausalConv(Value state, Value x, Value w, Value bias, const Step& step,
                 Where at = std::source_location::current());

// What each token brings to a scan.
struct ScanInputs {
  Value x;      // f32[T, D]
  Value delta;  // f32[T, D]; its softplus is the step size
  Value a;      // f32[D, N], below 0
  Value b, c;   // f32[T, N]
};

// A linear recurrence whose coefficients depend on the input:
//   s[d, n] = exp(delta' a[d, n]) s[d, n] + delta' b[t, n] x[t, d]
//   y[t, d] = sum over n of c[t, n] s[d, n],  delta' = softplus(delta[t, d])
// `state` is f32[slots, D, N].
Value SelectiveScan(Value state, const ScanInputs& in, const Step& step,
                    Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_RECURRENT_H_
