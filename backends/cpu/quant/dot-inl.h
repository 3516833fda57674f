// Integer products of panels with 8-bit activations. Per-target code.
//
// Definition, for one row and one token, groups g in order and their sub-blocks
// j in order, every operation rounded to f32 once:
//   dot_j = sum of (code - bias) * q over the sub-block         (exact, int32)
//   part  = -dmin * (sum of min_j * sum of q over j)            (paired mins)
//   part  = fma(dot_j, scale_j, part), then fma(-min_j, sum_j, part)
//   y     = fma(part, d of the activations, y)
// The same for every tile, so that no result depends on how tokens and rows are
// grouped.
#if defined(WEFT_BACKENDS_CPU_QUANT_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_DOT_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_DOT_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_DOT_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/quant/panel-inl.h"
#include "graph/blocks/q8_a.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// Whether bytes are multiplied by pairs into int16 first (x86 before VNNI). On
// the portable baseline that instruction does not exist either.
constexpr bool kPairwise = HWY_ARCH_X86 && !kVnni && HWY_TARGET <= HWY_SSSE3;

// What a tile multiplies: kR panels of `groups` groups and kT tokens.
struct TileArgs {
  const void* panels;   // Panel<C>[kR][panel_stride]
  size_t panel_stride;  // panels of a row's groups
  int groups;
  int last_subs;       // sub-blocks of the last group that hold columns
  const BlockQ8_A* x;  // first token, first group
  size_t x_stride;     // bytes from token to token
  float* y;            // [kT][y_stride]
  size_t y_stride;     // floats
  bool first;          // y holds nothing yet: these are the first groups
};

HWY_INLINE const BlockQ8_A* TokenBlock(const TileArgs& a, int t, int g) {
  return reinterpret_cast<const BlockQ8_A*>(
             reinterpret_cast<const uint8_t*>(a.x) +
             static_cast<size_t>(t) * a.x_stride) +
         g;
}

// Four int8 of the activations in every lane.
HWY_INLINE hn::Vec<DI8> Broadcast4(const int8_t* q) {
  int32_t four;
  std::memcpy(&four, q, sizeof(four));
  return hn::BitCast(DI8(), hn::Set(DI(), four));
}

// sum + the four products of each lane.
HWY_INLINE VI AddDot4(VU codes, hn::Vec<DI8> x, VI sum) {
#if HWY_ARCH_X86
  if constexpr (kVnni)
    return hn::SumOfMulQuadAccumulate(DI(), hn::BitCast(DU8(), codes), x, sum);
#endif
  return hn::SumOfMulQuadAccumulate(DI(), hn::BitCast(DI8(), codes), x, sum);
}

// Keeps g++ from hoisting the products of a whole chain above their sums, which
// spills registers: AVX2 q4_k 241 -> 318 GOPS. clang does not do it.
template <class V>
HWY_INLINE void KeepOrder([[maybe_unused]] V& v) {
#if HWY_COMPILER_GCC_ACTUAL && HWY_ARCH_X86
  asm("" : "+x"(v.raw));
#endif
}

// What the sums of the activations give per sub-block: where accumulators
// start (the bias times minus the sum), or factors of the mins.
template <class C>
struct alignas(64) Corrections {
  static constexpr int kSubs = kGroupSize / C::kSub;
  int32_t start[kBias<C> != 0 ? kSubs : 1];
  int32_t pairs[C::kMins == Mins::kPaired ? kSubs / 2 : 1];
  float sums[C::kMins == Mins::kFloat ? kSubs : 1];

  HWY_INLINE void Set(const BlockQ8_A& x) {
    if constexpr (kBias<C> != 0)
      for (int j = 0; j < kSubs; ++j) start[j] = -kBias<C> * Sum(x, j);
    if constexpr (C::kMins == Mins::kPaired) {
      if constexpr (C::kSub == 16) {
        std::memcpy(pairs, x.sums, sizeof(pairs));
      } else {
        int16_t sums32[kSubs];
        for (int j = 0; j < kSubs; ++j)
          sums32[j] = static_cast<int16_t>(Sum(x, j));
        std::memcpy(pairs, sums32, sizeof(pairs));
      }
    }
    if constexpr (C::kMins == Mins::kFloat)
      for (int j = 0; j < kSubs; ++j) sums[j] = static_cast<float>(Sum(x, j));
  }

