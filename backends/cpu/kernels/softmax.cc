// softmax, mask and alibi. One task per row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/softmax.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/elementwise-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/alibi.h"
#include "ops/softmax.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

constexpr float kHidden = -std::numeric_limits<float>::infinity();

// As LoadPart, but lanes beyond the row are excluded instead of zero.
HWY_INLINE hn::Vec<D> LoadScores(D d, const float* p, int64_t lanes) {
  if (lanes >= static_cast<int64_t>(hn::Lanes(d))) return hn::LoadU(d, p);
  return hn::LoadNOr(hn::Set(d, kHidden), d, p, static_cast<size_t>(lanes));
}

float MaxOfRow(const float* x, int64_t n) {
  const D d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  auto max = hn::Set(d, kHidden);
  for (int64_t i = 0; i < n; i += step)
    max = hn::Max(max, LoadScores(d, x + i, n - i));
  return hn::ReduceMax(d, max);
}

// y = exp(x - shift); returns the sum of y, in one vector accumulator.
float ExpRow(const float* x, int64_t n, float shift, float* y) {
  const D d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  const auto offset = hn::Set(d, shift);
  auto sum = hn::Zero(d);
  for (int64_t i = 0; i < n; i += step) {
    const auto e = ExpOf(d, hn::Sub(LoadScores(d, x + i, n - i), offset));
    sum = hn::Add(sum, e);
    StorePart(e, d, y + i, n - i);
  }
  return hn::ReduceSum(d, sum);
}

void Softmax(const KernelArgs& a, int64_t begin, int64_t end) {
  const int64_t n = a.in[0].row_length();
  const View& none = a.in[0];
  const BroadcastRows sinks(a.in.size() > 1 ? a.in[1] : none, a.out[0]);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = a.in[0].RowAs<const float>(r);
    float* y = a.out[0].RowAs<float>(r);
    const float sink = a.in.size() > 1 ? *sinks.Row(r) : kHidden;
    const float max = std::max(sink, MaxOfRow(x, n));
    // The maximum only keeps exp from overflowing. It is not subtracted where
    // everything is excluded: -inf less itself is no number, and a row whose
    // exponentials are all 0 stays that.
    float sum = ExpRow(x, n, max == kHidden ? 0.0f : max, y);
    if (sink != kHidden) sum += std::exp(sink - max);
    const float scale = sum == 0 ? 0.0f : 1.0f / sum;
    ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
      StorePart(hn::Mul(LoadPart(d, y + i, lanes), hn::Set(d, scale)), d, y + i,
                lanes);
    });
  }
}

// y = x, or nothing when they are the same memory.
void CopyFloats(const float* x, int64_t n, float* y) {
  if (x != y) std::copy_n(x, n, y);
}

// A query at position p sees the keys from p - window + 1 (a window) to p
// (causal): one range, which is copied; what lies outside becomes -inf.
void Mask(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& out = a.out[0];
  const KernelParams& p = *a.params;
  const int32_t* pos = a.in[1].As<const int32_t>();
  const int64_t n = out.row_length();
  int64_t rows_per_query = 1;
  for (int axis = p.query_axis + 1; axis + 1 < out.rank; ++axis)
    rows_per_query *= out.dim(axis);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = a.in[0].RowAs<const float>(r);
    float* y = out.RowAs<float>(r);
    const int64_t query = pos[r / rows_per_query % out.dim(p.query_axis)];
    const int64_t first = p.window > 0 ? query - p.window + 1 : 0;
    const int64_t last = p.causal ? query + 1 : n;
    const int64_t from = std::clamp<int64_t>(first, 0, n);
    const int64_t to = std::clamp<int64_t>(last, from, n);
    std::fill(y, y + from, kHidden);
    CopyFloats(x + from, to - from, y + from);
    std::fill(y + to, y + n, kHidden);
  }
}

void Alibi(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& out = a.out[0];
  const auto axis = a.params->query_axis;
  const int32_t* pos = a.in[1].As<const int32_t>();
  const int64_t heads = out.dim(1 - axis), queries = out.dim(axis);
  const double max_bias = a.params->attrs->Float("max_bias");
  for (int64_t r = begin; r < end; ++r) {
    const int64_t head = axis == 0 ? r % heads : r / queries;
    const int64_t token = axis == 0 ? r / heads : r % queries;
    const float* x = a.in[0].RowAs<const float>(r);
    float* y = out.RowAs<float>(r);
    const D d;
    const auto slope = hn::Set(d, AlibiSlope(head, heads, max_bias));
    const auto at = hn::Set(d, static_cast<float>(pos[token]));
    ForEachVector(
        d, out.row_length(), [&](auto, int64_t i, int64_t lanes) HWY_ATTR {
          const auto distance =
              hn::Abs(hn::Sub(at, hn::Iota(d, static_cast<float>(i))));
          StorePart(hn::NegMulAdd(slope, distance, LoadPart(d, x + i, lanes)),
                    d, y + i, lanes);
        });
  }
}

// Three passes; the exponentials are about half a nanosecond a value.
double SoftmaxNs(const KernelArgs& a) {
  return 10 + static_cast<double>(a.out[0].row_length()) / 2;
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kSoftmax,
                 .name = "softmax",
                 .strided = 0b1,
                 .tasks = RowTasks,
                 .task_ns = SoftmaxNs,
                 .run = Softmax});
  out.push_back({.op = &kMask,
                 .name = "mask",
                 .strided = 0b1,
                 .tasks = RowTasks,
                 .task_ns = RowNs,
                 .run = Mask});
  out.push_back({.op = &kAlibi,
                 .name = "alibi",
                 .strided = 0b1,
                 .tasks = RowTasks,
                 .task_ns = RowNs,
                 .run = Alibi});
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
void AddSoftmaxKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
