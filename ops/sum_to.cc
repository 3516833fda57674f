// The sum over broadcast dimensions: what undoes a broadcast.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

absl::StatusOr<TensorTypes> InferSumTo(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
  const Shape& x = call.in[0].shape;
  const Shape& y = call.attrs.GetShape("shape");
  bool fits = y.rank() <= x.rank();
  for (int axis = 1; fits && axis <= y.rank(); ++axis)
    fits = y.dim(-axis) == x.dim(-axis) || y.dim(-axis) == Dim(1);
  WEFT_RETURN_IF_ERROR(call.Require(
      fits, absl::StrCat("C2: shape ", y.ToString(), " does not broadcast to ",
                         x.ToString())));
  return OneType(DType::kF32, y);
}

absl::Status SumToReference(const RefCall& call) {
  const HostTensor& x = *call.in[0];
  const Dims strides = BroadcastStrides(call.out[0]->dims, x.dims);
  std::vector<double> sums(static_cast<size_t>(call.out[0]->elements()));
  const float* from = x.f32();
  ForEachIndex(x.dims, [&](absl::Span<const int64_t> index) {
    sums[static_cast<size_t>(Offset(index, strides))] += *from++;
  });
  std::transform(sums.begin(), sums.end(), call.out[0]->f32(),
                 [](double sum) { return static_cast<float>(sum); });
  return absl::OkStatus();
}

Sample SumSample(absl::string_view name, Shape x, Shape y) {
  return {std::string(name),
          [=](SampleGraph& g) -> Values { return {SumTo(g.Normal(x), y)}; }};
}

}  // namespace

const OpDef kSumTo = {
    .name = "sum_to",
    .doc =
        "The sums over the dimensions along which y would be broadcast to x.\n"
        "x f32[...] -> f32[shape]\n"
        "C1: x is f32.\n"
        "C2: the shape broadcasts to x's.",
    .infer = InferSumTo,
    .reference = SumToReference,
    .samples =
        [] {
          const Dim t = Dim::Symbol("T", 5);
          return std::vector<Sample>{
              SumSample("bias", {7, 257}, {257}),
              SumSample("rows", {t, 3, 65}, {t, 3, 1}),
              SumSample("middle", {3, t, 5, 17}, {3, 1, 5, 17}),
              SumSample("outer", {4, 3, 5, 9}, {3, 1, 9}),
              SumSample("ends", {4, 3, 33}, {3, 1}),
              SumSample("all", {7, 67}, {1})};
        },
    // dx = dy, broadcast: the sum is a broadcast's transpose.
    .gradient = [](const GradientCall& c) -> Values {
      return {Add(Scale(c.in[0], 0), c.grad[0])};
    },
};

Value SumTo(Value x, Shape shape, Where at) {
  if (x.shape() == shape && x.dtype() != DType::kUnknown) return x;
  return EmitNode(kSumTo, {x}, {{"shape", std::move(shape)}}, at);
}

}  // namespace weft::inline v0
