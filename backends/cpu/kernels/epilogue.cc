// Bias and activation of the qmatmul kernels, compiled once for all formats: in
// each format's file they were a twelfth of its time and a fifth of its bytes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/epilogue.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include "backends/cpu/kernels/epilogue-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// y[i] += bias[i].
void AddRow(float* y, const float* bias, int64_t n) {
  ForEachVector(hn::ScalableTag<float>(), n,
                [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
                  StorePart(hn::Add(LoadPart(d, y + i, lanes),
                                    LoadPart(d, bias + i, lanes)),
                            d, y + i, lanes);
                });
}

void Finish(const KernelArgs& a, int64_t first, int64_t last) {
  const bool bias = a.in.size() > 2;
  for (int64_t t = 0; t < a.out[0].rows(); ++t) {
    float* y = a.out[0].RowAs<float>(t) + first;
    if (bias) AddRow(y, a.in[2].As<float>() + first, last - first);
    Activate(a.params->activation, y, last - first);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::inline v0 {
namespace cpu {
HWY_EXPORT(Finish);
Epilogue EpilogueOf(TargetMask target) {
  return PickTarget(HWY_DISPATCH_TABLE(Finish), target);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
