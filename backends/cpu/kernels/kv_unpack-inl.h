// A chunk of keys or values to f32, for many queries to share: keys to
// [d][kChunkPositions], values to [positions][e_padded]. Per-target code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_KV_UNPACK_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_KV_UNPACK_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_KV_UNPACK_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_KV_UNPACK_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/kernels/attention_products-inl.h"
#include "backends/cpu/kernels/attention_shape.h"
#include "backends/cpu/kernels/decode_row-inl.h"
#include "backends/cpu/kernels/kv_load-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Columns from `count` to the end of its tile are unpacked too, the rest not.
template <class Block>
void UnpackKeys(const KeyTiles<Block>& from, int64_t d, int64_t count,
                float* keys) {
  const int64_t lanes = LanesOfF();
  const int64_t vectors =
      (count + kTilePositions - 1) / kTilePositions * kTilePositions / lanes;
  const auto run = from.At(0);
  for (int64_t i = 0; i < d; ++i)
    for (int64_t v = 0; v < vectors; ++v)
      hn::StoreU(run(i, static_cast<size_t>(v)), DF(),
                 keys + i * kChunkPositions + v * lanes);
}

template <class Block>
void UnpackValues(const ValueTiles<Block>& from, int64_t e, int64_t e_padded,
                  int64_t count, float* values) {
  const int64_t lanes = LanesOfF();
  for (int64_t c = 0; c < e; c += lanes) {
    const auto run = from.At(c);
    for (int64_t i = 0; i < count; ++i)
      hn::StoreU(run(i, 0), DF(), values + i * e_padded + c);
  }
}

// The first `n` values of a row, and what completes its last block.
template <class Block>
HWY_INLINE void DecodeBlocks(const std::byte* row, int64_t n, float* out) {
  DecodeRow<Block>(row, (n + Block::kCount - 1) / Block::kCount * Block::kCount,
                   out);
}

template <class Block>
void UnpackKeys(const KvRows& from, const AttentionShape& s, int64_t count,
                const AttentionScratch& m) {
  for (int64_t j = 0; j < count; ++j) {
    DecodeBlocks<Block>(from.first + j * from.stride, s.d, m.row);
    for (int64_t i = 0; i < s.d; ++i)
      m.keys[i * kChunkPositions + j] = m.row[i];
  }
}

template <class Block>
void UnpackValues(const KvRows& from, const AttentionShape& s, int64_t count,
                  const AttentionScratch& m) {
  for (int64_t j = 0; j < count; ++j) {
    DecodeBlocks<Block>(from.first + j * from.stride, s.e, m.row);
    std::copy_n(m.row, s.e, m.values + j * s.e_padded);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_KV_UNPACK_INL_H_
