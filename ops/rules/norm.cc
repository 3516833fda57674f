// Normalisation with its weights, and with the residual sum before it.
#include "graph/rewrite.h"
#include "ops/elementwise.h"
#include "ops/fused.h"
#include "ops/norm.h"
#include "ops/rules/rules.h"

namespace weft::inline v0 {
namespace {

bool IsRowVector(Value x, Value w) {
  return w.rank() == 1 && x.rank() > 0 && w.dim(0) == x.dim(-1);
}

}  // namespace

Rule RmsNormMulRule() {
  return Rule("rms_norm_mul")
      .Match([](Any x, Any w, AnyFloat eps) { return RmsNorm(x, eps) * w; })
      .Anchor(kRmsNorm)
      .If("the weight is a vector of the row's length",
          [](Value x, Value w, double) { return IsRowVector(x, w); })
      .Emit([](Value x, Value w, double eps) { return RmsNormMul(x, w, eps); });
}

Rule LayerNormMulAddRule() {
  return Rule("layer_norm_mul_add")
      .Match([](Any x, Any w, Any b, AnyFloat eps) {
        return LayerNorm(x, eps) * w + b;
      })
      .Anchor(kLayerNorm)
      .If("weight and bias are vectors of the row's length",
          [](Value x, Value w, Value b, double) {
            return IsRowVector(x, w) && IsRowVector(x, b);
          })
      .Emit([](Value x, Value w, Value b, double eps) {
        return LayerNormMulAdd(x, w, b, eps);
      });
}

Rule AddRmsNormRule() {
  return Rule("add_rms_norm")
      .Match([](Any a, Any b, Any w, AnyFloat eps) {
        const Value sum = a + b;
        return Values{RmsNormMul(sum, w, eps), sum};
      })
      .If("the summands have one shape",
          [](Value a, Value b, Value, double) {
            return a.shape() == b.shape();
          })
      .Emit([](Value a, Value b, Value w, double eps) {
        const Values both = AddRmsNorm(a, b, w, eps);
        return Values{both[1], both[0]};
      });
}

}  // namespace weft::inline v0
