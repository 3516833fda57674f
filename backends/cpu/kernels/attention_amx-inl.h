// Attention's two products with keys and values in bf16 on tile registers
// (AMX), whose unit does 16 times as many operations as vectors of floats.
// Per-target code.
//
// A query or a probability is taken as the sum of two bf16, of 8 bits each,
// which is 2^-17 of it off at most (numbers below 2^-126 are 0 to the unit).
// What rows give with their first parts and with their second ones are two
// results, each a sum over steps of 32 dimensions (or positions), in a step as
// bf16-inl.h says, which vectors add. So one query has the bits of many: an
// instruction's rows know nothing of each other, and up to 8 queries have both
// their parts in one register.
//
// Stored tiles of keys are [dimension][16 positions] and those of values
// [position][dimension]: two rows, number by number, are a row of a register.
//
// What this gives, and why f16 is not done so: backends/README.md.
#if defined(WEFT_BACKENDS_CPU_KERNELS_ATTENTION_AMX_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_AMX_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_AMX_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_ATTENTION_AMX_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/decode-inl.h"
#include "backends/cpu/kernels/attention_products-inl.h"
#include "backends/cpu/kernels/attention_shape.h"
#include "backends/cpu/quant/tiles-inl.h"
#include "hwy/highway.h"

#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

static_assert(kRowsOfTile == kTileRows && kRowsOfTile == kTilePositions);

// Bytes of a register's row.
inline constexpr int64_t kLineOfTile = kBytesOfTile / kRowsOfTile;

// ---- Operands ----

using DU = hn::RebindToUnsigned<DF>;
using VU = hn::Vec<DU>;

inline constexpr int64_t kBytesOfParts = kPartsOfFloat * kBytesOfTile;

HWY_INLINE VU UpperHalves() { return hn::Set(DU(), 0xFFFF0000u); }
// What a float's upper half is cut from, so that it is the nearest bf16.
HWY_INLINE VU Rounded(VF v) {
  return hn::Add(hn::BitCast(DU(), v), hn::Set(DU(), 0x8000u));
}
HWY_INLINE VF UpperHalf(VU v) {
  return hn::BitCast(DF(), hn::And(v, UpperHalves()));
}
// The upper halves of both, side by side.
HWY_INLINE void StorePair(VU even, VU odd, uint8_t* to) {
  hn::StoreU(
      hn::BitwiseIfThenElse(UpperHalves(), odd, hn::ShiftRight<16>(even)), DU(),
      reinterpret_cast<uint32_t*>(to));
}
// Both parts of pairs of floats to rows `part` bytes apart.
HWY_INLINE void CutPair(VF even, VF odd, int64_t part, uint8_t* to) {
  const VU even_bits = Rounded(even), odd_bits = Rounded(odd);
  StorePair(even_bits, odd_bits, to);
  StorePair(Rounded(hn::Sub(even, UpperHalf(even_bits))),
            Rounded(hn::Sub(odd, UpperHalf(odd_bits))), to + part);
}

