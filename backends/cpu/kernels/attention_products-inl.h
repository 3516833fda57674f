// The two products of attention over one chunk: scores and mixed values, for
// rows of queries, from keys and values in any format and layout. Per-target
// code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_ATTENTION_PRODUCTS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_PRODUCTS_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_PRODUCTS_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_ATTENTION_PRODUCTS_INL_H_
#endif

#include <algorithm>
#include <type_traits>

#include "backends/cpu/kernels/attention_shape.h"
#include "backends/cpu/kernels/attention_tile-inl.h"
#include "backends/cpu/kernels/kv_load-inl.h"
#include "backends/cpu/kernels/kv_unpack-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Keys and values of `count` positions from `first` on, as they are stored.
struct KvChunk {
  int64_t first, count;
  KvRows keys, values;  // of tiles: the first tile, and the stride of tiles
};

// Calls f(integral constant n, r) for pieces of rows [begin, end), n rows from
// r on: as many of kMost (6 or 8) as there are, the rest in even pieces.
template <int kMost, class F>
HWY_INLINE void ForEachPiece(int64_t begin, int64_t end, const F& f) {
  for (int64_t r = begin; r < end;) {
    const auto take = [&](auto n) HWY_ATTR {
      f(n, r);
      r += n;
    };
    const int64_t left = end - r;
    if (left >= kMost) {
      take(std::integral_constant<int, kMost>());
    } else if (left == 4 || left == 7) {
      take(std::integral_constant<int, 4>());
    } else if (left >= 3) {
      take(std::integral_constant<int, 3>());
    } else if (left == 2) {
      take(std::integral_constant<int, 2>());
    } else {
      take(std::integral_constant<int, 1>());
    }
  }
}

// ---- Scores ----

// kRows rows of queries times the keys of `columns` positions.
template <int kRows, class Keys>
HWY_NOINLINE void ScoreRows(const Keys& keys, const float* q, int64_t q_stride,
                            int64_t d, int64_t columns, float* scores) {
  const DF df;
  constexpr bool kScaled = IsScaled<typename Keys::Stored>();
  // 3 vectors do not divide a chunk.
  constexpr int kFit = TileVectors(kRows, 4);
  constexpr int kVectors = kFit == 3 ? 2 : kFit;
  const int64_t lanes = LanesOfF();
  for (int64_t c = 0; c < columns; c += kVectors * lanes) {
    float* to = scores + c;
    if constexpr (!kScaled) {
      Tile<kRows, kVectors>(d, q, q_stride, keys.At(0, c),
                            [&](size_t r, size_t v, auto sum) HWY_ATTR {
                              hn::StoreU(sum, df,
                                         to + r * kChunk +
                                             v * static_cast<size_t>(lanes));
                            });
    } else {
      HWY_ALIGN float buffer[kChunk];
      for (int64_t b = 0; b * kKvBlock < d; ++b) {
        const float* scales =
            keys.Scales(b, c, kVectors * lanes, buffer);
        const int64_t n = std::min(kKvBlock, d - b * kKvBlock);
        Tile<kRows, kVectors>(
            n, q + b * kKvBlock, q_stride, keys.At(b, c),
            [&](size_t r, size_t v, auto sum) HWY_ATTR {
              const size_t at = v * static_cast<size_t>(lanes);
              float* score = to + r * kChunk + at;
              const auto scale = hn::LoadU(df, scales + at);
              const auto before =
                  b == 0 ? hn::Zero(df) : hn::LoadU(df, score);
              hn::StoreU(hn::MulAdd(sum, scale, before), df, score);
            });
      }
    }
  }
}

template <int kMost, class Keys>
void ScoreAll(const Keys& keys, const AttentionShape& s,
              const AttentionScratch& m, int64_t count, int64_t begin,
              int64_t end) {
  ForEachPiece<kMost>(begin, end, [&](auto n, int64_t r) HWY_ATTR {
    ScoreRows<decltype(n)::value>(keys, m.q + r * s.d_padded, s.d_padded, s.d,
                                  count, m.scores + r * kChunk);
  });
}

