// Keys and values as the inner loop of attention reads them: straight from the
// tiles of a cache, or from a chunk unpacked to f32. A quantised value is d *
// q, an exact product in f32, so that both ways give the same bits. Per-target
// code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_KV_LOAD_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_KV_LOAD_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_KV_LOAD_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_KV_LOAD_INL_H_
#endif

#include <algorithm>
#include <type_traits>

#include "backends/cpu/decode-inl.h"
#include "backends/cpu/half-inl.h"
#include "backends/cpu/kv_layout.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_INLINE int64_t LanesOfF() { return static_cast<int64_t>(hn::Lanes(DF())); }

template <class Block>
constexpr bool IsScaled() {
  return Block::kCount > 1;
}

// Of so many values, on average.
template <class Block>
constexpr int64_t BytesOf(int64_t values) {
  return values * static_cast<int64_t>(sizeof(Block)) / Block::kCount;
}

// Piece i, as long as `values` values, of what begins at `from`.
template <class Block>
HWY_INLINE void PrefetchShare(const std::byte* from, int64_t i,
                              int64_t values) {
  const int64_t step = BytesOf<Block>(values);
  for (int64_t line = 0; line < step; line += 64)
    hwy::Prefetch(from + i * step + line);
}

// ---- Whole vectors of stored values, without their scale ----

HWY_INLINE VF LoadStored(const BlockF32* p) {
  return hn::LoadU(DF(), &p->value);
}
HWY_INLINE VF LoadStored(const BlockF16* p) { return LoadHalf(DF(), &p->bits); }
HWY_INLINE VF LoadStored(const BlockBF16* p) {
  const DF d;
  const hn::Rebind<hwy::bfloat16_t, DF> dh;
  return hn::PromoteTo(
      d, hn::LoadU(dh, reinterpret_cast<const hwy::bfloat16_t*>(&p->bits)));
}
HWY_INLINE VF LoadBytes(const int8_t* q) {
  const hn::RebindToSigned<DF> d32;
  const hn::Rebind<int8_t, DF> d8;
  return hn::ConvertTo(DF(), hn::PromoteTo(d32, hn::LoadU(d8, q)));
}
// Nibbles less 8; `shift` is 0 for the low ones, 4 for the high ones.
HWY_INLINE VF LoadNibbles(const uint8_t* q, int shift) {
  const hn::RebindToSigned<DF> d32;
  const hn::Rebind<uint8_t, DF> d8;
  const auto wide = hn::PromoteTo(d32, hn::LoadU(d8, q));
  const auto nibble =
      hn::And(hn::ShiftRightSame(wide, shift), hn::Set(d32, 15));
  return hn::ConvertTo(DF(), hn::Sub(nibble, hn::Set(d32, 8)));
}

// Value `i` of a KeyBlock at positions at .. at + lanes - 1, without d.
HWY_INLINE VF LoadQuants(const KeyBlock<BlockQ8_0>& b, int64_t i, int64_t at) {
  return LoadBytes(&b.q[i][at]);
}
HWY_INLINE VF LoadQuants(const KeyBlock<BlockQ4_0>& b, int64_t i, int64_t at) {
  return LoadNibbles(&b.q[i % 16][at], static_cast<int>(i / 16 * 4));
}
// Values i .. i + lanes - 1 of position `at` of a ValueBlock, without d.
HWY_INLINE VF LoadQuants(const ValueBlock<BlockQ8_0>& b, int64_t at,
                         int64_t i) {
  return LoadBytes(&b.q[at][i]);
}
HWY_INLINE VF LoadQuants(const ValueBlock<BlockQ4_0>& b, int64_t at,
                         int64_t i) {
  return LoadNibbles(&b.q[at][i % 16], static_cast<int>(i / 16 * 4));
}

// The scales of a chunk in tiles of KeyBlocks or ValueBlocks, n values long:
// f32 [blocks][kChunkPositions].
template <class Tiled>
void LoadScales(const std::byte* chunk, int64_t tile_bytes, int64_t n,
                float* scales) {
  for (int64_t b = 0; b * kKvBlock < n; ++b)
    for (int64_t t = 0; t < kChunkPositions; t += kTilePositions) {
      const auto& block = reinterpret_cast<const Tiled*>(
          chunk + t / kTilePositions * tile_bytes)[b];
      for (int64_t i = 0; i < kTilePositions; i += LanesOfF())
        hn::StoreU(LoadHalf(DF(), block.d + i), DF(),
                   scales + b * kChunkPositions + t + i);
    }
}

// ---- Keys: element (i, v) is dimension i at positions of a vector ----

// A chunk in tiles. Columns are positions within the chunk.
template <class Block>
class KeyTiles {
 public:
  // `scales` is memory for those of d values.
  KeyTiles(const std::byte* chunk, int64_t tile_bytes, int64_t d, float* scales)
      : chunk_(chunk), tile_bytes_(tile_bytes), scales_(scales) {
    if constexpr (IsScaled<Block>())
      LoadScales<KeyBlock<Block>>(chunk, tile_bytes, d, scales);
  }

