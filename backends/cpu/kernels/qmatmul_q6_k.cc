// qmatmul with weights in q6_k.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/qmatmul_q6_k.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include "backends/cpu/kernels.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/quant/add_kernels-inl.h"
#include "backends/cpu/quant/k_quants-inl.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {

void AddKernels(TargetMask targets, KernelList& out) { AddQMatMul<CodecQ6_K>(targets, out); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::inline v0 {
namespace cpu {
HWY_EXPORT(AddKernels);
void AddQMatMulQ6KKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(targets, out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
