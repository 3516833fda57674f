// Records of the matmuls on blocks. Per-target code.
#if defined(WEFT_BACKENDS_CPU_QUANT_ADD_KERNELS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_ADD_KERNELS_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_ADD_KERNELS_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_ADD_KERNELS_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/kernel_name.h"
#include "backends/cpu/quant/amx-inl.h"
#include "backends/cpu/quant/matmul-inl.h"
#include "ops/fused.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

inline int64_t BlockTaskRows(const KernelArgs&) { return kTaskRows; }

HWY_INLINE int64_t BlockTasks(const KernelArgs& a) {
  return (a.in[1].dim(0) + kTaskRows - 1) / kTaskRows;
}

// One token is bound by memory, about 15 bytes a nanosecond and core; many by
// arithmetic, about 50 multiply-adds a nanosecond exact and 200 fast.
template <class C, bool kFast>
double BlockTaskNs(const KernelArgs& a) {
  const double values = static_cast<double>(kTaskRows * a.in[0].row_length());
  const double bytes = values * sizeof(typename C::Block) / C::Block::kCount;
  const double tokens = static_cast<double>(a.in[0].rows());
  return 20 + std::max(bytes / 15, values * tokens / (kFast ? 200 : 50));
}

template <class C>
bool SupportsBlocks(const Graph& graph, const Node& node, DType x) {
  const DType w = graph.value(node.inputs[1]).type.dtype;
  return (w == C::Block::kType || w == PackedType(C::Block::kType)) &&
         graph.value(node.inputs[0]).type.dtype == x;
}

template <class C>
absl::string_view FastName() {
  if (Activations<C>::kType == DType::kQ8_A)
    return KernelName<"qmatmul.q8_a.", typename C::Block>();
  return KernelName<"qmatmul.q8_a32.", typename C::Block>();
}

// Adds the kernels of a format: for 8-bit activations and for f32 ones.
template <class C>
void AddQMatMul([[maybe_unused]] TargetMask targets, KernelList& out) {
  auto fast = QMatMulFast<C, Dots::kTarget>;
  int64_t rows_together = kTaskRows;
  auto scratch = BlocksScratch<C>;
  if constexpr (kHasDotExtension) {
    if ((targets & kDotTarget) != 0) fast = QMatMulFast<C, Dots::kExtension>;
  }
#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3_DL
  if ((targets & kAmxTarget) != 0) {
    fast = QMatMulAmx<C>;
    rows_together = kAmxRows;
    scratch = AmxScratchBytes<C>;
  }
#endif
  out.push_back({.op = &kQMatMul,
                 .name = FastName<C>(),
                 .supports =
                     [](const Graph& graph, const Node& node) {
                       return SupportsBlocks<C>(graph, node,
                                                Activations<C>::kType);
                     },
                 .strided = 1,
                 .tasks = BlockTasks,
                 .task_ns = BlockTaskNs<C, true>,
                 .scratch_bytes = scratch,
                 .run = fast,
                 .rows_per_task = BlockTaskRows,
                 .rows_together = rows_together});
  out.push_back({.op = &kQMatMul,
                 .name = KernelName<"qmatmul.", typename C::Block>(),
                 .supports =
                     [](const Graph& graph, const Node& node) {
                       return SupportsBlocks<C>(graph, node, DType::kF32);
                     },
                 .strided = 1,
                 .tasks = BlockTasks,
                 .task_ns = BlockTaskNs<C, false>,
                 .scratch_bytes = BlocksScratch<C>,
                 .run = QMatMulExact<C>,
                 .rows_per_task = BlockTaskRows});
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_ADD_KERNELS_INL_H_
