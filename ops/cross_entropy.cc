#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/loss.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

absl::Status RequireTargets(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C1", 0, DType::kF32));
  WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C1", 0, 2));
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C2", 1, DType::kI32));
  const Shape& x = call.in[0].shape;
  const Shape rows(x.dims().subspan(0, static_cast<size_t>(x.rank() - 1)));
  return call.Require(
      call.in[1].shape == rows,
      absl::StrCat("C2: targets have shape ", call.in[1].shape.ToString(),
                   ", the rows of logits ", rows.ToString()));
}

// OutOfRange unless every target is below n; else the number that count.
absl::StatusOr<int64_t> CountTargets(const HostTensor& targets, int64_t n) {
  int64_t count = 0;
  for (int64_t r = 0; r < targets.elements(); ++r) {
    const int32_t target = targets.i32()[r];
    if (target >= 0) WEFT_RETURN_IF_ERROR(CheckIndex("targets", r, target, n));
    count += target >= 0;
  }
  return count;
}

// log(sum(exp(x))).
double LogSumExp(const float* x, int64_t n) {
  const double max = *std::max_element(x, x + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(x[i] - max);
  return std::log(sum) + max;
}

absl::Status LossReference(const RefCall& call) {
  const HostTensor& x = *call.in[0];
  const HostTensor& targets = *call.in[1];
  const int64_t n = x.dim(-1);
  WEFT_ASSIGN_OR_RETURN(const int64_t count, CountTargets(targets, n));
  double sum = 0;
  for (int64_t r = 0; r < targets.elements(); ++r)
    if (const int32_t target = targets.i32()[r]; target >= 0)
      sum += LogSumExp(x.f32() + r * n, n) - x.f32()[r * n + target];
  call.out[0]->f32()[0] =
      count == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(count));
  return absl::OkStatus();
}

absl::Status GradientReference(const RefCall& call) {
  const HostTensor& x = *call.in[0];
  const HostTensor& targets = *call.in[1];
  const int64_t n = x.dim(-1);
  WEFT_ASSIGN_OR_RETURN(const int64_t count, CountTargets(targets, n));
  const double share =
      count == 0 ? 0 : call.in[2]->f32()[0] / static_cast<double>(count);
  for (int64_t r = 0; r < targets.elements(); ++r) {
    const int32_t target = targets.i32()[r];
    if (target < 0) continue;  // results are zero at first
    const float* row = x.f32() + r * n;
    float* y = call.out[0]->f32() + r * n;
    const double log_sum = LogSumExp(row, n);
    for (int64_t i = 0; i < n; ++i)
      y[i] = static_cast<float>(share *
                                (std::exp(row[i] - log_sum) - (i == target)));
  }
  return absl::OkStatus();
}

// `build` gets logits and targets; in `some` the targets begin at -2, so that
// two rows do not count.
template <class F>
std::vector<Sample> LossSamples(F build) {
  return {{"rows",
           [build](SampleGraph& g) -> Values {
             const Value x = g.Normal({7, 257});
             return {build(g, x, g.Ids({7}, 257))};
           }},
          {"batch",
           [build](SampleGraph& g) -> Values {
             const Dim t = Dim::Symbol("T", 5);
             const Value x = g.Uniform({3, t, 33}, -9, 9);
             return {build(g, x, g.Ids({3, t}, 33))};
           }},
          {"some", [build](SampleGraph& g) -> Values {
             const Value x = g.Normal({6, 17});
             return {build(g, x, g.Positions({6}, -2))};
           }}};
}

}  // namespace

const OpDef kCrossEntropy = {
    .name = "cross_entropy",
    .doc =
        "y = mean over rows of log(sum(exp(x))) - x[target].\n"
        "x f32[..., n], targets i32[...] -> f32[1]; rows with a target below "
        "0 do not count, and 0 is the mean of none. At run time, OutOfRange "
        "for a target of n or more.\n"
        "C1: x is f32 of rank >= 2.\n"
        "C2: targets are i32, one for each row of x.",
    .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
      WEFT_RETURN_IF_ERROR(RequireTargets(call));
      return OneType(DType::kF32, {1});
    },
    .reference = LossReference,
    .samples =
        [] {
          return LossSamples([](SampleGraph&, Value x, Value targets) {
            return CrossEntropy(x, targets);
          });
        },
    .gradient = [](const GradientCall& c) -> Values {
      return {CrossEntropyGradient(c.in[0], c.in[1], c.grad[0]), Value()};
    },
};

const OpDef kCrossEntropyGradient = {
    .name = "cross_entropy_gradient",
    .doc =
        "y = g / rows * (softmax(x) - [i = target]).\n"
        "x f32[..., n], targets i32[...], g f32[1] -> f32[..., n]; zero in "
        "rows with a target below 0, which do not count among the rows.\n"
        "C1: x is f32 of rank >= 2.\n"
        "C2: targets are i32, one for each row of x.\n"
        "C3: g is f32[1].",
    .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
      WEFT_RETURN_IF_ERROR(RequireTargets(call));
      WEFT_RETURN_IF_ERROR(RequireDType(call, "C3", 2, DType::kF32));
      WEFT_RETURN_IF_ERROR(
          call.Require(call.in[2].shape == Shape({1}),
                       absl::StrCat("C3: g has shape ",
                                    call.in[2].shape.ToString(), ", not [1]")));
      return OneType(DType::kF32, call.in[0].shape);
    },
    .reference = GradientReference,
    .samples =
        [] {
          return LossSamples([](SampleGraph& g, Value x, Value targets) {
            return CrossEntropyGradient(x, targets, g.Normal({1}));
          });
        },
    .in_place = 0b1,
};

Value CrossEntropy(Value logits, Value targets, Where at) {
  return EmitNode(kCrossEntropy, {logits, targets}, {}, at);
}

Value CrossEntropyGradient(Value logits, Value targets, Value g, Where at) {
  return EmitNode(kCrossEntropyGradient, {logits, targets, g}, {}, at);
}

}  // namespace weft::inline v0
