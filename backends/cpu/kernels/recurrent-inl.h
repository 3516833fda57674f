// What recurrent.cc and recurrent_gradient.cc share. Per-target code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_RECURRENT_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_RECURRENT_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_RECURRENT_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_RECURRENT_INL_H_
#endif

#include <cmath>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// Channels per task: a few vectors of each row, and of a scan with 16 states
// 4 KB.
inline constexpr int64_t kRecurrentChannels = 64;

// The step size of a scan.
inline float Softplus(float x) { return x > 30 ? x : std::log1p(std::exp(x)); }

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_RECURRENT_INL_H_
