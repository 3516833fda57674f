#include "ops/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/gradient_ops.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

// y = exp(x - max) / sum, the sink being part of the sum. The maximum only
// keeps exp from overflowing; it is never subtracted from -inf, so that a row
// of nothing but -inf has the sum 0.
void SoftmaxRow(const float* x, int64_t n, float sink, float* y) {
  const double max = std::max(sink, *std::max_element(x, x + n));
  const auto weight = [max](float v) {
    return v == kHidden ? 0.0 : std::exp(v - max);
  };
  double sum = weight(sink);
  for (int64_t i = 0; i < n; ++i) sum += weight(x[i]);
  for (int64_t i = 0; i < n; ++i)
    y[i] = sum == 0 ? 0.0f : static_cast<float>(weight(x[i]) / sum);
}

absl::StatusOr<TensorTypes> InferSoftmax(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
  WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C2", 0, 1));
  const Shape& x = call.in[0].shape;
  if (call.in.size() < 2) return OneType(DType::kF32, x);
  Shape rows = x;
  rows.dim(-1) = Dim(1);
  WEFT_ASSIGN_OR_RETURN(
      const Shape both,
      BroadcastDims(call, "C3", rows.dims(), call.in[1].shape.dims()));
  WEFT_RETURN_IF_ERROR(call.Require(
      both == rows,
      absl::StrCat("C3: sinks of shape ", call.in[1].shape.ToString(),
                   " are not one for each row of ", x.ToString())));
  return OneType(DType::kF32, x);
}

absl::Status SoftmaxReference(const RefCall& call) {
  const HostTensor& x = *call.in[0];
  const int64_t n = x.dim(-1);
  if (n == 0) return absl::OkStatus();
  Dims rows = x.dims;
  rows.back() = 1;
  const HostTensor* sinks = call.in.size() > 1 ? call.in[1] : nullptr;
  const Dims strides =
      sinks == nullptr ? Dims() : BroadcastStrides(sinks->dims, rows);
  int64_t r = 0;
  ForEachIndex(rows, [&](absl::Span<const int64_t> index) {
    const float sink =
        sinks == nullptr ? kHidden : sinks->f32()[Offset(index, strides)];
    SoftmaxRow(x.f32() + r * n, n, sink, call.out[0]->f32() + r * n);
    ++r;
  });
  return absl::OkStatus();
}

// A sink takes the share that the row leaves: its own gradient is
// -share * sum(g y).
Values SoftmaxRule(const GradientCall& c) {
  const Value y = c.out[0], g = c.grad[0];
  Values gradients = {SoftmaxGradient(y, g)};
  if (c.in.size() < 2) return gradients;
  Shape rows = y.shape();
  rows.dim(-1) = Dim(1);
  const Value one =
      y.graph()->Constant(HostTensor::FromFloats({1}, {1.0f}), Where());
  const Value share = Sub(one, SumTo(y, rows));
  gradients.push_back(
      Scale(SumTo(share * SumTo(g * y, rows), c.in[1].shape()), -1));
  return gradients;
}

absl::StatusOr<TensorTypes> InferMask(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C1", 0, DType::kF32));
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C2", 1, DType::kI32));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C2", 1, 1));
  const Shape& x = call.in[0].shape;
  const Dim t = call.in[1].shape.dim(0);
  const int64_t axis = call.attrs.Int("query_axis");
  WEFT_RETURN_IF_ERROR(call.Require(
      axis >= 0 && axis < x.rank() - 1,
      absl::StrCat("C3: query axis ", axis, " of a tensor of rank ", x.rank(),
                   ", whose last axis counts keys")));
  const Dim queries = x.dim(static_cast<int>(axis));
  WEFT_RETURN_IF_ERROR(call.Require(
      queries == t, absl::StrCat("C4: ", queries.ToString(), " queries, ",
                                 t.ToString(), " positions")));
  const int64_t window = call.attrs.Int("window");
  WEFT_RETURN_IF_ERROR(call.Require(
      window >= 0, absl::StrCat("C5: window is ", window, ", below 0")));
  return OneType(DType::kF32, x);
}

absl::Status MaskReference(const RefCall& call) {
  const size_t axis = static_cast<size_t>(call.attrs.Int("query_axis"));
  const bool causal = call.attrs.Int("causal") != 0;
  const int64_t window = call.attrs.Int("window");
  const HostTensor& pos = *call.in[1];
  const float* x = call.in[0]->f32();
  float* y = call.out[0]->f32();
  ForEachIndex(call.out[0]->dims, [&](absl::Span<const int64_t> index) {
    const int64_t query = pos.i32()[index[axis]];
    const int64_t key = index.back();
    const bool hidden =
        (causal && key > query) || (window > 0 && query - key >= window);
    *y++ = hidden ? kHidden : *x;
    ++x;
  });
  return absl::OkStatus();
}