 private:
  static HWY_INLINE int32_t Sum(const BlockQ8_A& x, int j) {
    return C::kSub == 16 ? x.sums[j] : x.sums[2 * j] + x.sums[2 * j + 1];
  }
};

#if !HWY_HAVE_SCALABLE && !HWY_TARGET_IS_SVE

// dots[r][t] = the sub-block's products, from its first codes and activations.
template <class C, int kR, int kT>
HWY_INLINE void SubBlock(const uint8_t* const (&codes)[kR],
                         const int8_t* const (&x)[kT], VI (&dots)[kR][kT]) {
  const DU du;
  const DI di;
  constexpr int kSteps = C::kSub / 4;
  if constexpr (!kPairwise) {
    HWY_UNROLL(8) for (int i = 0; i < kSteps; ++i) {
      VU w[kR];
      HWY_UNROLL(4)
      for (int r = 0; r < kR; ++r)
        w[r] = hn::BitCast(du, hn::Load(DU8(), codes[r] + i * 4 * kLanes));
      HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
        const auto q = Broadcast4(x[t] + 4 * i);
        HWY_UNROLL(4)
        for (int r = 0; r < kR; ++r) dots[r][t] = AddDot4(w[r], q, dots[r][t]);
      }
    }
  } else {
    // Products of pairs that int16 can hold the sum of.
    constexpr int kRun =
        std::min(kSteps, 32767 / (2 * C::kMaxCode * BlockQ8_A::kMax));
    static_assert(kRun >= 1 && kSteps % kRun == 0);
    const DI16 d16;
    const auto ones = hn::Set(d16, int16_t{1});
    HWY_UNROLL(8) for (int i = 0; i < kSteps; i += kRun) {
      hn::Vec<DI16> sums[kR][kT];
      HWY_UNROLL(8) for (int s = i; s < i + kRun; ++s) {
        HWY_UNROLL(4) for (int r = 0; r < kR; ++r) {
          const auto w = hn::Load(DU8(), codes[r] + s * 4 * kLanes);
          const auto signs = hn::BitCast(DI8(), w);
          HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
            auto q = Broadcast4(x[t] + 4 * s);
            auto u = w;
            if constexpr (C::kSignedCodes) {
              // |code| * (q with the code's sign).
              q = hn::IfNegativeThenNegOrUndefIfZero(signs, q);
              u = hn::BitCast(DU8(), hn::Abs(signs));
            }
            const auto product = hn::SatWidenMulPairwiseAdd(d16, u, q);
            sums[r][t] = s == i ? product : hn::Add(sums[r][t], product);
            KeepOrder(sums[r][t]);
          }
        }
      }
      HWY_UNROLL(4)
      for (int r = 0; r < kR; ++r)
        HWY_UNROLL(8)
        for (int t = 0; t < kT; ++t) dots[r][t] =
            hn::Add(dots[r][t], hn::WidenMulPairwiseAdd(di, sums[r][t], ones));
    }
  }
}

