// Ops that gradient rules are made of, where the primitive ones would pass over
// memory many times. Models have no use for them.
#ifndef WEFT_OPS_GRADIENT_OPS_H_
#define WEFT_OPS_GRADIENT_OPS_H_

#include "absl/strings/string_view.h"
#include "graph/graph.h"
#include "graph/sample.h"
#include "ops/recurrent.h"

namespace weft::inline v0 {

extern const OpDef kActivationGradient, kNormGradient, kSoftmaxGradient,
    kScatterRows, kPad, kAfter, kRouteGradient, kOuterById, kCausalConvGradient,
    kSelectiveScanGradient;

// g * f'(x) with the activation f of that name (see Activations()).
Value ActivationGradient(Value x, Value g, absl::string_view activation,
                         Where at = std::source_location::current());
// The gradient of RmsNorm(x, eps), or of LayerNorm where `centered`, from the
// gradient g of its result.
Value NormGradient(Value x, Value g, FloatAttr eps, bool centered,
                   Where at = std::source_location::current());
// The gradient of the scores from the result y of a softmax and its gradient g.
Value SoftmaxGradient(Value y, Value g,
                      Where at = std::source_location::current());
// f32[N, ...] whose row n is the sum of the rows x[t] with ids[t] = n: x
// f32[T, ...], ids i32[T]. Rows are added in the order of t.
Value ScatterRows(Value x, Value ids, Dim rows,
                  Where at = std::source_location::current());
// x with zeros before and after it along a constant dimension.
Value Pad(Value x, int axis, int64_t before, int64_t after,
          Where at = std::source_location::current());

// x, not before `after` is computed.
Value After(Value x, Value after, Where at = std::source_location::current());
// The gradient of the logits of a Route with these attributes, whose result
// `ids` i32[T, used] is, from the gradient g f32[T, used] of its weights.
Value RouteGradient(Value logits, Value ids, Value g, const Attrs& route,
                    Where at = std::source_location::current());
// f32[E, N, K] whose matrix e is the sum over t, j with ids[t, j] = e of
// g[t, j]^T x[t, j], in the order of t and j: g f32[T, J, N], x f32[T, J, K] or
// [T, K], ids i32[T, J]. The gradient of the matrices of MatMulById.
Value OuterById(Value g, Value x, Value ids, Dim matrices,
                Where at = std::source_location::current());

// The gradients of x and w of CausalConv(state, x, w, bias, step) from the
// gradient g of its result, and those of the inputs of SelectiveScan, in their
// order. All sequences begin in the step, at position 0: what a state held
// before is gone by then.
Values CausalConvGradient(Value x, Value w, Value g, const Step& step,
                          Where at = std::source_location::current());
Values SelectiveScanGradient(const ScanInputs& in, Value g, const Step& step,
                             Where at = std::source_location::current());

// In a sample: sequences of that many tokens, one after the other, as training
// has them.
Step WindowsOf(SampleGraph& g, int64_t windows, int64_t length);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_GRADIENT_OPS_H_