  // Vectors from `column` on.
  struct Run {
    const std::byte* tile;  // of the first vector
    int64_t tile_bytes, at, lanes;
    const float* scales;    // of the first vector
    const std::byte* next;  // this run's share of the next chunk

    // As many bytes as are read now, in their order.
    template <int kVectors>
    HWY_INLINE void Prefetch(int64_t i) const {
      PrefetchShare<Block>(next, i, kVectors * lanes);
    }
    HWY_INLINE VF operator()(int64_t i, size_t v) const {
      const int64_t column = static_cast<int64_t>(v) * lanes;
      const std::byte* from = tile + column / kTilePositions * tile_bytes;
      const int64_t position = at + column % kTilePositions;
      if constexpr (IsScaled<Block>()) {
        const int64_t b = i / kKvBlock;
        return hn::Mul(
            LoadQuants(reinterpret_cast<const KeyBlock<Block>*>(from)[b],
                       i % kKvBlock, position),
            hn::LoadU(DF(), scales + b * kChunkPositions + column));
      } else {
        return LoadStored(reinterpret_cast<const Block*>(from) +
                          i * kTilePositions + position);
      }
    }
  };
  HWY_INLINE Run At(int64_t column) const {
    return {
        chunk_ + column / kTilePositions * tile_bytes_,
        tile_bytes_,
        column % kTilePositions,
        LanesOfF(),
        scales_ + column,
        chunk_ + (kChunkPositions + column) * (tile_bytes_ / kTilePositions)};
  }

 private:
  const std::byte* chunk_;
  int64_t tile_bytes_;
  const float* scales_;
};

// A chunk unpacked to f32 [d][kChunkPositions].
struct KeyPanel {
  const float* keys;

  struct Run {
    const float* base;
    int64_t lanes;
    template <int kVectors>
    HWY_INLINE void Prefetch(int64_t) const {}
    HWY_INLINE VF operator()(int64_t i, size_t v) const {
      return hn::LoadU(
          DF(), base + i * kChunkPositions + static_cast<int64_t>(v) * lanes);
    }
  };
  HWY_INLINE Run At(int64_t column) const {
    return {keys + column, LanesOfF()};
  }
};

// ---- Values: element (i, v) is position i, dimensions of a vector ----

// A chunk in tiles. Columns are dimensions; a vector may reach beyond the last
// (see kv_layout.h).
template <class Block>
class ValueTiles {
 public:
  // `scales` is memory for those of e values.
  ValueTiles(const std::byte* chunk, int64_t tile_bytes, int64_t e,
             float* scales)
      : chunk_(chunk), tile_bytes_(tile_bytes), scales_(scales) {
    if constexpr (IsScaled<Block>())
      LoadScales<ValueBlock<Block>>(chunk, tile_bytes, e, scales);
  }

  // Vectors from `column` on.
  struct Run {
    const std::byte* chunk;
    int64_t tile_bytes, column, lanes;
    const float* scales;
    const std::byte* next;  // this run's share of the next chunk

    // As many bytes as are read now. Not those that stand there: of each row
    // these vectors have a part, and memory gives lines in their order faster.
    template <int kVectors>
    HWY_INLINE void Prefetch(int64_t i) const {
      PrefetchShare<Block>(next, i, kVectors * lanes);
    }
    HWY_INLINE VF operator()(int64_t i, size_t v) const {
      const int64_t c = column + static_cast<int64_t>(v) * lanes;
      if constexpr (IsScaled<Block>()) {
        const std::byte* tile = chunk + i / kTilePositions * tile_bytes;
        const int64_t b = c / kKvBlock;
        return hn::Mul(
            LoadQuants(reinterpret_cast<const ValueBlock<Block>*>(tile)[b],
                       i % kTilePositions, c % kKvBlock),
            hn::Set(DF(), scales[b * kChunkPositions + i]));
      } else {
        // Tiles of plain values are rows, one after the other.
        return LoadStored(reinterpret_cast<const Block*>(
                              chunk + i * (tile_bytes / kTilePositions)) +
                          c);
      }
    }
  };
  HWY_INLINE Run At(int64_t column) const {
    return {chunk_,
            tile_bytes_,
            column,
            LanesOfF(),
            scales_,
            chunk_ + kChunkPositions / kTilePositions * tile_bytes_ +
                BytesOf<Block>(column) * kChunkPositions};
  }

 private:
  const std::byte* chunk_;
  int64_t tile_bytes_;
  const float* scales_;
};

// A chunk unpacked to f32 [kChunkPositions][stride].
struct ValuePanel {
  const float* values;
  int64_t stride;

  struct Run {
    const float* base;
    int64_t stride, lanes;
    template <int kVectors>
    HWY_INLINE void Prefetch(int64_t) const {}
    HWY_INLINE VF operator()(int64_t i, size_t v) const {
      return hn::LoadU(DF(),
                       base + i * stride + static_cast<int64_t>(v) * lanes);
    }
  };
  HWY_INLINE Run At(int64_t column) const {
    return {values + column, stride, LanesOfF()};
  }
};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_KV_LOAD_INL_H_