// 16 numbers and 16 more as pairs.
using DW = hn::Repartition<uint16_t, DF>;
HWY_INLINE auto PairIndices() {
  alignas(64) static constexpr uint16_t kOrder[32] = {
      0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
      8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return hn::SetTableIndices(DW(), kOrder);
}

// A tile of keys: dimensions of a step at 16 positions. Those beyond the last
// position have columns of their own, which nobody reads.
struct KeyPairs {
  const KvRows& keys;

  // kAsk: asks for the next chunk's meanwhile.
  template <bool kAsk>
  HWY_INLINE void Copy(int64_t step, int64_t column, uint8_t* to) const {
    const DW d;
    const auto order = PairIndices();
    // Two dimensions follow each other.
    const std::byte* from =
        keys.first + column * keys.stride + step * kBytesOfTile;
    const std::byte* next = from + kChunk / kTilePositions * keys.stride;
    for (int64_t i = 0; i < kBytesOfTile; i += kLineOfTile) {
      if (kAsk) hwy::Prefetch(next + i);
      const auto both =
          hn::LoadU(d, reinterpret_cast<const uint16_t*>(from + i));
      hn::StoreU(hn::TableLookupLanes(both, order), d,
                 reinterpret_cast<uint16_t*>(to + i));
    }
  }
};

// A tile of values: 32 positions, of which 16 apart are pairs, in 16
// dimensions; 0 beyond the last position.
struct ValuePairs {
  const KvRows& values;
  int64_t count;

  template <bool kAsk>
  HWY_INLINE void Copy(int64_t step, int64_t column, uint8_t* to) const {
    const DW d;
    const hn::Half<DW> half;
    const auto order = PairIndices();
    const int64_t bytes = values.stride / kTilePositions;
    const std::byte* even =
        values.first + step * kColumnsOfTile * bytes + column * kLineOfTile / 2;
    const std::byte* odd = even + kTilePositions * bytes;
    const int64_t left = count - step * kColumnsOfTile;
    for (int64_t i = 0; i < kTilePositions; ++i) {
      // Of two tiles side by side the first one asks for the lines of both.
      if (kAsk && column % 2 == 0) {
        hwy::Prefetch(even + kChunk * bytes);
        hwy::Prefetch(odd + kChunk * bytes);
      }
      const auto row = [&](int64_t at, const std::byte* from) HWY_ATTR {
        return at < left
                   ? hn::LoadU(half, reinterpret_cast<const uint16_t*>(from))
                   : hn::Zero(half);
      };
      const auto both =
          hn::Combine(d, row(i + kTilePositions, odd), row(i, even));
      hn::StoreU(hn::TableLookupLanes(both, order), d,
                 reinterpret_cast<uint16_t*>(to + i * kLineOfTile));
      even += bytes;
      odd += bytes;
    }
  }
};

// Steps of values that the positions of a chunk are; of keys, two tiles each.
HWY_INLINE int64_t MixSteps(const KvChunk& c) {
  return (c.count + kColumnsOfTile - 1) / kColumnsOfTile;
}
HWY_INLINE int64_t ScoreTiles(const KvChunk& c) { return 2 * MixSteps(c); }

// A whole chunk, for many rows: [column of tiles][step].
template <class Pairs>
HWY_INLINE void CopyAll(const Pairs& pairs, int64_t columns, int64_t steps,
                        uint8_t* to) {
  for (int64_t column = 0; column < columns; ++column)
    for (int64_t step = 0; step < steps; ++step, to += kBytesOfTile)
      pairs.template Copy<false>(step, column, to);
}
inline void CopyKeys(const AttentionShape& s, const AttentionScratch& m,
                     const KvChunk& c) {
  CopyAll(KeyPairs{c.keys}, ScoreTiles(c), s.d / kColumnsOfTile, m.key_tiles);
}
inline void CopyValues(const AttentionShape& s, const AttentionScratch& m,
                       const KvChunk& c) {
  CopyAll(ValuePairs{c.values, c.count}, s.e / kRowsOfTile, MixSteps(c),
          m.value_tiles);
}

// The probabilities of up to 16 rows, as the values of `count` positions want
// them; second parts are `part` bytes behind the first ones.
HWY_INLINE void CutProbabilities(const float* p, int64_t rows, int64_t count,
                                 int64_t part, uint8_t* to) {
  const DF d;
  for (int64_t at = 0; at < count; at += kColumnsOfTile, to += kBytesOfParts)
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = p + r * kChunk + at;
      const VF odd = at + kTilePositions < count
                         ? hn::LoadU(d, row + kTilePositions)
                         : hn::Zero(d);
      CutPair(hn::LoadU(d, row), odd, part, to + r * kLineOfTile);
    }
}

// ---- Products ----

inline constexpr size_t kSumsStride = kChunk * sizeof(float);

