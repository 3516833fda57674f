// Slice, concat and repeat: the ops along one constant axis.
#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/gradient_ops.h"
#include "ops/op_helpers.h"
#include "ops/shape_ops.h"

namespace weft::inline v0 {
namespace {

int Axis(const Attrs& attrs) { return static_cast<int>(attrs.Int("axis")); }

absl::Status RequireConstant(const Call& call, absl::string_view id,
                             const Dim& dim) {
  return call.Require(dim.is_constant(),
                      absl::StrCat(id, ": dim ", dim.ToString(), " of axis ",
                                   call.attrs.Int("axis"), " is no constant"));
}

// Copies runs of inner elements: y's index (o, i) from x's index (o, from(i)).
template <class F>
void CopyAlong(const HostTensor& x, int64_t axis, HostTensor& y, F from) {
  const AxisView in(x, axis);
  const AxisView out(y, axis);
  for (int64_t o = 0; o < out.outer; ++o)
    for (int64_t i = 0; i < out.n; ++i)
      std::copy_n(x.bytes.data() + in.At(o, from(i)), in.inner_bytes,
                  y.bytes.data() + out.At(o, i));
}

absl::StatusOr<TensorTypes> InferSlice(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequirePlain(call, "C1"));
  WEFT_RETURN_IF_ERROR(RequireAxis(call, "C2"));
  Shape shape = call.in[0].shape;
  Dim& dim = shape.dim(Axis(call.attrs));
  WEFT_RETURN_IF_ERROR(RequireConstant(call, "C3", dim));
  const int64_t begin = call.attrs.Int("begin");
  const int64_t end = call.attrs.Int("end");
  WEFT_RETURN_IF_ERROR(
      call.Require(0 <= begin && begin < end && end <= dim.bound(),
                   absl::StrCat("C4: [", begin, ", ", end,
                                ") is no part of a dim of ", dim.bound())));
  dim = Dim(end - begin);
  return OneType(call.in[0].dtype, std::move(shape));
}

// Operand i fits operand 0 but for the joined axis.
absl::Status RequireJoinable(const Call& call, size_t i) {
  const TensorType& first = call.in[0];
  const TensorType& part = call.in[i];
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C1", i, first.dtype));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C2", i, first.shape.rank()));
  const int axis = Axis(call.attrs);
  WEFT_RETURN_IF_ERROR(RequireConstant(call, "C3", part.shape.dim(axis)));
  Shape same = part.shape;
  same.dim(axis) = first.shape.dim(axis);
  return call.Require(
      same == first.shape,
      absl::StrCat("C4: operand ", i, " has shape ", part.shape.ToString(),
                   ", operand 0 ", first.shape.ToString(), "; only axis ", axis,
                   " may differ"));
}

absl::StatusOr<TensorTypes> InferConcat(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequirePlain(call, "C1"));
  WEFT_RETURN_IF_ERROR(RequireAxis(call, "C2"));
  int64_t sum = 0;
  for (size_t i = 0; i < call.in.size(); ++i) {
    WEFT_RETURN_IF_ERROR(RequireJoinable(call, i));
    sum += call.in[i].shape.dim(Axis(call.attrs)).bound();
  }
  Shape shape = call.in[0].shape;
  shape.dim(Axis(call.attrs)) = Dim(sum);
  return OneType(call.in[0].dtype, std::move(shape));
}

absl::Status ConcatReference(const RefCall& call) {
  HostTensor& y = *call.out[0];
  const int64_t axis = call.attrs.Int("axis");
  const AxisView out(y, axis);
  int64_t begin = 0;
  for (const HostTensor* part : call.in) {
    const AxisView in(*part, axis);
    const size_t run = static_cast<size_t>(in.n) * in.inner_bytes;
    for (int64_t o = 0; o < in.outer; ++o)
      std::copy_n(part->bytes.data() + in.At(o, 0), run,
                  y.bytes.data() + out.At(o, begin));
    begin += in.n;
  }
  return absl::OkStatus();
}

absl::StatusOr<TensorTypes> InferRepeat(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequirePlain(call, "C1"));
  WEFT_RETURN_IF_ERROR(RequireAxis(call, "C2"));
  Shape shape = call.in[0].shape;
  Dim& dim = shape.dim(Axis(call.attrs));
  WEFT_RETURN_IF_ERROR(RequireConstant(call, "C3", dim));
  const int64_t times = call.attrs.Int("times");
  WEFT_RETURN_IF_ERROR(call.Require(
      times >= 1 && times <= std::numeric_limits<int64_t>::max() / dim.bound(),
      absl::StrCat("C4: a dim of ", dim.bound(), " repeated ", times,
                   " times")));
  dim = Dim(dim.bound() * times);
  return OneType(call.in[0].dtype, std::move(shape));
}

// ---- Gradients ----

Values SliceGradient(const GradientCall& c) {
  const int axis = Axis(c.attrs);
  const int64_t end = c.attrs.Int("end");
  return {Pad(c.grad[0], axis, c.attrs.Int("begin"),
              c.in[0].dim(axis).bound() - end)};
}

Values ConcatGradient(const GradientCall& c) {
  Values gradients;
  int64_t begin = 0;
  for (const Value& part : c.in) {
    const int64_t end = begin + part.dim(Axis(c.attrs)).bound();
    gradients.push_back(Slice(c.grad[0], Axis(c.attrs), begin, end));
    begin = end;
  }
  return gradients;
}

