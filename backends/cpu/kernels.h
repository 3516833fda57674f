// The list of kernel files: each adds its kernels of the best instruction set
// in `targets`. Adding a kernel file is its declaration here and its line in
// kernels.cc.
#ifndef WEFT_BACKENDS_CPU_KERNELS_H_
#define WEFT_BACKENDS_CPU_KERNELS_H_

#include "backends/cpu/kernel.h"

namespace weft::inline v0 {
namespace cpu {

void AddAdamWKernels(TargetMask targets, KernelList& out);
void AddAttentionKernels(TargetMask targets, KernelList& out);
void AddBinaryKernels(TargetMask targets, KernelList& out);
void AddCrossEntropyKernels(TargetMask targets, KernelList& out);
void AddDequantKernels(TargetMask targets, KernelList& out);
void AddExpertGradientKernels(TargetMask targets, KernelList& out);
void AddGatherKernels(TargetMask targets, KernelList& out);
void AddGradientKernels(TargetMask targets, KernelList& out);
void AddMatMulKernels(TargetMask targets, KernelList& out);
// These two are made of the qmatmul kernels that are in the list already.
void AddGatedQMatMulKernels(TargetMask targets, KernelList& out);
void AddMatMulByIdKernels(KernelList& out);
void AddNormKernels(TargetMask targets, KernelList& out);
void AddQMatMulKernels(TargetMask targets, KernelList& out);
void AddQMatMulBF16Kernels(TargetMask targets, KernelList& out);
void AddQMatMulF16Kernels(TargetMask targets, KernelList& out);
void AddQMatMulCodebooksKernels(TargetMask targets, KernelList& out);
void AddQMatMulQ2Q3KKernels(TargetMask targets, KernelList& out);
void AddQMatMulQ4Kernels(TargetMask targets, KernelList& out);
void AddQMatMulQ4Q5KKernels(TargetMask targets, KernelList& out);
void AddQMatMulQ5Kernels(TargetMask targets, KernelList& out);
void AddQMatMulQ6KKernels(TargetMask targets, KernelList& out);
void AddQMatMulQ8Kernels(TargetMask targets, KernelList& out);
void AddRecurrentKernels(TargetMask targets, KernelList& out);
void AddRecurrentGradientKernels(TargetMask targets, KernelList& out);
void AddReduceKernels(TargetMask targets, KernelList& out);
void AddRopeKernels(TargetMask targets, KernelList& out);
void AddRouteKernels(TargetMask targets, KernelList& out);
void AddShapeKernels(TargetMask targets, KernelList& out);
void AddSoftmaxKernels(TargetMask targets, KernelList& out);
void AddStateKernels(TargetMask targets, KernelList& out);
void AddUnaryKernels(TargetMask targets, KernelList& out);
void AddUpdateKernels(TargetMask targets, KernelList& out);

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_KERNELS_H_