// ---- Mixed values ----

// What ScoreAll left of kRows rows.
struct MixArgs {
  const float* p;      // [rows][kChunk]
  const float* keep;   // [rows]
  float* out;          // [rows][out_stride]
  int64_t out_stride;
  int64_t count;       // positions
};

// out = out * keep + p times the values, dimensions from `column` on.
template <int kRows, int kVectors, class Values>
HWY_NOINLINE void MixColumns(const Values& values, const MixArgs& a,
                             int64_t column) {
  const DF df;
  const size_t lanes = hn::Lanes(df);
  Tile<kRows, kVectors>(
      a.count, a.p, kChunk, values.At(column),
      [&](size_t r, size_t v, auto sum) HWY_ATTR {
        float* to = a.out + static_cast<int64_t>(r) * a.out_stride + column +
                    static_cast<int64_t>(v * lanes);
        hn::StoreU(hn::MulAdd(hn::LoadU(df, to), hn::Set(df, a.keep[r]), sum),
                   df, to);
      });
}

// `vectors` from `column` on, in as even parts as fit into registers.
template <int kRows, class Values>
void MixVectors(const Values& values, const MixArgs& a, int64_t column,
                int64_t vectors) {
  constexpr int kMost = TileVectors(kRows, 4);
  const int64_t lanes = LanesOfF();
  while (vectors > 0) {
    const int64_t parts = (vectors + kMost - 1) / kMost;
    const int64_t n = (vectors + parts - 1) / parts;
    if (n == 1) MixColumns<kRows, 1>(values, a, column);
    if constexpr (kMost >= 2)
      if (n == 2) MixColumns<kRows, 2>(values, a, column);
    if constexpr (kMost >= 3)
      if (n == 3) MixColumns<kRows, 3>(values, a, column);
    if constexpr (kMost >= 4)
      if (n == 4) MixColumns<kRows, 4>(values, a, column);
    column += n * lanes;
    vectors -= n;
  }
}

template <int kRows, class Values>
void MixRows(const Values& values, MixArgs a, int64_t e, float* weights) {
  const DF df;
  const int64_t lanes = LanesOfF();
  if constexpr (!IsScaled<typename Values::Stored>()) {
    MixVectors<kRows>(values, a, 0, (e + lanes - 1) / lanes);
  } else {
    HWY_ALIGN float buffer[kChunk];
    const float* p = a.p;
    a.p = weights;
    for (int64_t first = 0; first < e; first += kKvBlock) {
      const float* scales = values.Scales(first / kKvBlock, buffer);
      for (int64_t r = 0; r < kRows; ++r)
        for (int64_t j = 0; j < a.count; j += lanes)
          hn::StoreU(hn::Mul(hn::LoadU(df, p + r * kChunk + j),
                             hn::LoadU(df, scales + j)),
                     df, weights + r * kChunk + j);
      const int64_t n = std::min(kKvBlock, e - first);
      MixVectors<kRows>(values, a, first, (n + lanes - 1) / lanes);
    }
  }
}

template <int kMost, class Values>
void MixAll(const Values& values, const AttentionShape& s,
            const AttentionScratch& m, const KvChunk& c, int64_t begin,
            int64_t end) {
  ForEachPiece<kMost>(begin, end, [&](auto n, int64_t r) HWY_ATTR {
    // Not beyond what any of the rows sees: p is 0 there, but what is stored
    // may be infinite or no number at all.
    const int64_t high = *std::max_element(m.high + r, m.high + r + n);
    const int64_t count = std::min(c.count, high - c.first);
    if (count <= 0) return;
    MixRows<decltype(n)::value>(
        values,
        {m.scores + r * kChunk, m.keep + r, m.part + r * s.e_padded,
         s.e_padded, count},
        s.e, m.weights);
  });
}

// ---- Formats and layouts ----

// The products over a chunk, for rows [begin, end) of a block.
using Product = void (*)(const AttentionShape& s, const AttentionScratch& m,
                         const KvChunk& c, int64_t begin, int64_t end);