template <class C, int kR, int kT>
HWY_NOINLINE void DotTile(const TileArgs& a) {
  const DF32 df;
  const DI di;
  using P = Panel<C>;
  const P* panels = static_cast<const P*>(a.panels);
  for (int g = 0; g < a.groups; ++g, ++panels) {
    const BlockQ8_A* x[kT];
    Corrections<C> corrections[kT];
    HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
      x[t] = TokenBlock(a, t, g);
      corrections[t].Set(*x[t]);
    }
    VF32 part[kR][kT];
    HWY_UNROLL(4) for (int r = 0; r < kR; ++r) {
      const P& p = panels[static_cast<size_t>(r) * a.panel_stride];
      HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
        part[r][t] = hn::Zero(df);
        if constexpr (C::kMins == Mins::kPaired) {
          VI mins = hn::Zero(di);
          HWY_UNROLL(8)
          for (int j = 0; j < P::kSubs / 2; ++j)
            mins = hn::Add(
                mins,
                hn::WidenMulPairwiseAdd(
                    di, hn::BitCast(DI16(), hn::Load(di, p.min_pairs[j])),
                    hn::BitCast(DI16(), hn::Set(di, corrections[t].pairs[j]))));
          part[r][t] = hn::Neg(
              hn::Mul(hn::ConvertTo(df, mins), hn::Load(df, p.mins[0])));
        }
      }
    }
    const int subs = g + 1 == a.groups ? a.last_subs : P::kSubs;
    for (int j = 0; j < subs; ++j) {
      const uint8_t* codes[kR];
      const int8_t* q[kT];
      VI dots[kR][kT];
      HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
        q[t] = x[t]->q + j * C::kSub;
        const VI start = hn::Set(
            di,
            kBias<C> != 0 ? corrections[t].start[kBias<C> != 0 ? j : 0] : 0);
        HWY_UNROLL(4) for (int r = 0; r < kR; ++r) dots[r][t] = start;
      }
      HWY_UNROLL(4)
      for (int r = 0; r < kR; ++r)
        codes[r] = panels[static_cast<size_t>(r) * a.panel_stride]
                       .codes[j * (C::kSub / 4)];
      SubBlock<C, kR, kT>(codes, q, dots);
      HWY_UNROLL(4) for (int r = 0; r < kR; ++r) {
        const P& p = panels[static_cast<size_t>(r) * a.panel_stride];
        const VF32 scale = hn::Load(df, p.scales[j]);
        HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
          part[r][t] =
              hn::MulAdd(hn::ConvertTo(df, dots[r][t]), scale, part[r][t]);
          if constexpr (C::kMins == Mins::kFloat)
            part[r][t] =
                hn::NegMulAdd(hn::Load(df, p.mins[j]),
                              hn::Set(df, corrections[t].sums[j]), part[r][t]);
        }
      }
    }
    HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
      const VF32 d = hn::Set(df, x[t]->d);
      HWY_UNROLL(4) for (int r = 0; r < kR; ++r) {
        float* y = a.y + static_cast<size_t>(t) * a.y_stride + r * kLanes;
        const VF32 before = a.first && g == 0 ? hn::Zero(df) : hn::LoadU(df, y);
        hn::StoreU(hn::MulAdd(part[r][t], d, before), df, y);
      }
    }
  }
}

#else  // SVE: vectors cannot stand in arrays; one panel and one token

template <class C, int kR, int kT>
HWY_NOINLINE void DotTile(const TileArgs& a) {
  static_assert(kR == 1 && kT == 1);
  const DF32 df;
  const DI di;
  using P = Panel<C>;
  const P* p = static_cast<const P*>(a.panels);
  auto y = a.first ? hn::Zero(df) : hn::LoadU(df, a.y);
  for (int g = 0; g < a.groups; ++g, ++p) {
    const BlockQ8_A& x = *TokenBlock(a, 0, g);
    Corrections<C> corrections;
    corrections.Set(x);
    auto part = hn::Zero(df);
    if constexpr (C::kMins == Mins::kPaired) {
      auto mins = hn::Zero(di);
      for (int j = 0; j < P::kSubs / 2; ++j)
        mins = hn::Add(
            mins, hn::WidenMulPairwiseAdd(
                      di, hn::BitCast(DI16(), hn::Load(di, p->min_pairs[j])),
                      hn::BitCast(DI16(), hn::Set(di, corrections.pairs[j]))));
      part =
          hn::Neg(hn::Mul(hn::ConvertTo(df, mins), hn::Load(df, p->mins[0])));
    }
    const int subs = g + 1 == a.groups ? a.last_subs : P::kSubs;
    for (int j = 0; j < subs; ++j) {
      auto dots = hn::Set(
          di, kBias<C> != 0 ? corrections.start[kBias<C> != 0 ? j : 0] : 0);
      for (int i = 0; i < C::kSub / 4; ++i)
        dots = AddDot4(
            hn::BitCast(DU(), hn::Load(DU8(), p->codes[j * (C::kSub / 4) + i])),
            Broadcast4(x.q + j * C::kSub + 4 * i), dots);
      part =
          hn::MulAdd(hn::ConvertTo(df, dots), hn::Load(df, p->scales[j]), part);
      if constexpr (C::kMins == Mins::kFloat)
        part = hn::NegMulAdd(hn::Load(df, p->mins[j]),
                             hn::Set(df, corrections.sums[j]), part);
    }
    y = hn::MulAdd(part, hn::Set(df, x.d), y);
  }
  hn::StoreU(y, df, a.y);
}

#endif  // SVE

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_DOT_INL_H_
