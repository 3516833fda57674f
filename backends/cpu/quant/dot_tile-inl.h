// Tiles: panels times several tokens of 8-bit activations, by the definition of
// dot-inl.h. Per-target code.
#if defined(WEFT_BACKENDS_CPU_QUANT_DOT_TILE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_DOT_TILE_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_DOT_TILE_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_DOT_TILE_INL_H_
#endif

#include "backends/cpu/quant/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// What a tile multiplies: kR panels of `groups` groups and kT tokens.
template <class F>
struct TileArgs {
  const Panel<F>* panels;  // [kR][panel_stride]
  size_t panel_stride;     // panels of a row's groups
  int groups;
  int last_subs;            // sub-blocks of the last group that hold columns
  int bias;                 // kDotBias of the codes
  int narrow_reach;         // kNarrowReach of the codes
  const Activations<F>* x;  // first token, first group
  size_t x_stride;          // bytes from token to token
  float* y;                 // [kT][y_stride]
  size_t y_stride;          // floats
  bool first;               // y holds nothing yet: these are the first groups
  // Memory to ask for meanwhile, kR * kLanes rows in sets of kPackedRows:
  // ahead_lines of each set for each group.
  const uint8_t* ahead = nullptr;
  size_t ahead_stride = 0;  // from set to set
  int ahead_lines = 0;
};

template <class F, int kR>
HWY_INLINE void AskAhead(const TileArgs<F>& a, int g) {
  constexpr int kSets = kR * kLanes / kPackedRows;
  for (int i = g * a.ahead_lines; i < (g + 1) * a.ahead_lines; ++i)
    for (int set = 0; set < kSets; ++set)
      PrefetchL2(a.ahead + static_cast<size_t>(set) * a.ahead_stride +
                 64 * static_cast<size_t>(i));
}

template <class F>
HWY_INLINE const Activations<F>* TokenBlock(const TileArgs<F>& a, int t,
                                            int g) {
  return reinterpret_cast<const Activations<F>*>(
             reinterpret_cast<const uint8_t*>(a.x) +
             static_cast<size_t>(t) * a.x_stride) +
         g;
}

#if !HWY_HAVE_SCALABLE && !HWY_TARGET_IS_SVE

// Where the sums of a tile stand: lanes r * kLanes and on of token t.
struct TileSums {
  float* y;
  size_t stride;
  bool zero;  // nothing stands there yet

  HWY_INLINE float* At(int r, int t) const {
    return y + static_cast<size_t>(t) * stride + r * kLanes;
  }
  HWY_INLINE VF32 Get(int r, int t) const {
    return zero ? hn::Zero(DF32()) : hn::LoadU(DF32(), At(r, t));
  }
  HWY_INLINE void Set(int r, int t, VF32 v) const {
    hn::StoreU(v, DF32(), At(r, t));
  }
};

// Tokens and panels of a tile, at one group.
template <class F, Dots kDots, int kR, int kT>
struct TileGroup {
  const Panel<F>* panels[kR];
  const Activations<F>* x[kT];
  Corrections<F, kDots> corrections[kT];
  int bias;
  bool narrow;  // all dot_j fit into int16
};

// dots[r][t] += the products of sub-block j, four columns at a time.
template <class F, Dots kDots, int kR, int kT>
HWY_INLINE void AddQuads(const TileGroup<F, kDots, kR, kT>& a, int j,
                         VI (&dots)[kR][kT]) {
  constexpr int kSteps = F::kSub / 4;
  const uint8_t* codes[kR];
  const int8_t* q[kT];
  HWY_UNROLL(4)
  for (int r = 0; r < kR; ++r) codes[r] = a.panels[r]->codes[j * kSteps];
  HWY_UNROLL(8) for (int t = 0; t < kT; ++t) q[t] = a.x[t]->q + j * F::kSub;
  HWY_UNROLL(8) for (int i = 0; i < kSteps; ++i) {
    VU w[kR];
    HWY_UNROLL(4)
    for (int r = 0; r < kR; ++r)
      w[r] = LoadCodes<F, kDots>(codes[r] + i * 4 * kLanes);
    HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
      const auto four = Broadcast4(q[t] + 4 * i);
      HWY_UNROLL(4)
      for (int r = 0; r < kR; ++r)
        dots[r][t] = AddDot4<kDots>(w[r], four, dots[r][t]);
    }
  }
}

