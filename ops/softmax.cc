#include "ops/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

// y = exp(x - max) / sum. The maximum only keeps exp from overflowing; it is
// never subtracted from -inf, so that a row of nothing but -inf has the sum 0.
void SoftmaxRow(const float* x, int64_t n, float* y) {
  const double max = *std::max_element(x, x + n);
  const auto weight = [max](float v) {
    return v == kHidden ? 0.0 : std::exp(v - max);
  };
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += weight(x[i]);
  for (int64_t i = 0; i < n; ++i)
    y[i] = sum == 0 ? 0.0f : static_cast<float>(weight(x[i]) / sum);
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
        "f32[..., n] -> f32[..., n]; -inf counts as excluded, and a row of "
        "nothing but -inf gives zeros.\n"
        "C1: x is f32.\n"
        "C2: x has rank >= 1.",
    .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
      WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
      WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C2", 0, 1));
      return OneType(DType::kF32, call.in[0].shape);
    },
    .reference =
        [](const RefCall& call) {
          const HostTensor& x = *call.in[0];
          const int64_t n = x.dim(-1);
          for (int64_t r = 0; r < x.OuterElements() && n > 0; ++r)
            SoftmaxRow(x.f32() + r * n, n, call.out[0]->f32() + r * n);
          return absl::OkStatus();
        },
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
              // Position -1 sees nothing: its row is all -inf.
              {"masked", [](SampleGraph& g) -> Values {
                 const Value x = g.Normal({4, 2, 33});
                 return {Softmax(Mask(x, g.Positions({4}, -1), {}))};
               }}};
    },
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
    .in_place = 0b1,
};

Value Softmax(Value x, Where at) { return EmitNode(kSoftmax, {x}, {}, at); }

Value Mask(Value x, Value pos, const MaskOptions& options, Where at) {
  return EmitNode(kMask, {x, pos},
                  {{"causal", options.causal},
                   {"window", options.window},
                   {"query_axis", NormalAxis(x, options.query_axis)}},
                  at);
}

}  // namespace weft::inline v0
