// sum_to and scatter_rows: sums over rows, each in the order of the rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/reduce.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <array>
#include <cmath>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/elementwise-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/elementwise.h"
#include "ops/gradient_ops.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

// y += x.
void AddRow(const float* x, int64_t n, float* y) {
  ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    StorePart(hn::Add(LoadPart(d, y + i, lanes), LoadPart(d, x + i, lanes)), d,
              y + i, lanes);
  });
}

// ---- sum_to: a task per piece of a row of the output ----

// The rows of x that one row of y is the sum of, as an odometer over the
// dimensions that y lacks. Offsets in bytes.
struct SummedRows {
  int64_t first = 0;
  int64_t count = 1;
  int axes = 0;
  std::array<int64_t, kMaxRank> dims{}, strides{};

  SummedRows(const View& x, const View& y, int64_t row) {
    const int missing = x.rank - y.rank;
    for (int axis = x.rank - 2; axis >= 0; --axis) {
      const int64_t kept = axis < missing ? 1 : y.dim(axis - missing);
      if (kept == x.dim(axis)) {
        first += row % kept * x.stride(axis);
        row /= kept;
        continue;
      }
      dims[static_cast<size_t>(axes)] = x.dim(axis);
      strides[static_cast<size_t>(axes++)] = x.stride(axis);
      count *= x.dim(axis);
    }
  }

  int64_t Offset(int64_t i) const {
    int64_t offset = first;
    for (size_t axis = 0; axis < static_cast<size_t>(axes); ++axis) {
      offset += i % dims[axis] * strides[axis];
      i /= dims[axis];
    }
    return offset;
  }
};

void SumTo(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& x = a.in[0];
  const View& y = a.out[0];
  const bool to_one = y.row_length() < x.row_length();
  ForEachPiece(
      a, begin, end, [&](int64_t r, int64_t first, int64_t n) HWY_ATTR {
        const SummedRows rows(x, y, r);
        float* out = y.RowAs<float>(r) + first;
        double sum = 0;
        if (!to_one) std::fill_n(out, n, 0.0f);
        for (int64_t i = 0; i < rows.count; ++i) {
          const float* in =
              reinterpret_cast<const float*>(x.data + rows.Offset(i)) + first;
          if (!to_one) {
            AddRow(in, n, out);
            continue;
          }
          sum += SumOf(D(), x.row_length(),
                       [&](auto d, int64_t j, int64_t lanes)
                           HWY_ATTR { return LoadPart(d, in + j, lanes); });
        }
        if (to_one) *out = static_cast<float>(sum);
      });
}

double SumToNs(const KernelArgs& a) {
  const auto share = a.in[0].elements() / std::max<int64_t>(1, PieceTasks(a));
  return 10 + static_cast<double>(share) / 8;
}

// ---- scatter_rows: a task per kBlock rows of the output ----

// Each task looks at every id: 32 rows make that cheap beside the sums.
constexpr int64_t kBlock = 32;

int64_t Blocks(const KernelArgs& a) {
  return (a.out[0].dim(0) + kBlock - 1) / kBlock;
}

void ScatterRows(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& y = a.out[0];
  const int32_t* ids = a.in[1].As<const int32_t>();
  const int64_t rows = y.dim(0);
  const int64_t n = y.elements() / rows;
  const int64_t first = begin * kBlock;
  const int64_t last = std::min(end * kBlock, rows);
  float* out = y.As<float>();
  std::fill(out + first * n, out + std::max(first, last) * n, 0.0f);
  for (int64_t t = 0; t < a.in[0].dim(0); ++t) {
    if (ids[t] < 0 || ids[t] >= rows)
      a.bad_index->store(ids[t], std::memory_order_relaxed);
    else if (ids[t] >= first && ids[t] < last)
      AddRow(a.in[0].As<const float>() + t * n, n, out + ids[t] * n);
  }
}

double ScatterNs(const KernelArgs& a) {
  const double tasks = static_cast<double>(Blocks(a));
  return 10 + static_cast<double>(a.in[0].dim(0)) +
         static_cast<double>(a.in[0].elements()) / 4 / tasks;
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kSumTo,
                 .name = "sum_to",
                 .strided = 0b1,
                 .tasks = PieceTasks,
                 .task_ns = SumToNs,
                 .run = SumTo});
  out.push_back({.op = &kScatterRows,
                 .name = "scatter_rows",
                 .tasks = Blocks,
                 .task_ns = ScatterNs,
                 .run = ScatterRows});
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
void AddReduceKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
