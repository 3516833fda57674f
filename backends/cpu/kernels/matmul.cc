// y = a b for f32 matrices with batch dimensions; b is row-major, so vectors
// lie along its columns.
//
// Each output is one lane's sum over k in order, whatever tile holds it:
// results do not depend on the number of rows or on threads.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/matmul.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/matmul.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

// Rows of a and columns of b of a task. Four rows share each load of b; 256
// columns give work to several threads when there is one row.
constexpr int64_t kTileRows = 4;
constexpr int64_t kTileColumns = 256;

// What a task multiplies: strides in floats.
struct Operands {
  const float* a;
  int64_t a_stride;
  const float* b;
  int64_t b_stride;
  int64_t k;
  int64_t columns;
  float* y;
  int64_t y_stride;
};

// Row 0 of a times columns j .. j + lanes - 1.
HWY_INLINE void OneByOne(const Operands& o, int64_t j, int64_t lanes) {
  const D d;
  auto sum = hn::Zero(d);
  const float* b = o.b + j;
  for (int64_t k = 0; k < o.k; ++k, b += o.b_stride)
    sum = hn::MulAdd(hn::Set(d, o.a[k]), LoadPart(d, b, lanes), sum);
  StorePart(sum, d, o.y + j, lanes);
}

// Row 0 of a times four vectors of columns.
HWY_INLINE void OneByFour(const Operands& o, int64_t j) {
  const D d;
  const size_t n = hn::Lanes(d);
  auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  const float* b = o.b + j;
  for (int64_t k = 0; k < o.k; ++k, b += o.b_stride) {
    const auto a = hn::Set(d, o.a[k]);
    sum0 = hn::MulAdd(a, hn::LoadU(d, b), sum0);
    sum1 = hn::MulAdd(a, hn::LoadU(d, b + n), sum1);
    sum2 = hn::MulAdd(a, hn::LoadU(d, b + 2 * n), sum2);
    sum3 = hn::MulAdd(a, hn::LoadU(d, b + 3 * n), sum3);
  }
  hn::StoreU(sum0, d, o.y + j);
  hn::StoreU(sum1, d, o.y + j + n);
  hn::StoreU(sum2, d, o.y + j + 2 * n);
  hn::StoreU(sum3, d, o.y + j + 3 * n);
}

void OneRow(const Operands& o) {
  const int64_t step = static_cast<int64_t>(hn::Lanes(D()));
  int64_t j = 0;
  for (; j + 4 * step <= o.columns; j += 4 * step) OneByFour(o, j);
  for (; j < o.columns; j += step)
    OneByOne(o, j, std::min(step, o.columns - j));
}

// Four rows of a times columns j .. j + lanes - 1.
HWY_INLINE void FourByOne(const Operands& o, int64_t j, int64_t lanes) {
  const D d;
  auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  const float* a = o.a;
  const float* b = o.b + j;
  for (int64_t k = 0; k < o.k; ++k, ++a, b += o.b_stride) {
    const auto v = LoadPart(d, b, lanes);
    sum0 = hn::MulAdd(hn::Set(d, a[0]), v, sum0);
    sum1 = hn::MulAdd(hn::Set(d, a[o.a_stride]), v, sum1);
    sum2 = hn::MulAdd(hn::Set(d, a[2 * o.a_stride]), v, sum2);
    sum3 = hn::MulAdd(hn::Set(d, a[3 * o.a_stride]), v, sum3);
  }
  StorePart(sum0, d, o.y + j, lanes);
  StorePart(sum1, d, o.y + o.y_stride + j, lanes);
  StorePart(sum2, d, o.y + 2 * o.y_stride + j, lanes);
  StorePart(sum3, d, o.y + 3 * o.y_stride + j, lanes);
}

void FourRows(const Operands& o) {
  const int64_t step = static_cast<int64_t>(hn::Lanes(D()));
  int64_t j = 0;
  for (; j + step <= o.columns; j += step) FourByOne(o, j, step);
  if (j < o.columns) FourByOne(o, j, o.columns - j);
}

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t RowTiles(const View& y) { return CeilDiv(y.dim(-2), kTileRows); }
int64_t ColumnTiles(const View& y) { return CeilDiv(y.dim(-1), kTileColumns); }

// The matrix of an operand that belongs to batch `index` of y: batch dims are
// aligned at the end, and those of 1 are stretched.
const float* Matrix(const View& v, const View& y, int64_t index) {
  int64_t offset = 0;
  const int missing = y.rank - v.rank;
  for (int axis = y.rank - 3; axis >= missing; --axis) {
    const int64_t i = index % y.dim(axis);
    index /= y.dim(axis);
    if (v.dim(axis - missing) != 1) offset += i * v.stride(axis - missing);
  }
  return reinterpret_cast<const float*>(v.data + offset);
}

int64_t FloatStride(const View& v) {
  return v.stride(-2) / static_cast<int64_t>(sizeof(float));
}

void MatMul(const KernelArgs& args, int64_t begin, int64_t end) {
  const View& a = args.in[0];
  const View& b = args.in[1];
  const View& y = args.out[0];
  const int64_t m = y.dim(-2);
  const int64_t n = y.dim(-1);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t column = task % ColumnTiles(y) * kTileColumns;
    const int64_t rest = task / ColumnTiles(y);
    const int64_t row = rest % RowTiles(y) * kTileRows;
    const int64_t batch = rest / RowTiles(y);
    Operands o = {.a = Matrix(a, y, batch) + row * FloatStride(a),
                  .a_stride = FloatStride(a),
                  .b = Matrix(b, y, batch) + column,
                  .b_stride = FloatStride(b),
                  .k = a.dim(-1),
                  .columns = std::min(kTileColumns, n - column),
                  .y = y.As<float>() + (batch * m + row) * n + column,
                  .y_stride = n};
    if (row + kTileRows <= m) {
      FourRows(o);
      continue;
    }
    for (int64_t r = row; r < m; ++r) {
      OneRow(o);
      o.a += o.a_stride;
      o.y += o.y_stride;
    }
  }
}

int64_t Tasks(const KernelArgs& a) {
  const View& y = a.out[0];
  const int64_t batches = y.rows() / y.dim(-2);
  return batches * RowTiles(y) * ColumnTiles(y);
}

// About 8 multiply-adds a nanosecond.
double TaskNs(const KernelArgs& a) {
  const View& y = a.out[0];
  const int64_t rows = std::min(kTileRows, y.dim(-2));
  const int64_t columns = std::min(kTileColumns, y.dim(-1));
  return 10 + static_cast<double>(rows * columns * a.in[0].dim(-1)) / 8;
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kMatMul,
                 .name = "matmul",
                 .strided = 0b11,
                 .tasks = Tasks,
                 .task_ns = TaskNs,
                 .run = MatMul});
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::inline v0 {
namespace cpu {
HWY_EXPORT(AddKernels);
void AddMatMulKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