// store(row, column, first + second) of so many rows and tiles of columns, from
// the tile `column` on.
template <class Store>
HWY_INLINE void AddResults(const float* first, const float* second,
                           int64_t rows, int64_t column, int64_t columns,
                           const Store& store) {
  const DF d;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < columns; ++i) {
      const int64_t at = r * kChunk + i * kRowsOfTile;
      store(r, (column + i) * kRowsOfTile,
            hn::Add(hn::LoadU(d, first + at), hn::LoadU(d, second + at)));
    }
}

// Many rows: 16 of them at `x`, [step][part], times 32 columns at `w`,
// [column][step]. Loads come first, see amx-inl.h.
HWY_INLINE void MultiplyMany(const uint8_t* x, const uint8_t* w, int64_t steps,
                             float* first, float* second) {
  const uint8_t* next = w + steps * kBytesOfTile;
  ZeroTile<0>();
  ZeroTile<1>();
  ZeroTile<2>();
  ZeroTile<3>();
  for (int64_t step = 0; step < steps; ++step) {
    LoadTile<4>(x, kLineOfTile);
    LoadTile<6>(w, kLineOfTile);
    LoadTile<7>(next, kLineOfTile);
    LoadTile<5>(x + kBytesOfTile, kLineOfTile);
    MultiplyBF16<0, 4, 6>();
    MultiplyBF16<1, 4, 7>();
    MultiplyBF16<2, 5, 6>();
    MultiplyBF16<3, 5, 7>();
    x += kBytesOfParts;
    w += kBytesOfTile;
    next += kBytesOfTile;
  }
  StoreTile<0>(first, kSumsStride);
  StoreTile<1>(first + kRowsOfTile, kSumsStride);
  StoreTile<2>(second, kSumsStride);
  StoreTile<3>(second + kRowsOfTile, kSumsStride);
}

// A column of few rows: the next tile is copied while this one is multiplied.
// Tiles take turns in two places.
template <int kColumn, int kColumns, class Pairs>
HWY_INLINE void MultiplyColumn(const Pairs& pairs, int64_t step, int64_t steps,
                               int64_t column, uint8_t* tiles) {
  uint8_t* const other = tiles + (kColumn + 1) % 2 * kBytesOfTile;
  if (kColumn + 1 < kColumns)
    pairs.template Copy<true>(step, column + kColumn + 1, other);
  else if (step + 1 < steps)
    pairs.template Copy<true>(step + 1, column, other);
  LoadTile<6>(tiles + kColumn % 2 * kBytesOfTile, kLineOfTile);
  MultiplyBF16<kColumn, 4, 6>();
}

// Few rows, whose two parts are one tile of each step, times kColumns tiles of
// columns from `column` on.
template <int kColumns, class Pairs>
HWY_NOINLINE void MultiplyFew(const uint8_t* x, const Pairs& pairs,
                              int64_t steps, int64_t column, uint8_t* tiles,
                              float* sums) {
  ZeroTile<0>();
  ZeroTile<1>();
  if (kColumns == 4) {
    ZeroTile<2>();
    ZeroTile<3>();
  }
  pairs.template Copy<true>(0, column, tiles);
  for (int64_t step = 0; step < steps; ++step, x += kBytesOfParts) {
    LoadTile<4>(x, kLineOfTile);
    MultiplyColumn<0, kColumns>(pairs, step, steps, column, tiles);
    MultiplyColumn<1, kColumns>(pairs, step, steps, column, tiles);
    if constexpr (kColumns == 4) {
      MultiplyColumn<2, kColumns>(pairs, step, steps, column, tiles);
      MultiplyColumn<3, kColumns>(pairs, step, steps, column, tiles);
    }
  }
  StoreTile<0>(sums, kSumsStride);
  StoreTile<1>(sums + kRowsOfTile, kSumsStride);
  if (kColumns == 4) {
    StoreTile<2>(sums + 2 * kRowsOfTile, kSumsStride);
    StoreTile<3>(sums + 3 * kRowsOfTile, kSumsStride);
  }
}

