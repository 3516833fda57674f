#include "ops/optimizer.h"

#include <cmath>
#include <numbers>
#include <string>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/gradient.h"
#include "ops/shape_ops.h"

namespace weft::inline v0 {
namespace {

Value Number(Graph& g, double value) {
  return g.Constant(HostTensor::FromFloats({1}, {static_cast<float>(value)}),
                    Where());
}

// Makes `x` the content of the parameter's state.
void Update(const Parameter& p, Value x) {
  Assign(p.state, Reshape(x, p.state.shape()));
}

// The global norm of gradients, in the order of the parameters.
Value NormOf(absl::Span<const Value> gradients) {
  Value sum;
  for (const Value& g : gradients) {
    const Value part = SumTo(g * g, {1});
    sum = sum.graph() == nullptr ? part : sum + part;
  }
  return Sqrt(sum);
}

// min(1, limit / norm), which is 1 - relu(1 - limit / norm).
Value ClipFactor(Graph& g, Value norm, double limit) {
  // No norm is so small: it keeps 0 / 0 away.
  const Value share = Div(Number(g, limit), norm + Number(g, 1e-30));
  return Sub(Number(g, 1), Relu(Sub(Number(g, 1), share)));
}

// What all parameters of a step share.
struct Shared {
  Value rate;    // f32[1]
  Value scale1;  // 1 / (1 - beta1^t)
  Value scale2;  // 1 / (1 - beta2^t)
};

// 1 / (1 - beta^t).
Value BiasScale(Graph& g, Value t, double beta) {
  const Value power = Exp(Scale(t, std::log(beta)));
  return Div(Number(g, 1), Sub(Number(g, 1), power));
}

void UpdateParameter(Graph& g, const Parameter& p, Value gradient,
                     const AdamWOptions& o, const Shared& step) {
  const std::string name = g.producer(p.state.id()).name;  // the graph grows
  const Shape shape = p.value.shape();
  const Parameter m = MakeParameter(g, absl::StrCat("adamw.m.", name), shape);
  const Parameter v = MakeParameter(g, absl::StrCat("adamw.v.", name), shape);
  const Value m1 = Scale(m.value, o.beta1) + Scale(gradient, 1 - o.beta1);
  const Value v1 =
      Scale(v.value, o.beta2) + Scale(gradient * gradient, 1 - o.beta2);
  Value change =
      Div(m1 * step.scale1, Sqrt(v1 * step.scale2) + Number(g, o.eps));
  if (o.weight_decay != 0 && shape.rank() >= 2)
    change = change + Scale(p.value, o.weight_decay);
  Update(m, m1);
  Update(v, v1);
  Update(p, Sub(p.value, change * step.rate));
}

}  // namespace

Parameter MakeParameter(Graph& graph, absl::string_view name, Shape shape,
                        Where at) {
  Shape slot = {1};
  for (const Dim& dim : shape) slot.Append(dim);
  const Value state = graph.State(name, DType::kF32, slot, at);
  return {state, Reshape(state, std::move(shape), at)};
}

absl::Status AddAdamW(Value loss, absl::Span<const Parameter> parameters,
                      const AdamWOptions& options) {
  std::vector<Value> values;
  for (const Parameter& p : parameters) values.push_back(p.value);
  WEFT_ASSIGN_OR_RETURN(std::vector<Value> gradients, Gradient(loss, values));
  Graph& g = *loss.graph();
  const Value norm = NormOf(gradients);
  g.Output("gradient_norm", norm);
  if (options.clip_norm > 0) {
    const Value factor = ClipFactor(g, norm, options.clip_norm);
    for (Value& gradient : gradients) gradient = gradient * factor;
  }
  const Parameter steps = MakeParameter(g, "adamw.steps", {1});
  const Value t = steps.value + Number(g, 1);
  Update(steps, t);
  const Shared step = {g.Input("learning_rate", DType::kF32, {1}),
                       BiasScale(g, t, options.beta1),
                       BiasScale(g, t, options.beta2)};
  for (size_t i = 0; i < parameters.size(); ++i)
    UpdateParameter(g, parameters[i], gradients[i], options, step);
  return g.status();
}

double RateAt(const RateSchedule& s, int64_t step) {
  if (step < s.warm_up)
    return s.peak * static_cast<double>(step + 1) /
           static_cast<double>(s.warm_up);
  const int64_t falling = s.steps - s.warm_up;
  if (step >= s.steps - 1 || falling <= 1) return s.low;
  const double done =
      static_cast<double>(step - s.warm_up) / static_cast<double>(falling - 1);
  return s.low +
         (s.peak - s.low) * 0.5 * (1 + std::cos(std::numbers::pi * done));
}

}  // namespace weft::inline v0