// sums[r][t] += the scale of sub-block j in panel r * dots[r][t].
template <bool kNarrow, class F, Dots kDots, int kR, int kT>
HWY_INLINE void AddDots(const TileGroup<F, kDots, kR, kT>& a, int j,
                        const VI (&dots)[kR][kT], VI (&sums)[kR][kT]) {
  HWY_UNROLL(4) for (int r = 0; r < kR; ++r) {
    const VI scale = DotScale<F, kNarrow>(a.panels[r]->scales[j]);
    HWY_UNROLL(8)
    for (int t = 0; t < kT; ++t)
      sums[r][t] = AddScaled<kDots, kNarrow>(dots[r][t], scale, sums[r][t]);
  }
}

// sums[r][t] += factor[r] * the products of sub-block j, factors being pairs of
// int16. Where codes are flipped (kFlips), sums begin with what these lack.
// kRun products of pairs are summed as int16.
template <int kRun, class F, Dots kDots, int kR, int kT>
HWY_INLINE void AddPairs(const TileGroup<F, kDots, kR, kT>& a, int j,
                         const VI (&factors)[kR], VI (&sums)[kR][kT]) {
  constexpr int kSteps = F::kSub / 4;
  static_assert(kRun >= 1 && kSteps % kRun == 0);
  const DI16 d16;
  const uint8_t *codes[kR], *magnitudes[kR];
  const int8_t* q[kT];
  HWY_UNROLL(4) for (int r = 0; r < kR; ++r) {
    codes[r] = magnitudes[r] = a.panels[r]->codes[j * kSteps];
    if constexpr (F::kSignedCodes)
      magnitudes[r] = a.panels[r]->magnitudes[j * kSteps];
  }
  HWY_UNROLL(8) for (int t = 0; t < kT; ++t) q[t] = a.x[t]->q + j * F::kSub;
  HWY_UNROLL(8) for (int i = 0; i < kSteps; i += kRun) {
    hn::Vec<DI16> runs[kR][kT];
    HWY_UNROLL(8) for (int s = i; s < i + kRun; ++s) {
      HWY_UNROLL(4) for (int r = 0; r < kR; ++r) {
        auto flips = hn::Zero(DI8());
        if constexpr (F::kSignedCodes)
          flips = hn::VecFromMask(
              DI8(), hn::Lt(hn::Load(DI8(), reinterpret_cast<const int8_t*>(
                                                codes[r] + s * 4 * kLanes)),
                            flips));
        const auto u = hn::Load(DU8(), magnitudes[r] + s * 4 * kLanes);
        HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
          auto four = Broadcast4(q[t] + 4 * s);
          if constexpr (F::kSignedCodes) four = hn::Xor(four, flips);
          const auto product = hn::SatWidenMulPairwiseAdd(d16, u, four);
          runs[r][t] = s == i ? product : hn::Add(runs[r][t], product);
          KeepOrder(runs[r][t]);
          if (s + 1 < i + kRun) continue;
          sums[r][t] = hn::Add(
              sums[r][t], hn::WidenMulPairwiseAdd(
                              DI(), runs[r][t], hn::BitCast(d16, factors[r])));
          KeepOrder(sums[r][t]);
        }
      }
    }
  }
}

