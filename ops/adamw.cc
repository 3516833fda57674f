// A step of AdamW as one op: as a chain it would pass twenty times over every
// parameter.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/op_helpers.h"
#include "ops/optimizer.h"

namespace weft::inline v0 {
namespace {

constexpr size_t kTensors = 4;  // p, m, v, g; then numbers

absl::StatusOr<TensorTypes> InferAdamW(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
  const Shape& shape = call.in[0].shape;
  for (size_t i = 1; i < kTensors; ++i)
    WEFT_RETURN_IF_ERROR(call.Require(
        call.in[i].shape == shape,
        absl::StrCat("C2: operand ", i, " has shape ",
                     call.in[i].shape.ToString(), ", p ", shape.ToString())));
  for (size_t i = kTensors; i < call.in.size(); ++i)
    WEFT_RETURN_IF_ERROR(
        call.Require(call.in[i].shape == Shape({1}),
                     absl::StrCat("C3: operand ", i, " has shape ",
                                  call.in[i].shape.ToString(), ", not [1]")));
  return TensorTypes(3, {DType::kF32, shape});
}

absl::Status AdamWReference(const RefCall& call) {
  const auto number = [&](size_t i) -> double { return call.in[i]->f32()[0]; };
  const double rate = number(4), factor = number(5), step = number(6);
  const double beta1 = call.attrs.Float("beta1");
  const double beta2 = call.attrs.Float("beta2");
  const double decay = call.attrs.Float("weight_decay");
  const double eps = call.attrs.Float("eps");
  const double scale1 = 1 / (1 - std::pow(beta1, step));
  const double scale2 = 1 / (1 - std::pow(beta2, step));
  for (int64_t i = 0; i < call.out[0]->elements(); ++i) {
    double p = call.in[0]->f32()[i], m = call.in[1]->f32()[i],
           v = call.in[2]->f32()[i];
    if (number(7) != 0) {
      const double g = factor * call.in[3]->f32()[i];
      m = beta1 * m + (1 - beta1) * g;
      v = beta2 * v + (1 - beta2) * g * g;
      p -= rate * (m * scale1 / (std::sqrt(v * scale2) + eps) + decay * p);
    }
    call.out[0]->f32()[i] = static_cast<float>(p);
    call.out[1]->f32()[i] = static_cast<float>(m);
    call.out[2]->f32()[i] = static_cast<float>(v);
  }
  return absl::OkStatus();
}

Sample AdamWSample(absl::string_view name, Shape shape, float step,
                   bool apply) {
  return {std::string(name), [=](SampleGraph& g) -> Values {
            const auto number = [&](float value) {
              return g.graph().Constant(HostTensor::FromFloats({1}, {value}),
                                        Where());
            };
            AdamWStep s;
            s.p = g.Normal(shape);
            s.m = g.Normal(shape);
            s.v = g.Uniform(shape, 0.01, 2);
            s.g = g.Normal(shape);
            s.rate = number(0.01f);
            s.factor = number(0.5f);
            s.step = number(step);
            s.apply = number(apply ? 1.0f : 0.0f);
            return AdamW(s, {});
          }};
}

}  // namespace

const OpDef kAdamW = {
    .name = "adamw",
    .doc =
        "A step of AdamW (arXiv:1711.05101): parameter, first and second "
        "moment after it.\n"
        "p, m, v, g f32[...], rate, factor, step, apply f32[1] -> 3 f32[...]\n"
        "m' = beta1 m + (1 - beta1) h, v' = beta2 v + (1 - beta2) h^2, h = "
        "factor g; p' = p - rate (m' / (1 - beta1^step) / (sqrt(v' / (1 - "
        "beta2^step)) + eps) + weight_decay p); where apply is 0: p, m, v.\n"
        "C1: the operands are f32.\n"
        "C2: p, m, v and g have one shape.\n"
        "C3: the numbers have shape [1].",
    .infer = InferAdamW,
    .reference = AdamWReference,
    .samples =
        [] {
          return std::vector<Sample>{AdamWSample("first", {1, 3, 257}, 1, true),
                                     AdamWSample("later", {1500}, 1000, true),
                                     AdamWSample("waits", {1, 33}, 0, false)};
        },
    .n_outputs = 3,
};

Values AdamW(const AdamWStep& s, const AdamWOptions& o, Where at) {
  if (s.p.graph() == nullptr) return Values(3);
  return s.p.graph()->EmitAll(
      kAdamW, {s.p, s.m, s.v, s.g, s.rate, s.factor, s.step, s.apply},
      {{"beta1", o.beta1},
       {"beta2", o.beta2},
       {"eps", o.eps},
       {"weight_decay", o.weight_decay}},
      at);
}

}  // namespace weft::inline v0
