// dequant of every stored format. One task per row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/dequant.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include "backends/cpu/kernel_name.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/decode_row-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "graph/blocks/q8_a.h"
#include "graph/blocks/q8_a32.h"
#include "ops/matmul.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <class Block>
void Dequant(const KernelArgs& a, int64_t begin, int64_t end) {
  // A state's row may end within a block.
  const int64_t n = a.out[0].row_length();
  const int64_t whole = n / Block::kCount * Block::kCount;
  for (int64_t r = begin; r < end; ++r) {
    const std::byte* from = a.in[0].Row(r);
    float* to = a.out[0].RowAs<float>(r);
    DecodeRow<Block>(from, whole, to);
    if (whole == n) continue;
    const Block* last =
        reinterpret_cast<const Block*>(from) + whole / Block::kCount;
    for (int64_t i = 0; i < n - whole; ++i)
      to[whole + i] = last->At(static_cast<int>(i));
  }
}

template <class Block>
bool Supports(const Graph& graph, const Node& node) {
  return graph.value(node.inputs[0]).type.dtype == Block::kType;
}

template <class Block>
void AddFormat(KernelList& out) {
  out.push_back({.op = &kDequant,
                 .name = KernelName<"dequant.", Block>(),
                 .supports = Supports<Block>,
                 .strided = 0b1,
                 .tasks = RowTasks,
                 .task_ns = RowNs,
                 .run = Dequant<Block>});
}

template <class... Bs>
void AddFormats(TypeList<Bs...>, KernelList& out) {
  (AddFormat<Bs>(out), ...);
}

HWY_INLINE float ScaleAt(const BlockQ8_A& block, int64_t) { return block.d; }
HWY_INLINE float ScaleAt(const BlockQ8_A32& block, int64_t i) {
  return block.d[i / BlockQ8_A32::kPerScale];
}

// Rows of activations may end inside a block.
template <class Block>
void DequantActivations(const KernelArgs& a, int64_t begin, int64_t end) {
  const hn::CappedTag<float, 16> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<int8_t, decltype(d)> d8;
  const int64_t n = a.out[0].row_length();
  for (int64_t r = begin; r < end; ++r) {
    const auto* blocks = a.in[0].RowAs<const Block>(r);
    float* y = a.out[0].RowAs<float>(r);
    ForEachVector(d, n, [&](auto tag, int64_t i, int64_t lanes) HWY_ATTR {
      // Vectors divide what shares a scale: one never reads past its end.
      const Block& block = blocks[i / Block::kCount];
      const int64_t in_block = i % Block::kCount;
      const auto q = hn::ConvertTo(
          tag, hn::PromoteTo(di, hn::LoadU(d8, block.q + in_block)));
      StorePart(hn::Mul(q, hn::Set(tag, ScaleAt(block, in_block))), tag, y + i,
                lanes);
    });
  }
}

template <class Block>
void AddActivations(KernelList& out) {
  out.push_back({.op = &kDequant,
                 .name = KernelName<"dequant.", Block>(),
                 .supports = Supports<Block>,
                 .strided = 0b1,
                 .tasks = RowTasks,
                 .task_ns = RowNs,
                 .run = DequantActivations<Block>});
}

void AddKernels(KernelList& out) {
  AddFormats(Blocks(), out);
  AddActivations<BlockQ8_A>(out);
  AddActivations<BlockQ8_A32>(out);
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
void AddDequantKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
