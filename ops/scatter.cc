// What undoes gather_rows and slice.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/gather.h"
#include "ops/gradient_ops.h"
#include "ops/op_helpers.h"
#include "ops/shape_ops.h"

namespace weft::inline v0 {
namespace {

absl::StatusOr<TensorTypes> InferScatterRows(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C1", 0, DType::kF32));
  WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C1", 0, 1));
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C2", 1, DType::kI32));
  Shape shape = call.in[0].shape;
  WEFT_RETURN_IF_ERROR(call.Require(
      call.in[1].shape == Shape({shape.dim(0)}),
      absl::StrCat("C2: ids have shape ", call.in[1].shape.ToString(),
                   ", not [", shape.dim(0).ToString(), "]")));
  const Shape& rows = call.attrs.GetShape("rows");
  WEFT_RETURN_IF_ERROR(
      call.Require(rows.rank() == 1 && rows.dim(0).bound() > 0,
                   absl::StrCat("C3: ", rows.ToString(), " rows")));
  shape.dim(0) = rows.dim(0);
  return OneType(DType::kF32, std::move(shape));
}

absl::Status ScatterRowsReference(const RefCall& call) {
  const HostTensor& x = *call.in[0];
  const HostTensor& ids = *call.in[1];
  HostTensor& y = *call.out[0];
  if (x.dim(0) == 0) return absl::OkStatus();
  const int64_t n = x.elements() / x.dim(0);
  std::vector<double> sums(static_cast<size_t>(y.elements()));
  for (int64_t t = 0; t < ids.elements(); ++t) {
    const int64_t id = ids.i32()[t];
    WEFT_RETURN_IF_ERROR(CheckIndex("ids", t, id, y.dim(0)));
    for (int64_t i = 0; i < n; ++i)
      sums[static_cast<size_t>(id * n + i)] += x.f32()[t * n + i];
  }
  std::transform(sums.begin(), sums.end(), y.f32(),
                 [](double sum) { return static_cast<float>(sum); });
  return absl::OkStatus();
}

absl::StatusOr<TensorTypes> InferPad(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequirePlain(call, "C1"));
  WEFT_RETURN_IF_ERROR(RequireAxis(call, "C2"));
  Shape shape = call.in[0].shape;
  Dim& dim = shape.dim(static_cast<int>(call.attrs.Int("axis")));
  const int64_t before = call.attrs.Int("before");
  const int64_t after = call.attrs.Int("after");
  WEFT_RETURN_IF_ERROR(call.Require(
      dim.is_constant(),
      absl::StrCat("C3: dim ", dim.ToString(), " is no constant")));
  WEFT_RETURN_IF_ERROR(call.Require(
      before >= 0 && after >= 0 && before < INT32_MAX && after < INT32_MAX,
      absl::StrCat("C4: ", before, " and ", after, " zeros")));
  dim = Dim(before + dim.bound() + after);
  return OneType(call.in[0].dtype, std::move(shape));
}

absl::Status PadReference(const RefCall& call) {
  const AxisView in(*call.in[0], call.attrs.Int("axis"));
  const AxisView out(*call.out[0], call.attrs.Int("axis"));
  for (int64_t o = 0; o < in.outer; ++o)
    std::copy_n(
        call.in[0]->bytes.data() + in.At(o, 0),
        static_cast<size_t>(in.n) * in.inner_bytes,
        call.out[0]->bytes.data() + out.At(o, call.attrs.Int("before")));
  return absl::OkStatus();
}

}  // namespace

const OpDef kScatterRows = {
    .name = "scatter_rows",
    .doc =
        "y[n] = sum of x[t] over the t with ids[t] = n, in their order.\n"
        "x f32[T, ...], ids i32[T] -> f32[N, ...]\n"
        "At run time, OutOfRange for an id outside [0, N).\n"
        "C1: x is f32 of rank >= 1.\n"
        "C2: ids are i32[T].\n"
        "C3: the attribute rows is [N], N above 0.",
    .infer = InferScatterRows,
    .reference = ScatterRowsReference,
    .samples = []() -> std::vector<Sample> {
      return {{"embedding",
               [](SampleGraph& g) -> Values {
                 return {ScatterRows(g.Normal({90, 65}), g.Ids({90}, 70), 70)};
               }},
              {"heads",
               [](SampleGraph& g) -> Values {
                 return {ScatterRows(g.Normal({9, 3, 17}), g.Ids({9}, 4), 4)};
               }},
              {"vector", [](SampleGraph& g) -> Values {
                 return {ScatterRows(g.Normal({9}), g.Ids({9}, 4), 4)};
               }}};
    },
    .gradient = [](const GradientCall& c) -> Values {
      return {GatherRows(c.grad[0], c.in[1]), Value()};
    },
};

const OpDef kPad = {
    .name = "pad",
    .doc =
        "x with zeros before and after it along one axis.\n"
        "C1: blocks of x's dtype hold one value.\n"
        "C2: x has the axis.\n"
        "C3: its dim is a constant.\n"
        "C4: the numbers of zeros are not below 0.",
    .infer = InferPad,
    .reference = PadReference,
    .samples = []() -> std::vector<Sample> {
      return {{"columns",
               [](SampleGraph& g) -> Values {
                 return {Pad(g.Normal({Dim::Symbol("T", 5), 17}), -1, 3, 2)};
               }},
              {"middle",
               [](SampleGraph& g) -> Values {
                 return {Pad(g.Normal({2, 3, 5}), 1, 0, 4)};
               }},
              {"rows", [](SampleGraph& g) -> Values {
                 return {Pad(g.Ids({3, 5}, 100), 0, 2, 0)};
               }}};
    },
    .gradient = [](const GradientCall& c) -> Values {
      const int axis = static_cast<int>(c.attrs.Int("axis"));
      const int64_t before = c.attrs.Int("before");
      return {
          Slice(c.grad[0], axis, before, before + c.in[0].dim(axis).bound())};
    },
    .tolerance = 0,  // it moves bytes
};

Value ScatterRows(Value x, Value ids, Dim rows, Where at) {
  return EmitNode(kScatterRows, {x, ids}, {{"rows", Shape({rows})}}, at);
}

Value Pad(Value x, int axis, int64_t before, int64_t after, Where at) {
  if (before == 0 && after == 0) return x;
  return EmitNode(
      kPad, {x},
      {{"axis", NormalAxis(x, axis)}, {"before", before}, {"after", after}},
      at);
}

}  // namespace weft::inline v0
