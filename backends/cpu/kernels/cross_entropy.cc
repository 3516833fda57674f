// cross_entropy, a task per row and a second stage that adds the rows in their
// order; cross_entropy_gradient, a task per row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/cross_entropy.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <cmath>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/elementwise-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/loss.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

float MaxOfRow(const float* x, int64_t n) {
  const D d;
  auto max = hn::Set(d, x[0]);
  ForEachVector(d, n, [&](auto, int64_t i, int64_t lanes) HWY_ATTR {
    // Lanes beyond the row take its first value.
    max = hn::Max(max, lanes >= static_cast<int64_t>(hn::Lanes(d))
                           ? hn::LoadU(d, x + i)
                           : hn::LoadNOr(hn::Set(d, x[0]), d, x + i,
                                         static_cast<size_t>(lanes)));
  });
  return hn::ReduceMax(d, max);
}

// The sum of exp(x - max).
float SumOfExp(const float* x, int64_t n, float max) {
  return SumOf(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    const auto e =
        ExpOf(d, hn::Sub(LoadPart(d, x + i, lanes), hn::Set(d, max)));
    if (lanes >= static_cast<int64_t>(hn::Lanes(d))) return e;
    return hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(lanes)), e);
  });
}

// Whether the row counts; a target outside the row is reported.
bool Counts(const KernelArgs& a, int64_t target, int64_t n) {
  if (target < n) return target >= 0;
  a.bad_index->store(target, std::memory_order_relaxed);
  return false;
}

// What each row loses, for the second stage.
void RowLosses(const KernelArgs& a, int64_t begin, int64_t end) {
  const int64_t n = a.in[0].row_length();
  const int32_t* targets = a.in[1].As<const int32_t>();
  float* losses = reinterpret_cast<float*>(a.shared);
  for (int64_t r = begin; r < end; ++r) {
    losses[r] = 0;
    if (!Counts(a, targets[r], n)) continue;
    const float* x = a.in[0].RowAs<const float>(r);
    const float max = MaxOfRow(x, n);
    losses[r] = std::log(SumOfExp(x, n, max)) + (max - x[targets[r]]);
  }
}

int64_t InputRows(const KernelArgs& a) { return a.in[0].rows(); }

int64_t SharedBytes(const KernelArgs& a) {
  return InputRows(a) * static_cast<int64_t>(sizeof(float));
}

int64_t CountOf(const KernelArgs& a) {
  const int32_t* targets = a.in[1].As<const int32_t>();
  return std::count_if(targets, targets + InputRows(a),
                       [](int32_t target) { return target >= 0; });
}

int64_t One(const KernelArgs&) { return 1; }

void Mean(const KernelArgs& a, int64_t begin, int64_t end) {
  if (begin >= end) return;
  const float* losses = reinterpret_cast<const float*>(a.shared);
  // In double: the mean of many tokens should not depend on their number.
  double sum = 0;
  for (int64_t r = 0; r < InputRows(a); ++r) sum += losses[r];
  const int64_t count = CountOf(a);
  *a.out[0].As<float>() =
      count == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(count));
}

void Gradient(const KernelArgs& a, int64_t begin, int64_t end) {
  const int64_t n = a.in[0].row_length();
  const int32_t* targets = a.in[1].As<const int32_t>();
  const int64_t count = CountOf(a);
  const float share =
      count == 0 ? 0.0f
                 : *a.in[2].As<const float>() / static_cast<float>(count);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = a.in[0].RowAs<const float>(r);
    float* y = a.out[0].RowAs<float>(r);
    if (!Counts(a, targets[r], n)) {
      std::fill_n(y, n, 0.0f);
      continue;
    }
    const float max = MaxOfRow(x, n);
    const float scale = share / SumOfExp(x, n, max);
    ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
      const auto e =
          ExpOf(d, hn::Sub(LoadPart(d, x + i, lanes), hn::Set(d, max)));
      StorePart(hn::Mul(e, hn::Set(d, scale)), d, y + i, lanes);
    });
    y[targets[r]] -= share;
  }
}

// Exponentials at about half a nanosecond a value.
double TaskNs(const KernelArgs& a) {
  return 20 + static_cast<double>(a.in[0].row_length()) * 0.6;
}
double MeanNs(const KernelArgs& a) {
  return 10 + static_cast<double>(InputRows(a));
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kCrossEntropy,
                 .name = "cross_entropy",
                 .strided = 0b1,
                 .tasks = InputRows,
                 .task_ns = TaskNs,
                 .shared_bytes = SharedBytes,
                 .run = RowLosses,
                 .finish_tasks = One,
                 .finish_ns = MeanNs,
                 .finish = Mean});
  out.push_back({.op = &kCrossEntropyGradient,
                 .name = "cross_entropy_gradient",
                 .strided = 0b1,
                 .tasks = RowTasks,
                 .task_ns = TaskNs,
                 .run = Gradient});
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
void AddCrossEntropyKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