// The copies of an element stand in a dimension of their own, and are added.
Values RepeatGradient(const GradientCall& c) {
  Shape copies, sums;
  for (int axis = 0; axis < c.in[0].rank(); ++axis) {
    copies.Append(c.in[0].dim(axis));
    sums.Append(c.in[0].dim(axis));
    if (axis != Axis(c.attrs)) continue;
    copies.Append(Dim(c.attrs.Int("times")));
    sums.Append(Dim(1));
  }
  return {Reshape(SumTo(Reshape(c.grad[0], copies), sums), c.in[0].shape())};
}

std::vector<Sample> SliceSamples() {
  return {{"columns",
           [](SampleGraph& g) -> Values {
             return {Slice(g.Normal({Dim::Symbol("T", 5), 51}), -1, 17, 34)};
           }},
          {"heads",
           [](SampleGraph& g) -> Values {
             return {Slice(g.Normal({3, 5, 17}), 1, 2, 5)};
           }},
          {"rows", [](SampleGraph& g) -> Values {
             return {Slice(g.Ids({9, 3}, 100), 0, 8, 9)};
           }}};
}

std::vector<Sample> ConcatSamples() {
  return {{"columns",
           [](SampleGraph& g) -> Values {
             const Dim t = Dim::Symbol("T", 5);
             const Value a = g.Normal({t, 17});
             const Value b = g.Normal({t, 3});
             return {Concat({a, b, a}, -1)};
           }},
          {"middle",
           [](SampleGraph& g) -> Values {
             const Value a = g.Normal({2, 3, 9});
             const Value b = g.Normal({2, 1, 9});
             return {Concat({a, b}, 1)};
           }},
          {"single", [](SampleGraph& g) -> Values {
             return {Concat({g.Ids({3, 5}, 100)}, 0)};
           }}};
}

std::vector<Sample> RepeatSamples() {
  return {{"groups",
           [](SampleGraph& g) -> Values {
             return {Repeat(g.Normal({Dim::Symbol("T", 3), 7, 3, 16}), 2, 3)};
           }},
          {"fastest",
           [](SampleGraph& g) -> Values {
             return {Repeat(g.Normal({3, 17}), -1, 2)};
           }},
          {"rows", [](SampleGraph& g) -> Values {
             return {Repeat(g.Ids({3, 5}, 100), 0, 4)};
           }}};
}

}  // namespace

const OpDef kSlice = {
    .name = "slice",
    .doc =
        "Elements [begin, end) of one axis.\n"
        "C1: blocks of x's dtype hold one value.\n"
        "C2: x has the axis.\n"
        "C3: its dim is a constant.\n"
        "C4: 0 <= begin < end <= dim.",
    .infer = InferSlice,
    .reference =
        [](const RefCall& call) {
          const int64_t begin = call.attrs.Int("begin");
          CopyAlong(*call.in[0], call.attrs.Int("axis"), *call.out[0],
                    [begin](int64_t i) { return begin + i; });
          return absl::OkStatus();
        },
    .samples = SliceSamples,
    .gradient = SliceGradient,
    .view = ViewKind::kSlice,
    .tolerance = 0,  // it moves bytes
};

const OpDef kConcat = {
    .name = "concat",
    .doc =
        "The operands one after the other along one axis.\n"
        "C1: the operands have one dtype, whose blocks hold one value.\n"
        "C2: they have one rank, and the axis.\n"
        "C3: its dims are constants.\n"
        "C4: all other dims are equal.",
    .infer = InferConcat,
    .reference = ConcatReference,
    .samples = ConcatSamples,
    .gradient = ConcatGradient,
    .tolerance = 0,  // it moves bytes
};

const OpDef kRepeat = {
    .name = "repeat",
    .doc =
        "Each element of one axis `times` times: [a, b] -> [a, a, b, b].\n"
        "C1: blocks of x's dtype hold one value.\n"
        "C2: x has the axis.\n"
        "C3: its dim is a constant.\n"
        "C4: times >= 1, and the product fits an int64.",
    .infer = InferRepeat,
    .reference =
        [](const RefCall& call) {
          const int64_t times = call.attrs.Int("times");
          CopyAlong(*call.in[0], call.attrs.Int("axis"), *call.out[0],
                    [times](int64_t i) { return i / times; });
          return absl::OkStatus();
        },
    .samples = RepeatSamples,
    .gradient = RepeatGradient,
    .tolerance = 0,  // it moves bytes
};

Value Slice(Value x, int axis, int64_t begin, int64_t end, Where at) {
  return EmitNode(
      kSlice, {x},
      {{"axis", NormalAxis(x, axis)}, {"begin", begin}, {"end", end}}, at);
}

Value Concat(const std::vector<Value>& parts, int axis, Where at) {
  const int64_t normal = parts.empty() ? axis : NormalAxis(parts[0], axis);
  return EmitNode(kConcat, parts, {{"axis", normal}}, at);
}

Value Repeat(Value x, int axis, int64_t times, Where at) {
  return EmitNode(kRepeat, {x},
                  {{"axis", NormalAxis(x, axis)}, {"times", times}}, at);
}

}  // namespace weft::inline v0
