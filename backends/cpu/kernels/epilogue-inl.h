// What follows the products of a qmatmul: bias and activation, which
// epilogue.cc has for all formats. Per-target code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_EPILOGUE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_EPILOGUE_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_EPILOGUE_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_EPILOGUE_INL_H_
#endif

#include <cstdint>

#include "backends/cpu/kernel.h"
#include "hwy/highway.h"

namespace weft::inline v0 {
namespace cpu {
// That of an instruction set, or of the one before it that has its code.
using Epilogue = void (*)(const KernelArgs& a, int64_t first, int64_t last);
Epilogue EpilogueOf(TargetMask target);
}  // namespace cpu
}  // namespace weft::inline v0

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// Whether results are read again by AddBiasAndActivate().
inline bool HasEpilogue(const KernelArgs& a) {
  return a.in.size() > 2 || a.params->activation != Activation::kNone;
}

// Adds input 2, when there is one, to columns [first, last) of output 0, then
// applies the activation.
inline void AddBiasAndActivate(const KernelArgs& a, int64_t first,
                               int64_t last) {
  if (HasEpilogue(a)) EpilogueOf(HWY_TARGET)(a, first, last);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_EPILOGUE_INL_H_
