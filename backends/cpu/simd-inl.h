// Loops over rows that every kernel file shares. Per-target code: included once
// for each instruction set, after hwy/highway.h.
#if defined(WEFT_BACKENDS_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_SIMD_INL_H_
#undef WEFT_BACKENDS_CPU_SIMD_INL_H_
#else
#define WEFT_BACKENDS_CPU_SIMD_INL_H_
#endif

#include "backends/cpu/kernel.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The first `lanes` values at `p`, zero beyond. A whole vector takes the plain
// load: masked loads and their masks cost on every target but AVX-512.
template <class DF>
HWY_INLINE hn::Vec<DF> LoadPart(DF d, const float* p, int64_t lanes) {
  return lanes >= static_cast<int64_t>(hn::Lanes(d))
             ? hn::LoadU(d, p)
             : hn::LoadN(d, p, static_cast<size_t>(lanes));
}

template <class DF>
HWY_INLINE void StorePart(hn::Vec<DF> v, DF d, float* p, int64_t lanes) {
  if (lanes >= static_cast<int64_t>(hn::Lanes(d))) {
    hn::StoreU(v, d, p);
  } else {
    hn::StoreN(v, d, p, static_cast<size_t>(lanes));
  }
}

// Calls f(d, i, lanes) for i = 0, lanes(d), ... below n; `lanes` is what is
// left of the row, at most a vector. f is called in two places, and g++ makes
// all but the smallest a function then: a call for each vector, before which
// registers are stored and after which constants are loaded again. Where many
// values pass by, f is always_inline (512 tokens of TinyLlama's shape, two
// threads: gated 47 -> 40 ms, quantize 11 -> 8; one token, gated 0.15 -> 0.11).
template <class DF, class F>
HWY_INLINE void ForEachVector(DF d, int64_t n, const F& f) {
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + step <= n; i += step) f(d, i, step);
  if (i < n) f(d, i, n - i);
}

// Sum over a row of the vectors f(d, i, lanes), whose lanes beyond the row must
// be zero. One accumulator: rows are short and the order is easy to state.
template <class DF, class F>
HWY_INLINE float SumOf(DF d, int64_t n, const F& f) {
  auto sum = hn::Zero(d);
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + step <= n; i += step) sum = hn::Add(sum, f(d, i, step));
  if (i < n) sum = hn::Add(sum, f(d, i, n - i));
  return hn::ReduceSum(d, sum);
}

// A task per row of the first output.
HWY_INLINE int64_t RowTasks(const KernelArgs& a) { return a.out[0].rows(); }
// About a nanosecond per 8 values touched, plus the call.
HWY_INLINE double RowNs(const KernelArgs& a) {
  return 5 + static_cast<double>(a.out[0].row_length()) / 8;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_SIMD_INL_H_
