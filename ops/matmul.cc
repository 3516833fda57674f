#include "ops/matmul.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

absl::Span<const Dim> BatchDims(const Shape& shape) {
  return shape.dims().subspan(0, static_cast<size_t>(shape.rank() - 2));
}

absl::StatusOr<TensorTypes> InferMatMul(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
  const Shape& a = call.in[0].shape;
  const Shape& b = call.in[1].shape;
  WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C3", 0, 2));
  WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C3", 1, 2));
  WEFT_RETURN_IF_ERROR(
      call.Require(a.dim(-1) == b.dim(-2),
                   absl::StrCat("C2: inner dims differ (", a.dim(-1).ToString(),
                                " vs ", b.dim(-2).ToString(), ")")));
  WEFT_ASSIGN_OR_RETURN(Shape y,
                        BroadcastDims(call, "C4", BatchDims(a), BatchDims(b)));
  y.Append(a.dim(-2));
  y.Append(b.dim(-1));
  return OneType(DType::kF32, std::move(y));
}

struct MatrixDims {
  int64_t m, k, n;
};

// y[m, n] = sum over k of a[m, k] * b[k, n], for one batch. A whole row of
// sums at a time, so that b is read in its order.
void MultiplyOne(const float* a, const float* b, const MatrixDims& d,
                 float* y) {
  std::vector<double> sums(static_cast<size_t>(d.n));
  for (int64_t m = 0; m < d.m; ++m) {
    sums.assign(sums.size(), 0.0);
    for (int64_t k = 0; k < d.k; ++k)
      for (int64_t n = 0; n < d.n; ++n)
        sums[static_cast<size_t>(n)] +=
            static_cast<double>(a[m * d.k + k]) * b[k * d.n + n];
    for (const double sum : sums) *y++ = static_cast<float>(sum);
  }
}

Dims WithoutMatrix(const Dims& dims) {
  return Dims(dims.begin(), dims.end() - 2);
}

absl::Status MatMulReference(const RefCall& call) {
  const HostTensor& a = *call.in[0];
  const HostTensor& b = *call.in[1];
  HostTensor& y = *call.out[0];
  const MatrixDims d = {a.dim(-2), a.dim(-1), b.dim(-1)};
  const Dims batch = WithoutMatrix(y.dims);
  const Dims a_strides = BroadcastStrides(WithoutMatrix(a.dims), batch);
  const Dims b_strides = BroadcastStrides(WithoutMatrix(b.dims), batch);
  float* out = y.f32();
  ForEachIndex(batch, [&](absl::Span<const int64_t> index) {
    MultiplyOne(a.f32() + Offset(index, a_strides) * d.m * d.k,
                b.f32() + Offset(index, b_strides) * d.k * d.n, d, out);
    out += d.m * d.n;
  });
  return absl::OkStatus();
}

Sample MatMulSample(absl::string_view name, Shape a, Shape b) {
  return {std::string(name), [=](SampleGraph& g) -> Values {
            const Value x = g.Normal(a);
            const Value y = g.Normal(b);
            return {MatMul(x, y)};
          }};
}

std::vector<Sample> MatMulSamples() {
  const Dim t = Dim::Symbol("T", 8);
  return {MatMulSample("dot", {1, 257}, {257, 1}),
          MatMulSample("tokens", {t, 64}, {64, 96}),
          MatMulSample("odd", {3, 17}, {17, 33}),
          MatMulSample("scores", {t, 4, 1, 16}, {t, 4, 16, 24}),
          MatMulSample("batch_row", {2, 3, 5, 7}, {7, 3}),
          MatMulSample("batch_outer", {2, 1, 3, 4}, {5, 4, 6})};
}

bool IsTranspose(Value x) {
  return x.graph()->producer(x.id()).op == &kTranspose;
}

// The transpose; of a transpose, what it transposed.
Value Turned(Value x) {
  if (!IsTranspose(x)) return Transpose(x);
  return Value(x.graph(), x.graph()->producer(x.id()).inputs[0]);
}

// a^T b; as (b^T a)^T where `turn`, so that a transpose takes it back.
Value TransposedProduct(Value a, Value b, bool turn) {
  return turn ? Transpose(MatMul(Turned(b), a)) : MatMul(Turned(a), b);
}

Values MatMulGradient(const GradientCall& c) {
  const Value a = c.in[0], b = c.in[1], g = c.grad[0];
  return {SumTo(MatMul(g, Turned(b)), a.shape()),
          SumTo(TransposedProduct(a, g, IsTranspose(b)), b.shape())};
}

void SwapBack(Shape& shape) { std::swap(shape.dim(-1), shape.dim(-2)); }

