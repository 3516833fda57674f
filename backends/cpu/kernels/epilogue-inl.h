// What follows the products of a qmatmul: bias and activation. Per-target code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_EPILOGUE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_EPILOGUE_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_EPILOGUE_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_EPILOGUE_INL_H_
#endif

#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// y[i] += bias[i].
inline void AddRow(float* y, const float* bias, int64_t n) {
  ForEachVector(hn::ScalableTag<float>(), n,
                [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
                  StorePart(hn::Add(LoadPart(d, y + i, lanes),
                                    LoadPart(d, bias + i, lanes)),
                            d, y + i, lanes);
                });
}

// Whether results are read again by AddBiasAndActivate().
inline bool HasEpilogue(const KernelArgs& a) {
  return a.in.size() > 2 || a.params->activation != Activation::kNone;
}

// Adds input 2, when there is one, to columns [first, last) of output 0, then
// applies the activation.
inline void AddBiasAndActivate(const KernelArgs& a, int64_t first,
                               int64_t last) {
  if (!HasEpilogue(a)) return;
  const bool bias = a.in.size() > 2;
  for (int64_t t = 0; t < a.out[0].rows(); ++t) {
    float* y = a.out[0].RowAs<float>(t) + first;
    if (bias) AddRow(y, a.in[2].As<float>() + first, last - first);
    Activate(a.params->activation, y, last - first);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_EPILOGUE_INL_H_
