// Keys and values as the inner loop of attention reads them: straight from the
// tiles of a cache, or from a chunk unpacked to f32. Per-target code.
//
// A quantised value is d * q. Attention multiplies with q and puts d where it
// is needed least often: keys have one d for each position and 32 dimensions,
// which scales a partial sum; a value's d scales the probability. Unpacked
// chunks keep q and d apart too, so that all ways give the same bits.
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
  const auto nibble = hn::And(hn::ShiftRightSame(wide, shift), hn::Set(d32, 15));
  return hn::ConvertTo(DF(), hn::Sub(nibble, hn::Set(d32, 8)));
}

// Value `i` of a KeyBlock at positions at .. at + lanes - 1.
HWY_INLINE VF LoadKeys(const KeyBlock<BlockQ8_0>& b, int64_t i, int64_t at) {
  return LoadBytes(&b.q[i][at]);
}
HWY_INLINE VF LoadKeys(const KeyBlock<BlockQ4_0>& b, int64_t i, int64_t at) {
  return LoadNibbles(&b.q[i % 16][at], static_cast<int>(i / 16 * 4));
}
// Values i .. i + lanes - 1 of position `at` of a ValueBlock.
HWY_INLINE VF LoadBlockValues(const ValueBlock<BlockQ8_0>& b, int64_t at,
                              int64_t i) {
  return LoadBytes(&b.q[at][i]);
}
HWY_INLINE VF LoadBlockValues(const ValueBlock<BlockQ4_0>& b, int64_t at,
                              int64_t i) {
  return LoadNibbles(&b.q[at][i % 16], static_cast<int>(i / 16 * 4));
}

// n f16 scales to f32; n is a multiple of 16.
HWY_INLINE void LoadScales(const uint16_t* d, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += LanesOfF())
    hn::StoreU(LoadHalf(DF(), d + i), DF(), out + i);
}

// ---- Keys: element (i, v) is dimension i at positions of a vector ----

// A chunk in tiles. Columns are positions within the chunk, counted from one
// that a run of kVectors vectors begins at.
template <class Block>
struct KeyTiles {
  using Stored = Block;
  const std::byte* chunk;
  int64_t tile_bytes;

  // Dimensions [32 b, 32 b + 32) (all, of plain values) from `column` on.
  struct Run {
    const std::byte* base;  // of the first vector
    int64_t tile_bytes, at, lanes;
    const std::byte* next;  // this run's share of the next chunk

    // As many bytes as are read now, in their order.
    template <int kVectors>
    HWY_INLINE void Prefetch(int64_t i) const {
      const int64_t step = kVectors * lanes * static_cast<int64_t>(
                               sizeof(Block)) / Block::kCount;
      for (int64_t line = 0; line < step; line += 64)
        hwy::Prefetch(next + i * step + line);
    }
    HWY_INLINE VF operator()(int64_t i, size_t v) const {
      const int64_t column = static_cast<int64_t>(v) * lanes;
      const std::byte* tile = base + column / kTilePositions * tile_bytes;
      const int64_t position = at + column % kTilePositions;
      if constexpr (IsScaled<Block>()) {
        return LoadKeys(*reinterpret_cast<const KeyBlock<Block>*>(tile), i,
                        position);
      } else {
        return LoadStored(reinterpret_cast<const Block*>(tile) +
                          i * kTilePositions + position);
      }
    }
  };
  HWY_INLINE Run At(int64_t b, int64_t column, int64_t columns) const {
    const std::byte* next =
        chunk + kChunkPositions / kTilePositions * tile_bytes +
        column * (tile_bytes / kTilePositions) +
        b * columns * static_cast<int64_t>(sizeof(Block));
    return {Tile(b, column), tile_bytes, column % kTilePositions, LanesOfF(),
            next};
  }
  // Scales of `n` columns (a multiple of 16 or of the lanes) of block b.
  HWY_INLINE const float* Scales(int64_t b, int64_t column, int64_t n,
                                 float* buffer) const {
    for (int64_t j = 0; j < n; j += LanesOfF()) {
      const auto* block = reinterpret_cast<const KeyBlock<Block>*>(
          Tile(b, column + j));
      hn::StoreU(LoadHalf(DF(), &block->d[(column + j) % kTilePositions]),
                 DF(), buffer + j);
    }
    return buffer;
  }