// Rows of a tile over an unpacked chunk.
inline constexpr int kPanelRows = 6;

template <class Block>
void ScoresFromTiles(const AttentionShape& s, const AttentionScratch& m,
                     const KvChunk& c, int64_t begin, int64_t end) {
  const KeyTiles<Block> tiles = {c.keys.first, c.keys.stride};
  ScoreAll<kDirectRows>(tiles, s, m, c.count, begin, end);
}

template <class Block>
void ScoresFromUnpackedTiles(const AttentionShape& s, const AttentionScratch& m,
                             const KvChunk& c, int64_t begin, int64_t end) {
  UnpackKeys<Block>({c.keys.first, c.keys.stride}, s.d, c.count, m.keys,
                    m.key_scales);
  const KeyPanel<IsScaled<Block>()> panel = {m.keys, m.key_scales};
  ScoreAll<kPanelRows>(panel, s, m, c.count, begin, end);
}

template <class Block>
void ScoresFromRows(const AttentionShape& s, const AttentionScratch& m,
                    const KvChunk& c, int64_t begin, int64_t end) {
  UnpackKeys<Block>(c.keys, s, c.count, m);
  const KeyPanel<IsScaled<Block>()> panel = {m.keys, m.key_scales};
  ScoreAll<kPanelRows>(panel, s, m, c.count, begin, end);
}

template <class Block>
void MixFromTiles(const AttentionShape& s, const AttentionScratch& m,
                  const KvChunk& c, int64_t begin, int64_t end) {
  const ValueTiles<Block> tiles = {c.values.first, c.values.stride};
  MixAll<kDirectRows>(tiles, s, m, c, begin, end);
}

template <class Block>
void MixFromUnpackedTiles(const AttentionShape& s, const AttentionScratch& m,
                          const KvChunk& c, int64_t begin, int64_t end) {
  UnpackValues<Block>({c.values.first, c.values.stride}, s.e, s.e_padded,
                      c.count, m.values, m.value_scales);
  const ValuePanel<IsScaled<Block>()> panel = {m.values, m.value_scales,
                                               s.e_padded};
  MixAll<kPanelRows>(panel, s, m, c, begin, end);
}

template <class Block>
void MixFromRows(const AttentionShape& s, const AttentionScratch& m,
                 const KvChunk& c, int64_t begin, int64_t end) {
  UnpackValues<Block>(c.values, s, c.count, m);
  const ValuePanel<IsScaled<Block>()> panel = {m.values, m.value_scales,
                                               s.e_padded};
  MixAll<kPanelRows>(panel, s, m, c, begin, end);
}

// Ways to read one format.
struct Products {
  Product scores_direct, scores_unpacked, scores_from_rows;
  Product mix_direct, mix_unpacked, mix_from_rows;
};

template <class Block>
constexpr Products ProductsOf() {
  return {ScoresFromTiles<Block>, ScoresFromUnpackedTiles<Block>,
          ScoresFromRows<Block>,  MixFromTiles<Block>,
          MixFromUnpackedTiles<Block>, MixFromRows<Block>};
}

inline Products ProductsOf(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return ProductsOf<BlockF16>();
    case DType::kBF16:
      return ProductsOf<BlockBF16>();
    case DType::kQ8_0:
      return ProductsOf<BlockQ8_0>();
    case DType::kQ4_0:
      return ProductsOf<BlockQ4_0>();
    default:
      return ProductsOf<BlockF32>();
  }
}

inline Product ScoresFor(const View& keys, bool direct) {
  const Products p = ProductsOf(keys.dtype);
  if (keys.layout == StateLayout::kRows) return p.scores_from_rows;
  return direct ? p.scores_direct : p.scores_unpacked;
}

inline Product MixFor(const View& values, bool direct) {
  const Products p = ProductsOf(values.dtype);
  if (values.layout == StateLayout::kRows) return p.mix_from_rows;
  return direct ? p.mix_direct : p.mix_unpacked;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_ATTENTION_PRODUCTS_INL_H_
