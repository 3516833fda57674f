// A chunk of keys or values to f32, for many queries to share: keys to
// [d][kChunkPositions], values to [positions][e_padded]; of quantised ones q,
// with the scales beside. Per-target code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_KV_UNPACK_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_KV_UNPACK_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_KV_UNPACK_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_KV_UNPACK_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/kernels/attention_shape.h"
#include "backends/cpu/kernels/kv_load-inl.h"
#include "backends/cpu/simd-inl.h"
#include "graph/half.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ---- From tiles ----

// Columns from `count` to the end of its tile are unpacked too, the rest not.
template <class Block>
void UnpackKeys(const KeyTiles<Block>& from, int64_t d, int64_t count,
                float* keys, float* scales) {
  const int64_t lanes = LanesOfF();
  const int64_t columns =
      (count + kTilePositions - 1) / kTilePositions * kTilePositions;
  const int64_t step = IsScaled<Block>() ? kKvBlock : d;
  for (int64_t first = 0; first < d; first += step) {
    const int64_t b = first / kKvBlock;
    const auto run = from.At(b, 0, kChunkPositions);
    for (int64_t i = 0; i < std::min(step, d - first); ++i) {
      float* to = keys + (first + i) * kChunkPositions;
      for (int64_t c = 0; c < columns; c += lanes)
        hn::StoreU(run(i, static_cast<size_t>(c / lanes)), DF(), to + c);
    }
    if constexpr (IsScaled<Block>())
      from.Scales(b, 0, columns, scales + b * kChunkPositions);
  }
}

template <class Block>
void UnpackValues(const ValueTiles<Block>& from, int64_t e, int64_t e_padded,
                  int64_t count, float* values, float* scales) {
  const int64_t lanes = LanesOfF();
  // A vector may reach beyond e: see kv_layout.h.
  for (int64_t c = 0; c < e; c += lanes) {
    const auto run = from.At(c);
    for (int64_t i = 0; i < count; ++i)
      hn::StoreU(run(i, 0), DF(), values + i * e_padded + c);
  }
  if constexpr (IsScaled<Block>())
    for (int64_t b = 0; b * kKvBlock < e; ++b)
      from.Scales(b, scales + b * kChunkPositions);
}

// ---- From rows ----

// Stored rows of consecutive positions.
struct KvRows {
  const std::byte* first;  // or the first tile
  int64_t stride;          // from one position, or tile, to the next
  int64_t bytes;           // of a position, on average
};

HWY_INLINE void DecodePlain(const BlockF32* row, int64_t n, float* out) {
  std::copy_n(&row->value, n, out);
}
HWY_INLINE void DecodePlain(const BlockF16* row, int64_t n, float* out) {
  ForEachVector(DF(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    StorePart(LoadHalfN(d, &row[i].bits, static_cast<size_t>(lanes)), d,
              out + i, lanes);
  });
}
HWY_INLINE void DecodePlain(const BlockBF16* row, int64_t n, float* out) {
  ForEachVector(DF(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    StorePart(LoadValues(d, row + i, lanes), d, out + i, lanes);
  });
}
HWY_INLINE void DecodeQuants(const BlockQ8_0& block, float* out) {
  for (int64_t i = 0; i < kKvBlock; i += LanesOfF())
    hn::StoreU(LoadBytes(block.q + i), DF(), out + i);
}
HWY_INLINE void DecodeQuants(const BlockQ4_0& block, float* out) {
  for (int64_t i = 0; i < kKvBlock; i += LanesOfF())
    hn::StoreU(LoadNibbles(block.q + i % 16, static_cast<int>(i / 16 * 4)),
               DF(), out + i);
}

// A row without its scales (whole blocks of it), and these.
template <class Block>
void DecodeRowParts(const std::byte* row, int64_t n, float* out,
                    float* scales) {
  const Block* blocks = reinterpret_cast<const Block*>(row);
  if constexpr (IsScaled<Block>()) {
    for (int64_t b = 0; b * kKvBlock < n; ++b) {
      DecodeQuants(blocks[b], out + b * kKvBlock);
      scales[b] = F16ToF32(blocks[b].d);
    }
  } else {
    DecodePlain(blocks, n, out);
  }
}

template <class Block>
void UnpackKeys(const KvRows& from, const AttentionShape& s, int64_t count,
                const AttentionScratch& m) {
  for (int64_t j = 0; j < count; ++j) {
    DecodeRowParts<Block>(from.first + j * from.stride, s.d, m.row,
                          m.row_scales);
    for (int64_t i = 0; i < s.d; ++i)
      m.keys[i * kChunkPositions + j] = m.row[i];
    if constexpr (IsScaled<Block>())
      for (int64_t b = 0; b * kKvBlock < s.d; ++b)
        m.key_scales[b * kChunkPositions + j] = m.row_scales[b];
  }
}

template <class Block>
void UnpackValues(const KvRows& from, const AttentionShape& s, int64_t count,
                  const AttentionScratch& m) {
  for (int64_t j = 0; j < count; ++j) {
    DecodeRowParts<Block>(from.first + j * from.stride, s.e, m.row,
                          m.row_scales);
    std::copy_n(m.row, s.e, m.values + j * s.e_padded);
    if constexpr (IsScaled<Block>())
      for (int64_t b = 0; b * kKvBlock < s.e; ++b)
        m.value_scales[b * kChunkPositions + j] = m.row_scales[b];
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_KV_UNPACK_INL_H_