// store(row, column, sum) of `rows` times so many tiles of columns, an even
// number.
template <class Pairs, class Store>
HWY_INLINE void RunFew(const uint8_t* x, const Pairs& pairs, int64_t steps,
                       int64_t rows, int64_t columns, uint8_t* tiles,
                       float* sums, const Store& store) {
  for (int64_t column = 0; column < columns;) {
    const int64_t some = columns - column >= 4 ? 4 : 2;
    if (some == 4)
      MultiplyFew<4>(x, pairs, steps, column, tiles, sums);
    else
      MultiplyFew<2>(x, pairs, steps, column, tiles, sums);
    AddResults(sums, sums + rows * kChunk, rows, column, some, store);
    column += some;
  }
}

template <class Store>
HWY_INLINE void RunMany(const uint8_t* x, const uint8_t* w, int64_t steps,
                        int64_t rows, int64_t columns, float* sums,
                        const Store& store) {
  float* const second = sums + kRowsOfTile * kChunk;
  for (int64_t column = 0; column < columns; column += 2) {
    MultiplyMany(x, w, steps, sums, second);
    AddResults(sums, second, rows, column, 2, store);
    w += 2 * steps * kBytesOfTile;
  }
}

template <bool kFew>
void ScoresOnTiles(const AttentionShape& s, const AttentionScratch& m,
                   const KvChunk& c, int64_t begin, int64_t end,
                   Prefetcher& next) {
  const int64_t steps = s.d / kColumnsOfTile;
  for (int64_t r = begin; r < end; r += kRowsOfTile) {
    const int64_t rows = std::min(kRowsOfTile, end - r);
    float* const scores = m.scores + r * kChunk;
    const uint8_t* x = m.query_tiles + r / kRowsOfTile * steps * kBytesOfParts;
    const auto store = [=](int64_t row, int64_t column, VF sum) HWY_ATTR {
      hn::StoreU(sum, DF(), scores + row * kChunk + column);
    };
    if constexpr (kFew) {
      RunFew(x, KeyPairs{c.keys}, steps, rows, ScoreTiles(c), m.key_tiles,
             m.tile_sums, store);
    } else {
      next.Step(rows);
      RunMany(x, m.key_tiles, steps, rows, ScoreTiles(c), m.tile_sums, store);
    }
  }
}

template <bool kFew>
void MixOnTiles(const AttentionShape& s, const AttentionScratch& m,
                const KvChunk& c, int64_t begin, int64_t end,
                Prefetcher& next) {
  const int64_t columns = s.e / kRowsOfTile;
  for (int64_t r = begin; r < end; r += kRowsOfTile) {
    const int64_t rows = std::min(kRowsOfTile, end - r);
    CutProbabilities(m.scores + r * kChunk, rows, c.count,
                     kFew ? rows * kLineOfTile : kBytesOfTile, m.weight_tiles);
    float* const out = m.part + r * s.e_padded;
    const float* const keep = m.keep + r;
    const int64_t stride = s.e_padded;
    const auto store = [=](int64_t row, int64_t column, VF sum) HWY_ATTR {
      const DF d;
      float* const to = out + row * stride + column;
      hn::StoreU(hn::MulAdd(hn::LoadU(d, to), hn::Set(d, keep[row]), sum), d,
                 to);
    };
    if constexpr (kFew) {
      RunFew(m.weight_tiles, ValuePairs{c.values, c.count}, MixSteps(c), rows,
             columns, m.value_tiles, m.tile_sums, store);
    } else {
      next.Step(rows);
      RunMany(m.weight_tiles, m.value_tiles, MixSteps(c), rows, columns,
              m.tile_sums, store);
    }
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // AVX3

#endif  // WEFT_BACKENDS_CPU_KERNELS_ATTENTION_AMX_INL_H_