// y[r][t] of the definition after this group, for scales that are integers.
template <int kRun, class F, Dots kDots, int kR, int kT>
HWY_INLINE void AddIntegerScales(const TileGroup<F, kDots, kR, kT>& a,
                                 const TileSums& y) {
  const DF32 df;
  const DI di;
  constexpr int kSubs = Panel<F>::kSubs;
  VI sums[kR][kT];
  HWY_UNROLL(4)
  for (int r = 0; r < kR; ++r) HWY_UNROLL(8)
  for (int t = 0; t < kT; ++t)
    sums[r][t] = kPairs<kDots> && kFlips<F>
                     ? hn::Load(di, a.panels[r]->lacks[0])
                     : hn::Zero(di);
  if constexpr (kBiasIsMin<F, kDots>) {
    HWY_UNROLL(8) for (int j = 0; j < kSubs / 2; ++j) {
      HWY_UNROLL(4) for (int r = 0; r < kR; ++r) {
        const VI scales = ScalePair(*a.panels[r], j);
        HWY_UNROLL(8)
        for (int t = 0; t < kT; ++t)
          sums[r][t] = a.corrections[t].AddPair(scales, j, sums[r][t]);
      }
    }
    HWY_UNROLL(4)
    for (int r = 0; r < kR; ++r) HWY_UNROLL(8)
    for (int t = 0; t < kT; ++t)
      sums[r][t] = hn::Mul(sums[r][t], hn::Set(di, -a.bias));
  }
  for (int j = 0; j < kSubs; ++j) {
    if constexpr (kPairs<kDots>) {
      VI scales[kR];
      HWY_UNROLL(4)
      for (int r = 0; r < kR; ++r)
        scales[r] = hn::Load(di, a.panels[r]->scales[j]);
      AddPairs<kRun>(a, j, scales, sums);
    } else {
      VI dots[kR][kT];
      HWY_UNROLL(4)
      for (int r = 0; r < kR; ++r) HWY_UNROLL(8)
      for (int t = 0; t < kT; ++t) dots[r][t] = a.corrections[t].Start(j);
      AddQuads(a, j, dots);
      // A branch that is foreseen, rather than a second tile.
      if (kNarrows<F, kDots> && a.narrow) {
        AddDots<kNarrows<F, kDots>>(a, j, dots, sums);
      } else {
        AddDots<false>(a, j, dots, sums);
      }
    }
  }
  VF32 parts[kR][kT];
  HWY_UNROLL(4)
  for (int r = 0; r < kR; ++r) HWY_UNROLL(8)
  for (int t = 0; t < kT; ++t)
    parts[r][t] = GroupPart<F>(*a.panels[r], a.corrections[t], sums[r][t]);
  // y is read here and not before: the registers were full until now.
  HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
    const VF32 d = hn::Set(df, a.x[t]->d);
    HWY_UNROLL(4)
    for (int r = 0; r < kR; ++r)
      y.Set(r, t, hn::MulAdd(parts[r][t], d, y.Get(r, t)));
  }
}

// The same for scales that are floats, up to sub-block `subs`.
template <int kRun, class F, Dots kDots, int kR, int kT>
HWY_INLINE void AddFloatScales(const TileGroup<F, kDots, kR, kT>& a, int subs,
                               const TileSums& at) {
  const DF32 df;
  VF32 y[kR][kT];
  HWY_UNROLL(4)
  for (int r = 0; r < kR; ++r) HWY_UNROLL(8)
  for (int t = 0; t < kT; ++t) y[r][t] = at.Get(r, t);
  for (int j = 0; j < subs; ++j) {
    VI dots[kR][kT];
    HWY_UNROLL(4)
    for (int r = 0; r < kR; ++r) HWY_UNROLL(8)
    for (int t = 0; t < kT; ++t)
      dots[r][t] =
          kPairs<kDots> && kFlips<F>
              ? hn::Load(DI(), a.panels[r]->lacks[j % Panel<F>::kLacks])
              : a.corrections[t].Start(j);
    if constexpr (kPairs<kDots>) {
      VI ones[kR];
      for (int r = 0; r < kR; ++r) ones[r] = hn::Set(DI(), 0x00010001);
      AddPairs<kRun>(a, j, ones, dots);
    } else {
      AddQuads(a, j, dots);
    }
    HWY_UNROLL(4) for (int r = 0; r < kR; ++r) {
      const Panel<F>& p = *a.panels[r];
      const VF32 scale = hn::Load(df, p.scales[j]);
      HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
        const VF32 d = hn::Mul(scale, hn::Set(df, a.x[t]->d[j]));
        y[r][t] = hn::MulAdd(hn::ConvertTo(df, dots[r][t]), d, y[r][t]);
        if constexpr (F::kMins == Mins::kFloat)
          y[r][t] =
              hn::NegMulAdd(hn::Load(df, p.mins[j]),
                            hn::Set(df, a.corrections[t].sums[j]), y[r][t]);
      }
    }
  }
  HWY_UNROLL(4)
  for (int r = 0; r < kR; ++r) HWY_UNROLL(8)
  for (int t = 0; t < kT; ++t) at.Set(r, t, y[r][t]);
}