Sample MaskSample(absl::string_view name, Shape x, int64_t first,
                  MaskOptions options) {
  return {std::string(name), [=](SampleGraph& g) -> Values {
            const Value scores = g.Normal(x);
            const Value pos = g.Positions({x.dim(options.query_axis)}, first);
            return {Mask(scores, pos, options)};
          }};
}

std::vector<Sample> MaskSamples() {
  const Dim t = Dim::Symbol("T", 6);
  return {MaskSample("causal", {t, 3, 1, 33}, 0, {}),
          MaskSample("causal_later", {t, 2, 1, 17}, 5, {}),
          MaskSample("window", {t, 2, 1, 33}, 9, {.window = 4}),
          MaskSample("window_both_sides", {t, 17}, 9,
                     {.causal = false, .window = 3}),
          MaskSample("query_axis", {2, t, 9}, 0, {.query_axis = 1})};
}

}  // namespace

const OpDef kSoftmax = {
    .name = "softmax",
    .doc =
        "y = exp(x) / sum(exp(x)) over the fastest dimension.\n"
        "f32[..., n], sinks f32[..., 1] (optional) -> f32[..., n]; -inf counts "
        "as excluded, and a row of nothing but -inf gives zeros. The sum "
        "includes exp(sink) (Xiao et al. 2023, arXiv:2309.17453).\n"
        "C1: x and sinks are f32.\n"
        "C2: x has rank >= 1.\n"
        "C3: sinks broadcast to one for each row of x.",
    .infer = InferSoftmax,
    .reference = SoftmaxReference,
    .samples = []() -> std::vector<Sample> {
      return {{"rows",
               [](SampleGraph& g) -> Values {
                 return {Softmax(g.Normal({Dim::Symbol("T", 5), 257}))};
               }},
              {"wide",
               [](SampleGraph& g) -> Values {
                 return {Softmax(g.Uniform({3, 17}, -200, 200))};
               }},
              {"one",
               [](SampleGraph& g) -> Values {
                 return {Softmax(g.Normal({3, 1}))};
               }},
              {"sinks",
               [](SampleGraph& g) -> Values {
                 const Value x = g.Normal({Dim::Symbol("T", 4), 3, 1, 19});
                 return {Softmax(x, g.Normal({3, 1, 1}))};
               }},
              // Position -1 sees nothing: its row is all -inf.
              {"masked", [](SampleGraph& g) -> Values {
                 const Value x = g.Normal({4, 2, 33});
                 return {Softmax(Mask(x, g.Positions({4}, -1), {}))};
               }}};
    },
    .gradient = SoftmaxRule,
    .in_place = 0b1,
};

const OpDef kMask = {
    .name = "mask",
    .doc =
        "Scores with those of hidden keys set to -inf.\n"
        "x f32[..., T, ..., K], pos i32[T] -> f32[..., T, ..., K]; the "
        "query t stands at pos[t], the key j at j.\n"
        "causal: keys with j > pos are hidden. window > 0: keys with "
        "pos - j >= window are hidden.\n"
        "C1: x is f32.\n"
        "C2: pos is i32 of rank 1.\n"
        "C3: query_axis is an axis of x other than the fastest.\n"
        "C4: x has as many queries as pos has positions.\n"
        "C5: window >= 0.",
    .infer = InferMask,
    .reference = MaskReference,
    .samples = MaskSamples,
    // What reads a hidden -inf and gives something finite (a softmax) sends
    // nothing back: the rest passes as it is.
    .gradient = [](const GradientCall& c) -> Values {
      return {c.grad[0], Value()};
    },
    .in_place = 0b1,
};

Value Softmax(Value x, Value sinks, Where at) {
  if (sinks.graph() == nullptr) return EmitNode(kSoftmax, {x}, {}, at);
  return EmitNode(kSoftmax, {x, sinks}, {}, at);
}

Value Mask(Value x, Value pos, const MaskOptions& options, Where at) {
  return EmitNode(kMask, {x, pos},
                  {{"causal", options.causal},
                   {"window", options.window},
                   {"query_axis", NormalAxis(x, options.query_axis)}},
                  at);
}

}  // namespace weft::inline v0