// Elements as they lie there, whatever they mean.
template <class T>
void TransposeAs(const HostTensor& x, HostTensor& y) {
  const int64_t rows = x.dim(-2), columns = x.dim(-1);
  const T* from = reinterpret_cast<const T*>(x.bytes.data());
  T* to = reinterpret_cast<T*>(y.bytes.data());
  // Lines of the cache are read whole: a weight has a billion elements.
  constexpr int64_t kTile = 16;
  for (int64_t outer = 0; outer < x.OuterElements(2); ++outer) {
    for (int64_t c = 0; c < columns; c += kTile)
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t i = c; i < std::min(c + kTile, columns); ++i)
          to[i * rows + r] = from[r * columns + i];
    from += rows * columns;
    to += rows * columns;
  }
}

absl::Status TransposeReference(const RefCall& call) {
  const HostTensor& x = *call.in[0];
  HostTensor& y = *call.out[0];
  switch (ElementBytes(x.dtype)) {
    case 1:
      TransposeAs<uint8_t>(x, y);
      break;
    case 2:
      TransposeAs<uint16_t>(x, y);
      break;
    case 4:
      TransposeAs<uint32_t>(x, y);
      break;
    default:
      TransposeAs<uint64_t>(x, y);
  }
  return absl::OkStatus();
}

Sample DequantSample(DType dtype) {
  return {std::string(Name(dtype)), [dtype](SampleGraph& g) -> Values {
            return {Dequant(g.Weight(dtype, {3, 256}))};
          }};
}

}  // namespace

const OpDef kMatMul = {
    .name = "matmul",
    .doc =
        "y[m,n] = sum over k of a[m,k] * b[k,n], for each batch.\n"
        "f32[..., M, K], f32[..., K, N] -> f32[..., M, N]\n"
        "C1: the operands are f32.\n"
        "C2: the inner dims K are equal.\n"
        "C3: the operands have rank >= 2.\n"
        "C4: batch dims broadcast as in NumPy.",
    .infer = InferMatMul,
    .reference = MatMulReference,
    .samples = MatMulSamples,
    .gradient = MatMulGradient,
};

const OpDef kTranspose = {
    .name = "transpose",
    .doc =
        "y[..., j, i] = x[..., i, j].\n"
        "[..., M, N] -> [..., N, M]\n"
        "C1: blocks of x's dtype hold one value.\n"
        "C2: x has rank >= 2.",
    .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
      WEFT_RETURN_IF_ERROR(RequirePlain(call, "C1"));
      WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C2", 0, 2));
      Shape shape = call.in[0].shape;
      SwapBack(shape);
      return OneType(call.in[0].dtype, std::move(shape));
    },
    .reference = TransposeReference,
    .samples = []() -> std::vector<Sample> {
      return {{"odd",
               [](SampleGraph& g) -> Values {
                 return {Transpose(g.Normal({17, 257}))};
               }},
              {"batch", [](SampleGraph& g) -> Values {
                 const Dim t = Dim::Symbol("T", 5);
                 return {Transpose(g.Normal({2, t, 3}))};
               }}};
    },
    .gradient = [](const GradientCall& c) -> Values {
      return {Turned(c.grad[0])};
    },
};

const OpDef kDequant = {
    .name = "dequant",
    .doc =
        "The values that a stored format stands for, in f32.\n"
        "[..., K] of any decodable dtype -> f32[..., K]\n"
        "C1: weft has a decoder for x's dtype.",
    .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
      const DType dtype = call.in[0].dtype;
      WEFT_RETURN_IF_ERROR(
          call.Require(IsDecodable(dtype),
                       absl::StrCat("C1: no decoder for ", Name(dtype))));
      return OneType(DType::kF32, call.in[0].shape);
    },
    .reference =
        [](const RefCall& call) {
          const HostTensor& x = *call.in[0];
          const int64_t row = x.rank() == 0 ? 1 : x.dim(-1);
          DecodeRows(x.dtype, x.bytes.data(), x.elements() / row, row,
                     call.out[0]->f32());
          return absl::OkStatus();
        },
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const DTypeInfo& info : AllDTypes())
            if (info.decode != nullptr && info.type != DType::kF32)
              samples.push_back(DequantSample(info.type));
          return samples;
        },
    .tolerance = 0,  // the decoder defines the value, bit for bit
};

Value MatMul(Value a, Value b, Where at) {
  return EmitNode(kMatMul, {a, b}, {}, at);
}

Value Transpose(Value x, Where at) { return EmitNode(kTranspose, {x}, {}, at); }

Value Dequant(Value x, Where at) {
  if (x.dtype() == DType::kF32) return x;
  return EmitNode(kDequant, {x}, {}, at);
}

}  // namespace weft::inline v0
