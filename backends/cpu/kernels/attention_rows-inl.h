// The loops of attention's two products, and their instances for one format.
// Per-target code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_ATTENTION_ROWS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_ROWS_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_ROWS_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_ATTENTION_ROWS_INL_H_
#endif

#include <algorithm>
#include <type_traits>

#include "backends/cpu/kernels/attention_products-inl.h"
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

// Rows of a tile over an unpacked chunk.
inline constexpr int kPanelRows = 6;

// Calls f(integral constant n, r) for pieces of rows [begin, end), n rows from
// r on: as many of kMost as there are, the rest in even pieces.
template <int kMost, class F>
HWY_INLINE void ForEachPiece(int64_t begin, int64_t end, const F& f) {
  int64_t r = begin;
  const auto take = [&](auto n) HWY_ATTR {
    f(n, r);
    r += n;
  };
  while (r < end) {
    const int64_t left = end - r;
    if (left >= kMost) {
      take(std::integral_constant<int, kMost>());
    } else if (left == 4 || left == 7) {
      take(std::integral_constant<int, std::min(4, kMost)>());
    } else if (left >= 3) {
      take(std::integral_constant<int, std::min(3, kMost)>());
    } else if (left == 2) {
      take(std::integral_constant<int, 2>());
    } else {
      take(std::integral_constant<int, 1>());
    }
  }
}

// ---- Scores ----

// kRows rows of queries times the keys of `columns` positions.
template <int kRows, class Queries, class Keys>
HWY_NOINLINE void ScoreRows(const Queries& q, const Keys& keys, int64_t d,
                            int64_t columns, float* scores) {
  const DF df;
  // 3 vectors do not divide a chunk.
  constexpr int kFit = TileVectors(kRows, 4);
  constexpr int kVectors = kFit == 3 ? 2 : kFit;
  const size_t lanes = hn::Lanes(df);
  for (int64_t c = 0; c < columns; c += kVectors * LanesOfF()) {
    float* to = scores + c;
    Tile<kRows, kVectors>(d, q, keys.At(c),
                          [=](size_t r, size_t v, auto sum) HWY_ATTR {
                            hn::StoreU(sum, df, to + r * kChunk + v * lanes);
                          });
  }
}

// Queries of a block that reads keys as stored are packed, others are rows:
// packing many would cost more than it gains.
HWY_INLINE PackedRows<kDirectRows> QueriesFor(const AttentionScratch& m,
                                              const AttentionShape&, int64_t r,
                                              std::true_type) {
  return {m.q + r};
}
HWY_INLINE Rows<0> QueriesFor(const AttentionScratch& m,
                              const AttentionShape& s, int64_t r,
                              std::false_type) {
  return {m.q + r * s.d_padded, s.d_padded};
}

template <bool kDirect, class Keys>
void ScoreAll(const Keys& keys, const AttentionShape& s,
              const AttentionScratch& m, const KvChunk& c, int64_t begin,
              int64_t end, Prefetcher* next) {
  constexpr int kMost = kDirect ? kDirectRows : kPanelRows;
  ForEachPiece<kMost>(begin, end, [&](auto n, int64_t r) HWY_ATTR {
    if (next != nullptr) next->Step(n);
    ScoreRows<decltype(n)::value>(
        QueriesFor(m, s, r, std::bool_constant<kDirect>()), keys, s.d, c.count,
        m.scores + r * kChunk);
  });
}

// ---- Mixed values ----

// What ScoreAll left of kRows rows.
struct MixArgs {
  const float* p;     // [rows][kChunk]
  const float* keep;  // [rows]
  float* out;         // [rows][out_stride]
  int64_t out_stride;
  int64_t count;  // positions
};

// out = out * keep + p times the values, dimensions from `column` on.
template <int kRows, int kVectors, class Values>
HWY_NOINLINE void MixColumns(const Values& values, const MixArgs& a,
                             int64_t column) {
  const DF df;
  const size_t lanes = hn::Lanes(df);
  // Copies: what is stored below might be the arguments, for all that the
  // compiler knows.
  float* const out = a.out + column;
  const float* const keep = a.keep;
  const size_t stride = static_cast<size_t>(a.out_stride);
  Tile<kRows, kVectors>(
      a.count, Rows<kChunk>{a.p}, values.At(column),
      [=](size_t r, size_t v, auto sum) HWY_ATTR {
        float* to = out + r * stride + v * lanes;
        hn::StoreU(hn::MulAdd(hn::LoadU(df, to), hn::Set(df, keep[r]), sum), df,
                   to);
      });
}

