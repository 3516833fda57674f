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

// The global norm of gradients. Backwards: the gradients of the last parameters
// are there first, so that their operands need not wait for the others.
Value NormOf(absl::Span<const Value> gradients) {
  Value sum;
  for (auto g = gradients.rbegin(); g != gradients.rend(); ++g) {
    const Value part = SumTo(*g * *g, {1});
    sum = sum.graph() == nullptr ? part : sum + part;
  }
  return Sqrt(sum);
}

// min(1, limit / norm), which is 1 - relu(1 - limit / norm).
Value ClipFactor(Graph& g, Value norm, double limit) {
  if (limit <= 0) return Number(g, 1);
  // No norm is so small: it keeps 0 / 0 away.
  const Value share = Div(Number(g, limit), norm + Number(g, 1e-30));
  return Sub(Number(g, 1), Relu(Sub(Number(g, 1), share)));
}

// The name of a parameter's state, copied: the graph grows.
std::string NameOf(const Parameter& p) {
  return p.state.graph()->producer(p.state.id()).name;
}

// A state like the parameter's.
Value StateLike(const Parameter& p, absl::string_view prefix) {
  return p.state.graph()->State(absl::StrCat(prefix, NameOf(p)), DType::kF32,
                                p.state.shape(), Where());
}

// The mean of `runs` gradients, complete in the run where `apply` is 1; the
// next one begins with 0 again.
Value Accumulated(Graph& g, const Parameter& p, Value gradient, int64_t runs,
                  Value apply) {
  const Value state = StateLike(p, "adamw.g.");
  const Value sum = state + Scale(gradient, 1 / static_cast<double>(runs));
  Assign(state, sum * Sub(Number(g, 1), apply));
  return sum;
}

void UpdateParameter(const Parameter& p, const AdamWOptions& options,
                     AdamWStep step) {
  AdamWOptions o = options;
  if (p.value.rank() < 2) o.weight_decay = 0;
  step.p = p.state;
  step.m = StateLike(p, "adamw.m.");
  step.v = StateLike(p, "adamw.v.");
  const Values next = AdamW(step, o);
  Assign(step.m, next[1]);
  Assign(step.v, next[2]);
  Assign(step.p, next[0]);
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
  if (options.accumulate < 1)
    return absl::InvalidArgumentError(absl::StrCat(
        "adamw: a step of ", options.accumulate, " runs; expected at least 1"));
  std::vector<Value> values;
  for (const Parameter& p : parameters) values.push_back(p.value);
  WEFT_ASSIGN_OR_RETURN(std::vector<Value> gradients, Gradient(loss, values));
  Graph& g = *loss.graph();
  AdamWStep step;
  step.apply = options.accumulate == 1 ? Number(g, 1)
                                       : g.Input("apply", DType::kF32, {1});
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Parameter& p = parameters[i];
    gradients[i] = Reshape(gradients[i], p.state.shape());
    if (options.accumulate > 1)
      gradients[i] =
          Accumulated(g, p, gradients[i], options.accumulate, step.apply);
  }
  const Value norm = NormOf(gradients);
  g.Output("gradient_norm", norm);
  step.factor = ClipFactor(g, norm, options.clip_norm);
  const Parameter steps = MakeParameter(g, "adamw.steps", {1});
  step.step = steps.value + step.apply;
  Assign(steps.state, Reshape(step.step, steps.state.shape()));
  step.rate = g.Input("learning_rate", DType::kF32, {1});
  for (size_t i = 0; i < parameters.size(); ++i) {
    step.g = gradients[i];
    UpdateParameter(parameters[i], options, step);
  }
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
