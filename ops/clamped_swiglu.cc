// The bounded gate of gpt-oss.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/experts.h"
#include "ops/gradient_ops.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

absl::StatusOr<TensorTypes> InferClampedSwiGlu(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
  WEFT_RETURN_IF_ERROR(call.Require(
      call.in[0].shape == call.in[1].shape,
      absl::StrCat("C2: gate and up have shapes ", call.in[0].shape.ToString(),
                   " and ", call.in[1].shape.ToString())));
  const double limit = call.attrs.Float("limit");
  WEFT_RETURN_IF_ERROR(call.Require(
      limit > 0, absl::StrCat("C3: the limit is ", limit, ", not above 0")));
  return OneType(DType::kF32, call.in[0].shape);
}

absl::Status ClampedSwiGluReference(const RefCall& call) {
  const double limit = call.attrs.Float("limit");
  const float* gate = call.in[0]->f32();
  const float* up = call.in[1]->f32();
  for (int64_t i = 0; i < call.out[0]->elements(); ++i) {
    const double g = std::min<double>(gate[i], limit);
    const double u = std::clamp<double>(up[i], -limit, limit);
    call.out[0]->f32()[i] =
        static_cast<float>(g / (1 + std::exp(-1.702 * g)) * (u + 1));
  }
  return absl::OkStatus();
}

// min(x, limit) is limit - relu(limit - x), whose slope the gradient of relu
// is.
Values ClampedSwiGluRule(const GradientCall& c) {
  const auto limit_value = static_cast<float>(c.attrs.Float("limit"));
  const auto number = [&](float value) {
    return c.in[0].graph()->Constant(HostTensor::FromFloats({1}, {value}),
                                     Where());
  };
  const Value limit = number(limit_value);
  const Value below_gate = Sub(limit, c.in[0]);  // above 0: not bounded
  const Value below_up = Sub(limit, c.in[1]), above_up = c.in[1] + limit;
  const Value gate = Sub(limit, Relu(below_gate));
  // Between the limits, plus 1.
  const Value up = Relu(Sub(number(2 * limit_value), Relu(below_up))) +
                   number(1 - limit_value);
  const Value to_gate = ActivationGradient(gate, c.grad[0] * up, "gelu_quick");
  const Value to_up = c.grad[0] * GeluQuick(gate);
  return {ActivationGradient(below_gate, to_gate, "relu"),
          ActivationGradient(
              above_up, ActivationGradient(below_up, to_up, "relu"), "relu")};
}

}  // namespace

const OpDef kClampedSwiGlu = {
    .name = "clamped_swiglu",
    .doc =
        "y = g sigmoid(1.702 g) (u + 1), g = min(gate, limit), u = up clamped "
        "to [-limit, limit].\n"
        "f32[...], f32[...] -> f32[...]\n"
        "C1: the operands are f32.\n"
        "C2: they have one shape.\n"
        "C3: limit > 0.",
    .infer = InferClampedSwiGlu,
    .reference = ClampedSwiGluReference,
    .samples = []() -> std::vector<Sample> {
      return {
          {"wide",
           [](SampleGraph& g) -> Values {
             const Dim t = Dim::Symbol("T", 5);
             const Value gate = g.Uniform({t, 3, 37}, -20, 20);
             return {ClampedSwiGlu(gate, g.Uniform({t, 3, 37}, -20, 20), 7)};
           }},
          {"one", [](SampleGraph& g) -> Values {
             return {ClampedSwiGlu(g.Normal({1}), g.Normal({1}), 7)};
           }}};
    },
    .gradient = ClampedSwiGluRule,
    .in_place = 0b11,
};

Value ClampedSwiGlu(Value gate, Value up, double limit, Where at) {
  return EmitNode(kClampedSwiGlu, {gate, up}, {{"limit", limit}}, at);
}

}  // namespace weft::inline v0