// kRun: of AddPairs, 0 where no pairs are multiplied.
template <class F, Dots kDots, int kRun, int kR, int kT>
HWY_NOINLINE void DotTile(const TileArgs<F>& a) {
  const Panel<F>* panels = a.panels;
  TileGroup<F, kDots, kR, kT> tile;
  tile.bias = a.bias;
  for (int g = 0; g < a.groups; ++g, ++panels) {
    AskAhead<F, kR>(a, g);
    tile.narrow = true;
    HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
      tile.x[t] = TokenBlock(a, t, g);
      tile.corrections[t].Set(*tile.x[t], a.bias);
      if constexpr (kNarrows<F, kDots>)
        tile.narrow &= Reach<F>(*tile.x[t]) <= a.narrow_reach;
    }
    HWY_UNROLL(4)
    for (int r = 0; r < kR; ++r)
      tile.panels[r] = panels + static_cast<size_t>(r) * a.panel_stride;
    const TileSums y = {a.y, a.y_stride, a.first && g == 0};
    if constexpr (F::kScales == Scales::kInteger) {
      AddIntegerScales<kRun>(tile, y);
    } else {
      AddFloatScales<kRun>(
          tile, g + 1 == a.groups ? a.last_subs : Panel<F>::kSubs, y);
    }
  }
}

#else  // SVE: vectors cannot stand in arrays; one panel and one token

template <class F, Dots kDots, int kRun, int kR, int kT>
HWY_NOINLINE void DotTile(const TileArgs<F>& a) {
  static_assert(kR == 1 && kT == 1);
  const DF32 df;
  const DI di;
  using P = Panel<F>;
  const P* p = a.panels;
  auto y = a.first ? hn::Zero(df) : hn::LoadU(df, a.y);
  for (int g = 0; g < a.groups; ++g, ++p) {
    const Activations<F>& x = *TokenBlock(a, 0, g);
    Corrections<F, kDots> corrections;
    corrections.Set(x, a.bias);
    const int subs = g + 1 == a.groups ? a.last_subs : P::kSubs;
    auto sums = hn::Zero(di);
    for (int j = 0; j < subs; ++j) {
      auto dots = corrections.Start(j);
      for (int i = 0; i < F::kSub / 4; ++i)
        dots =
            AddDot4<kDots>(LoadCodes<F, kDots>(p->codes[j * (F::kSub / 4) + i]),
                           Broadcast4(x.q + j * F::kSub + 4 * i), dots);
      if constexpr (F::kScales == Scales::kInteger) {
        sums = hn::Add(sums, hn::Mul(dots, IntScale(p->scales[j])));
      } else {
        const auto d = hn::Mul(hn::Load(df, p->scales[j]), hn::Set(df, x.d[j]));
        y = hn::MulAdd(hn::ConvertTo(df, dots), d, y);
        if constexpr (F::kMins == Mins::kFloat)
          y = hn::NegMulAdd(hn::Load(df, p->mins[j]),
                            hn::Set(df, corrections.sums[j]), y);
      }
    }
    if constexpr (F::kScales == Scales::kInteger) {
      y = hn::MulAdd(GroupPart<F>(*p, corrections, sums), hn::Set(df, x.d), y);
    }
  }
  hn::StoreU(y, df, a.y);
}

#endif  // SVE

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_DOT_TILE_INL_H_
