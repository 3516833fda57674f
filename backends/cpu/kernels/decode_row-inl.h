// A row of a stored format to f32, bit for bit as the format defines it.
// Per-target code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_DECODE_ROW_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_DECODE_ROW_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_DECODE_ROW_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_DECODE_ROW_INL_H_
#endif

#include <type_traits>

#include "backends/cpu/decode-inl.h"
#include "backends/cpu/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Whether the format has a codec of its own. The generic one decodes a block at
// a time to a buffer; for a whole row the dtype table's decoder, which gives the
// same bits, needs none.
template <class Block>
constexpr bool HasVectorCodec() {
  return !requires(typename Codec<Block>::Unpacked u) { u.values; };
}

// Whether vectors of the format's values are exact. Where x86 has no
// instruction for it (before AVX2), Highway's f16 to f32 makes large numbers of
// infinities.
template <class Block>
constexpr bool HasExactVectors() {
#if HWY_ARCH_X86 && HWY_TARGET > HWY_AVX2
  return !std::is_same_v<Block, BlockF16>;
#else
  return true;
#endif
}

// y[0, n) from the blocks at `row`; n is a multiple of the block.
template <class Block>
HWY_INLINE void DecodeRow(const std::byte* row, int64_t n, float* y) {
  const Block* blocks = reinterpret_cast<const Block*>(row);
  const DF df;
  if constexpr (!HasExactVectors<Block>()) {
    Info(Block::kType).decode(row, n / Block::kCount, y);
  } else if constexpr (Block::kCount == 1) {
    ForEachVector(df, n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
      StorePart(LoadValues(d, blocks + i, lanes), d, y + i, lanes);
    });
  } else if constexpr (HasVectorCodec<Block>()) {
    using C = Codec<Block>;
    const int step = static_cast<int>(hn::Lanes(df));
    for (; n > 0; n -= Block::kCount, y += Block::kCount, ++blocks) {
      const auto scale = C::Scale(df, blocks);
      const auto unpacked = C::Unpack(df, blocks);
      for (int j = 0; j < Block::kCount; j += step)
        hn::StoreU(C::Values(df, blocks, unpacked, scale, j), df, y + j);
    }
  } else {
    Info(Block::kType).decode(row, n / Block::kCount, y);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_DECODE_ROW_INL_H_