 private:
  HWY_INLINE const std::byte* Tile(int64_t b, int64_t column) const {
    const std::byte* tile = chunk + column / kTilePositions * tile_bytes;
    if constexpr (IsScaled<Block>())
      return tile + b * static_cast<int64_t>(sizeof(KeyBlock<Block>));
    return tile;
  }
};

// A chunk unpacked to f32 [d][kChunkPositions].
template <bool kScaled>
struct KeyPanel {
  struct Stored {
    static constexpr int kCount = kScaled ? kKvBlock : 1;
  };
  const float* keys;
  const float* scales;  // [blocks][kChunkPositions]

  struct Run {
    const float* base;
    int64_t lanes;
    template <int kVectors>
    HWY_INLINE void Prefetch(int64_t) const {}
    HWY_INLINE VF operator()(int64_t i, size_t v) const {
      return hn::LoadU(DF(), base + i * kChunkPositions +
                                 static_cast<int64_t>(v) * lanes);
    }
  };
  HWY_INLINE Run At(int64_t b, int64_t column, int64_t) const {
    return {keys + b * kKvBlock * kChunkPositions + column, LanesOfF()};
  }
  HWY_INLINE const float* Scales(int64_t b, int64_t column, int64_t,
                                 float*) const {
    return scales + b * kChunkPositions + column;
  }
};

// ---- Values: element (i, v) is position i, dimensions of a vector ----

template <class Block>
struct ValueTiles {
  using Stored = Block;
  const std::byte* chunk;
  int64_t tile_bytes;

  struct Run {
    const std::byte* base;  // of the chunk's first tile, and dimension
    int64_t tile_bytes, at, lanes;
    // The same of the next chunk.
    template <int kVectors>
    HWY_INLINE void Prefetch(int64_t i) const {
      constexpr int64_t kBlock = sizeof(Block);
      if constexpr (IsScaled<Block>()) {
        hwy::Prefetch(base + kChunkPositions / kTilePositions * tile_bytes +
                      i / kTilePositions * tile_bytes +
                      i % kTilePositions * kBlock);
      } else {
        const std::byte* next =
            base + (kChunkPositions + i) * (tile_bytes / kTilePositions) +
            at * kBlock;
        for (int64_t line = 0; line < kVectors * lanes * kBlock; line += 64)
          hwy::Prefetch(next + line);
      }
    }
    HWY_INLINE VF operator()(int64_t i, size_t v) const {
      const int64_t column = at + static_cast<int64_t>(v) * lanes;
      if constexpr (IsScaled<Block>()) {
        const std::byte* tile = base + i / kTilePositions * tile_bytes;
        return LoadBlockValues(
            *reinterpret_cast<const ValueBlock<Block>*>(tile),
            i % kTilePositions, column);
      } else {
        // Tiles of plain values are rows, one after the other.
        return LoadStored(reinterpret_cast<const Block*>(
                              base + i * (tile_bytes / kTilePositions)) +
                          column);
      }
    }
  };
  // Dimensions from `column` on; those of a run lie in one block.
  HWY_INLINE Run At(int64_t column) const {
    if constexpr (IsScaled<Block>())
      return {chunk + column / kKvBlock *
                          static_cast<int64_t>(sizeof(ValueBlock<Block>)),
              tile_bytes, column % kKvBlock, LanesOfF()};
    return {chunk, tile_bytes, column, LanesOfF()};
  }
  // Scales of block b for all positions of the chunk.
  HWY_INLINE const float* Scales(int64_t b, float* buffer) const {
    const std::byte* tile =
        chunk + b * static_cast<int64_t>(sizeof(ValueBlock<Block>));
    for (int64_t j = 0; j < kChunkPositions; j += kTilePositions)
      LoadScales(reinterpret_cast<const ValueBlock<Block>*>(
                     tile + j / kTilePositions * tile_bytes)
                     ->d,
                 kTilePositions, buffer + j);
    return buffer;
  }
};

// A chunk unpacked to f32 [kChunkPositions][stride].
template <bool kScaled>
struct ValuePanel {
  struct Stored {
    static constexpr int kCount = kScaled ? kKvBlock : 1;
  };
  const float* values;
  const float* scales;  // [blocks][kChunkPositions]
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
  HWY_INLINE const float* Scales(int64_t b, float*) const {
    return scales + b * kChunkPositions;
  }
};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_KV_LOAD_INL_H_