template <int kRows, class Values>
void MixRows(const Values& values, const MixArgs& a, int64_t e) {
  constexpr int kMost = TileVectors(kRows, 4);
  const int64_t lanes = LanesOfF();
  int64_t vectors = (e + lanes - 1) / lanes;
  int64_t column = 0;
  // As even parts as fit into registers.
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

// A head of one vector: a sum for each position would wait for the one before
// it. Positions take turns in kTurns sums instead, which are added at the end.
inline constexpr int kTurns = 4;

HWY_INLINE bool IsNarrow(int64_t e) { return e <= LanesOfF(); }

template <class Run>
struct TurnedValues {
  Run run;
  int64_t last;
  template <int kVectors>
  HWY_INLINE void Prefetch(int64_t i) const {
    run.template Prefetch<1>(i * kTurns);
  }
  // Beyond the last position p is 0: any value that is seen will do.
  HWY_INLINE VF operator()(int64_t i, size_t turn) const {
    return run(std::min(i * kTurns + static_cast<int64_t>(turn), last), 0);
  }
};

struct TurnedRows {
  const float* p;  // [rows][kChunk]
  HWY_INLINE float operator()(size_t r, int64_t i, size_t turn) const {
    return p[r * kChunk + static_cast<size_t>(i) * kTurns + turn];
  }
};

template <int kRows, class Values>
HWY_NOINLINE void MixNarrow(const Values& values, const MixArgs& a) {
  const DF df;
  const size_t lanes = hn::Lanes(df);
  HWY_ALIGN float sums[kRows * kTurns * kMaxLanes];
  const auto run = values.At(0);
  Tile<kRows, kTurns>((a.count + kTurns - 1) / kTurns, TurnedRows{a.p},
                      TurnedValues<decltype(values.At(0))>{run, a.count - 1},
                      [&](size_t r, size_t turn, auto sum) HWY_ATTR {
                        hn::StoreU(sum, df, sums + (r * kTurns + turn) * lanes);
                      });
  for (size_t r = 0; r < kRows; ++r) {
    const float* four = sums + r * kTurns * lanes;
    const auto sum =
        hn::Add(hn::Add(hn::LoadU(df, four), hn::LoadU(df, four + lanes)),
                hn::Add(hn::LoadU(df, four + 2 * lanes),
                        hn::LoadU(df, four + 3 * lanes)));
    float* to = a.out + static_cast<int64_t>(r) * a.out_stride;
    hn::StoreU(hn::MulAdd(hn::LoadU(df, to), hn::Set(df, a.keep[r]), sum), df,
               to);
  }
}

template <int kMost, class Values, class F>
HWY_INLINE void ForEachMix(const AttentionShape& s, const AttentionScratch& m,
                           const KvChunk& c, int64_t begin, int64_t end,
                           Prefetcher* next, const F& f) {
  ForEachPiece<kMost>(begin, end, [&](auto n, int64_t r) HWY_ATTR {
    if (next != nullptr) next->Step(n);
    // Not beyond what any of the rows sees: p is 0 there, but what is stored
    // may be infinite or no number at all.
    const int64_t high = *std::max_element(m.high + r, m.high + r + n);
    const int64_t count = std::min(c.count, high - c.first);
    if (count <= 0) return;
    f(n, MixArgs{m.scores + r * kChunk, m.keep + r, m.part + r * s.e_padded,
                 s.e_padded, count});
  });
}

template <int kMost, class Values>
void MixAll(const Values& values, const AttentionShape& s,
            const AttentionScratch& m, const KvChunk& c, int64_t begin,
            int64_t end, Prefetcher* next) {
  if (IsNarrow(s.e)) {
    constexpr int kNarrow = TileVectors(6, 4) == 4 ? 6 : 3;
    ForEachMix<kNarrow, Values>(s, m, c, begin, end, next,
                                [&](auto n, const MixArgs& a) HWY_ATTR {
                                  MixNarrow<decltype(n)::value>(values, a);
                                });
  } else {
    ForEachMix<kMost, Values>(s, m, c, begin, end, next,
                              [&](auto n, const MixArgs& a) HWY_ATTR {
                                MixRows<decltype(n)::value>(values, a, s.e);
                              });
  }
}

// ---- Formats and layouts ----

template <class Block>
KeyTiles<Block> TiledKeys(const AttentionShape& s, const AttentionScratch& m,
                          const KvChunk& c) {
  return {c.keys.first, c.keys.stride, s.d, m.key_scales};
}
template <class Block>
ValueTiles<Block> TiledValues(const AttentionShape& s,
                              const AttentionScratch& m, const KvChunk& c) {
  return {c.values.first, c.values.stride, s.e, m.value_scales};
}

template <class Block>
void UnpackTiledKeys(const AttentionShape& s, const AttentionScratch& m,
                     const KvChunk& c) {
  UnpackKeys(TiledKeys<Block>(s, m, c), s.d, c.count, m.keys);
}
template <class Block>
void UnpackKeyRows(const AttentionShape& s, const AttentionScratch& m,
                   const KvChunk& c) {
  UnpackKeys<Block>(c.keys, s, c.count, m);
}
template <class Block>
void UnpackTiledValues(const AttentionShape& s, const AttentionScratch& m,
                       const KvChunk& c) {
  UnpackValues(TiledValues<Block>(s, m, c), s.e, s.e_padded, c.count, m.values);
}
template <class Block>
void UnpackValueRows(const AttentionShape& s, const AttentionScratch& m,
                     const KvChunk& c) {
  UnpackValues<Block>(c.values, s, c.count, m);
}

template <class Block>
void ScoresFromTiles(const AttentionShape& s, const AttentionScratch& m,
                     const KvChunk& c, int64_t begin, int64_t end,
                     Prefetcher&) {
  ScoreAll<true>(TiledKeys<Block>(s, m, c), s, m, c, begin, end, nullptr);
}
template <class Block>
void MixFromTiles(const AttentionShape& s, const AttentionScratch& m,
                  const KvChunk& c, int64_t begin, int64_t end, Prefetcher&) {
  MixAll<kDirectRows>(TiledValues<Block>(s, m, c), s, m, c, begin, end,
                      nullptr);
}
template <class Block>
Product ScoresOf(StateLayout layout, bool direct) {
  if (layout == StateLayout::kRows)
    return {UnpackKeyRows<Block>, ScoresFromPanel};
  if (direct) return {nullptr, ScoresFromTiles<Block>};
  return {UnpackTiledKeys<Block>, ScoresFromPanel};
}

template <class Block>
Product MixOf(StateLayout layout, bool direct) {
  if (layout == StateLayout::kRows)
    return {UnpackValueRows<Block>, MixFromPanel};
  if (direct) return {nullptr, MixFromTiles<Block>};
  return {UnpackTiledValues<Block>, MixFromPanel};
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_ATTENTION_ROWS_INL_H_
