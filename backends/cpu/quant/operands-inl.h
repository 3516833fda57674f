// What a matmul on blocks is called with, and its weights' rows as panels.
// Per-target code.
#if defined(WEFT_BACKENDS_CPU_QUANT_OPERANDS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_OPERANDS_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_OPERANDS_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_OPERANDS_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernel.h"
#include "backends/cpu/quant/panel-inl.h"
#include "graph/blocks/blocks.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kTaskRows = 32;
static_assert(kTaskRows % kLanes == 0);

template <class C>
constexpr size_t kGroupBytes =
    sizeof(typename C::Block) * (kGroupSize / C::Block::kCount);

// Of q8_k, the largest.
constexpr size_t kMostGroupBytes = sizeof(BlockQ8_K);

// One call's operands.
struct MatMulArgs {
  const View* w;
  const View* x;
  const View* y;
  AskOrder ask_order = AskOrder::kNever;
  bool packed() const { return IsPacked(w->dtype); }
  // A tile wants tokens at one distance: so they are in a dense tensor and in a
  // slice of a matrix, not in a permuted one of higher rank.
  bool even() const { return x->dense || x->rank <= 2; }
  int64_t k() const { return w->dim(1); }
  int groups() const {
    return static_cast<int>((k() + kGroupSize - 1) / kGroupSize);
  }
  int64_t rows_from(int64_t row) const {
    return std::min(kTaskRows, w->dim(0) - row);
  }
  template <class Block>
  int blocks_of(int group) const {
    constexpr int kBlocks = kGroupSize / Block::kCount;
    return static_cast<int>(
        std::min<int64_t>(kBlocks, k() / Block::kCount - group * kBlocks));
  }
  // Sub-blocks of group g, of `sub` columns each, that hold columns.
  int subs_of(int g, int sub) const {
    const int64_t left = k() - int64_t{g} * kGroupSize;
    return static_cast<int>(std::min<int64_t>(kGroupSize, left) / sub);
  }
};

// The packed panel that begins at row `row`.
HWY_INLINE PackedRows<> PackedPanel(const MatMulArgs& m, int64_t row) {
  const int64_t lane = row % kPackedRows;
  return {reinterpret_cast<const uint8_t*>(m.w->Row(row - lane)),
          static_cast<size_t>(lane)};
}

// Unpacks group g of the panel that begins at row `row` into a P: a Panel or
// what is written like one. `rows_copy` is kLanes * kGroupBytes<C> of scratch.
template <class C, class P>
HWY_NOINLINE void UnpackPanel(const MatMulArgs& m, int64_t row, int g,
                              uint8_t* rows_copy, void* panel) {
  using Block = typename C::Block;
  static_assert(kGroupBytes<C> <= kMostGroupBytes);
  P& out = *static_cast<P*>(panel);
  const auto stride = static_cast<size_t>(m.w->stride(0));
  const size_t offset = static_cast<size_t>(g) * kGroupBytes<C>;
  const int blocks = m.blocks_of<Block>(g);
  if (m.packed()) return C::Unpack(PackedPanel(m, row).At(offset), blocks, out);
  const auto* data = reinterpret_cast<const uint8_t*>(m.w->Row(row));
  const int64_t rows = m.w->dim(0) - row;
  if (rows >= kLanes) {
    C::Unpack(Rows{data + offset, stride}, blocks, out);
    return;
  }
  const size_t bytes = static_cast<size_t>(blocks) * sizeof(Block);
  std::memset(rows_copy, 0, kLanes * kGroupBytes<C>);
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(rows_copy + static_cast<size_t>(r) * kGroupBytes<C>,
                data + static_cast<size_t>(r) * stride + offset, bytes);
  C::Unpack(Rows{rows_copy, kGroupBytes<C>}, blocks, out);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_OPERANDS_INL_H_
