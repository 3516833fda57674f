#include "ops/alibi.h"

#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

absl::StatusOr<TensorTypes> InferAlibi(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C1", 0, DType::kF32));
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C2", 1, DType::kI32));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C2", 1, 1));
  const Shape& x = call.in[0].shape;
  const int64_t axis = call.attrs.Int("query_axis");
  WEFT_RETURN_IF_ERROR(call.Require(
      (axis == 0 && x.rank() == 4) || (axis == 1 && x.rank() == 3),
      absl::StrCat("C3: query axis ", axis, " of a tensor of rank ", x.rank(),
                   "; wanted [T, H, 1, K] or [H, T, K]")));
  const Dim queries = x.dim(static_cast<int>(axis));
  const Dim t = call.in[1].shape.dim(0);
  WEFT_RETURN_IF_ERROR(call.Require(
      queries == t, absl::StrCat("C4: ", queries.ToString(), " queries, ",
                                 t.ToString(), " positions")));
  const double max_bias = call.attrs.Float("max_bias");
  WEFT_RETURN_IF_ERROR(call.Require(
      max_bias > 0 && std::isfinite(max_bias),
      absl::StrCat("C5: max_bias is ", max_bias, ", not above 0")));
  return OneType(DType::kF32, x);
}

absl::Status AlibiReference(const RefCall& call) {
  const auto axis = static_cast<size_t>(call.attrs.Int("query_axis"));
  const double max_bias = call.attrs.Float("max_bias");
  const size_t head_axis = 1 - axis;
  const int64_t heads = call.in[0]->dims[head_axis];
  const int32_t* pos = call.in[1]->i32();
  const float* x = call.in[0]->f32();
  float* y = call.out[0]->f32();
  ForEachIndex(call.out[0]->dims, [&](absl::Span<const int64_t> index) {
    const int64_t distance = std::abs(pos[index[axis]] - index.back());
    *y++ = *x++ - AlibiSlope(index[head_axis], heads, max_bias) *
                      static_cast<float>(distance);
  });
  return absl::OkStatus();
}

Sample AlibiSample(absl::string_view name, Shape x, int64_t first, int axis) {
  return {std::string(name), [=](SampleGraph& g) -> Values {
            const Value scores = g.Normal(x);
            const Value pos = g.Positions({x.dim(axis)}, first);
            return {Alibi(scores, pos, 8, axis)};
          }};
}

}  // namespace

const OpDef kAlibi = {
    .name = "alibi",
    .doc =
        "Scores less a penalty that grows with the distance between query and "
        "key (arXiv:2108.12409).\n"
        "x f32[T, H, 1, K] or f32[H, T, K], pos i32[T] -> the same shape: "
        "y = x - slope(h) |pos[t] - j| for the key j; slopes are a geometric "
        "sequence down to 2^-max_bias.\n"
        "C1: x is f32.\n"
        "C2: pos is i32 of rank 1.\n"
        "C3: query_axis is 0 of rank 4 or 1 of rank 3.\n"
        "C4: x has as many queries as pos has positions.\n"
        "C5: max_bias is above 0.",
    .infer = InferAlibi,
    .reference = AlibiReference,
    .samples = []() -> std::vector<Sample> {
      const Dim t = Dim::Symbol("T", 6);
      return {AlibiSample("cached", {t, 4, 1, 33}, 3, 0),
              AlibiSample("heads_no_power_of_two", {t, 6, 1, 17}, 0, 0),
              AlibiSample("plain", {3, t, 9}, 0, 1)};
    },
    .gradient = [](const GradientCall& c) -> Values {
      return {c.grad[0], Value()};
    },
    .in_place = 0b1,
};

Value Alibi(Value scores, Value pos, double max_bias, int query_axis,
            Where at) {
  return EmitNode(kAlibi, {scores, pos},
                  {{"max_bias", max_bias}, {"query_axis", query_axis}}, at);
}

float AlibiSlope(int64_t head, int64_t heads, double max_bias) {
  int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  const double exponent = head < power
                              ? static_cast<double>(head + 1)
                              : static_cast<double>(2 * (head - power) + 1) / 2;
  return static_cast<float>(
      std::exp2(-max_bias * exponent / static_cast<double>(power)));
}

}  // namespace weft::inline v0
