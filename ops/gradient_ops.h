// Ops that gradient rules are made of, where the primitive ones would pass over
// memory many times. Models have no use for them.
#ifndef WEFT_OPS_GRADIENT_OPS_H_
#define WEFT_OPS_GRADIENT_OPS_H_

#include "absl/strings/string_view.h"
#include "graph/graph.h"

namespace weft::inline v0 {

extern const OpDef kActivationGradient, kNormGradient, kSoftmaxGradient,
    kScatterRows, kPad;

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

}  // namespace weft::inline v0

#endif  // WEFT_OPS_GRADIENT_OPS_H_
