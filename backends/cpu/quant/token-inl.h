// A few tokens times packed rows: codes go from registers straight into integer
// products, without a panel between. Per-target code.
//
// The definition and the bits of dot-inl.h. Few tokens use each code a few
// times, so that decoding is most of what stands between memory and the result:
// a panel written to L1 and read again costs more than the products.
#if defined(WEFT_BACKENDS_CPU_QUANT_TOKEN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_TOKEN_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_TOKEN_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_TOKEN_INL_H_
#endif

#include "backends/cpu/quant/dot-inl.h"

// Vectors of SVE cannot stand in structs.
#if !HWY_HAVE_SCALABLE && !HWY_TARGET_IS_SVE

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// Four quads of codes as a panel holds them, made ready for the products of
// any number of tokens.
template <class C, Dots kDots>
struct Quads {
  VU v[4];
  hn::Vec<DI8> signs[kPairs<kDots> && C::kSignedCodes ? 4 : 1];

  HWY_INLINE Quads(VU v0, VU v1, VU v2, VU v3) : v{v0, v1, v2, v3} {
    HWY_UNROLL(4) for (int i = 0; i < 4; ++i) {
      if constexpr (kPairs<kDots> && C::kSignedCodes) {
        // |code| * (x with the code's sign).
        signs[i] = hn::BitCast(DI8(), v[i]);
        v[i] = hn::BitCast(DU(), hn::Abs(signs[i]));
      } else if constexpr (kAdds128<Form<C>, kDots>) {
        v[i] = hn::Xor(v[i], Bytes(128));
      }
    }
  }

  // sum + the products with the 16 activations at x; pairs are summed times
  // `factors`, which are pairs of int16.
  HWY_INLINE VI AddTo(VI sum, const int8_t* x,
                      [[maybe_unused]] VI factors) const {
    if constexpr (kPairs<kDots>) {
      static_assert(kPairRun<C> >= 1);
      const auto p0 = Pairs(0, x), p1 = Pairs(1, x);
      const auto p2 = Pairs(2, x), p3 = Pairs(3, x);
      const auto Times = [&](hn::Vec<DI16> pairs) HWY_ATTR {
        return hn::WidenMulPairwiseAdd(DI(), pairs,
                                       hn::BitCast(DI16(), factors));
      };
      if constexpr (kPairRun<C> >= 4)
        return hn::Add(sum, Times(hn::Add(hn::Add(p0, p1), hn::Add(p2, p3))));
      if constexpr (kPairRun<C> >= 2)
        return hn::Add(sum,
                       hn::Add(Times(hn::Add(p0, p1)), Times(hn::Add(p2, p3))));
      return hn::Add(sum, hn::Add(hn::Add(Times(p0), Times(p1)),
                                  hn::Add(Times(p2), Times(p3))));
    } else {
      HWY_UNROLL(4)
      for (int i = 0; i < 4; ++i)
        sum = AddDot4<kDots>(v[i], Broadcast4(x + 4 * i), sum);
      return sum;
    }
  }

 private:
  HWY_INLINE hn::Vec<DI16> Pairs(int i, const int8_t* x) const {
    auto four = Broadcast4(x + 4 * i);
    if constexpr (C::kSignedCodes)
      four = hn::IfNegativeThenNegOrUndefIfZero(signs[i], four);
    return hn::SatWidenMulPairwiseAdd(DI16(), hn::BitCast(DU8(), v[i]), four);
  }
};

// A group of a panel and kT tokens: what a codec unpacks into.
template <class C, Dots kDots, int kT>
struct TokenGroup : PanelScales<Form<C>> {
  static constexpr int kSubs = PanelScales<Form<C>>::kSubs;
  // The sums of 8 tokens and of a sub-block of each are 16 registers already.
  static constexpr bool kOneSlot = kT >= 8;
  // Zen 5, q8_0, tokens/s: in a loop over blocks, whose sums and scales pass
  // through the stack, 32 to 53 from one minute to the next, so 53 to 59; with
  // the 16 registers of AVX2 59 and 54.
  static constexpr bool kInRegisters = kT == 1 && kLanes == 16;
  static constexpr bool kInteger = C::kScales == Scales::kInteger;
  // Pairs of products meet an integer scale where they become int32.
  static constexpr bool kScaled = kInteger && kPairs<kDots>;
  static constexpr bool kNarrow = kNarrows<Form<C>, kDots>;

  const Activations<C>* x[kT];
  Corrections<Form<C>, kDots> corrections[kT];
  VI open[2][kT];  // the dot_j that are being added up, by slot
  size_t sub[2];   // j, by slot
  VI sums[kT];     // integer scales: of scale_j * dot_j so far
  VF32 y[kT];      // of the definition
  bool narrow;     // all dot_j of the group fit into int16

  // Written out: clang compiles an implicit one for no target, and it holds
  // vectors.
  HWY_INLINE TokenGroup() {}

  // Tokens lie x_stride bytes apart.
  HWY_INLINE void Set(const Activations<C>* first, size_t x_stride) {
    narrow = true;
    HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
      x[t] = reinterpret_cast<const Activations<C>*>(
          reinterpret_cast<const uint8_t*>(first) +
          static_cast<size_t>(t) * x_stride);
      corrections[t].Set(*x[t], kDotBias<C, kDots>);
      sums[t] = hn::Zero(DI());
      if constexpr (kNarrow)
        narrow &= Reach<Form<C>>(*x[t]) <= kNarrowReach<C, kDots>;
    }
  }

  template <int kSlot>
  HWY_INLINE void Put(size_t i, VU v0, VU v1, VU v2, VU v3) {
    const Quads<C, kDots> quads(v0, v1, v2, v3);
    VI factors = hn::Set(DI(), 0x00010001);
    if constexpr (kScaled) factors = hn::Load(DI(), this->scales[sub[kSlot]]);
    HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
      VI& sum = kScaled ? sums[t] : open[kSlot][t];
      sum = quads.AddTo(sum, x[t]->q + 4 * i, factors);
    }
  }

  template <int kSlots>
  HWY_INLINE void Begin(size_t j, size_t stride) {
    sub[kSlots - 1] = j + (kSlots - 1) * stride;
    HWY_UNROLL(8)
    for (int t = 0; t < kT; ++t)
      open[kSlots - 1][t] =
          corrections[t].Start(static_cast<int>(sub[kSlots - 1]));
    if constexpr (kSlots > 1) Begin<kSlots - 1>(j, stride);
  }

  template <int kSlots>
  HWY_INLINE void End(size_t j, size_t stride) {
    if constexpr (kSlots > 1) End<kSlots - 1>(j, stride);
    const size_t last = j + (kSlots - 1) * stride;
    if constexpr (kScaled) {
      // Nothing is left to do.
    } else if constexpr (kInteger) {
      if (kNarrow && narrow) {
        AddDots<kNarrow>(open[kSlots - 1], last);
      } else {
        AddDots<false>(open[kSlots - 1], last);
      }
    } else {
      const DF32 df;
      const VF32 scale = hn::Load(df, this->scales[last]);
      HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
        const VF32 factor = hn::Mul(scale, hn::Set(df, x[t]->d[last]));
        y[t] = hn::MulAdd(hn::ConvertTo(df, open[kSlots - 1][t]), factor, y[t]);
        if constexpr (C::kMins == Mins::kFloat)
          y[t] = hn::NegMulAdd(hn::Load(df, this->mins[last]),
                               hn::Set(df, corrections[t].sums[last]), y[t]);
      }
    }
  }

  // sums += the scale of sub-block j * its dots; kNarrowDots: as of
  // AddScaled().
  template <bool kNarrowDots>
  HWY_INLINE void AddDots(const VI (&dots)[kT], size_t j) {
    const VI scale = DotScale<Form<C>, kNarrowDots>(this->scales[j]);
    HWY_UNROLL(8)
    for (int t = 0; t < kT; ++t)
      sums[t] = AddScaled<kDots, kNarrowDots>(dots[t], scale, sums[t]);
  }

  // When all sub-blocks have ended.
  HWY_INLINE void EndGroup() {
    if constexpr (kInteger) {
      HWY_UNROLL(8) for (int t = 0; t < kT; ++t) {
        VI all = sums[t];
        if constexpr (kBiasIsMin<Form<C>, kDots>) {
          VI scaled = hn::Zero(DI());
          HWY_UNROLL(8)
          for (int j = 0; j < kSubs / 2; ++j)
            scaled =
                corrections[t].AddPair(ScalePair<Form<C>>(*this, j), j, scaled);
          all = hn::Sub(all, hn::Mul(scaled, hn::Set(DI(), kBias<C>)));
        }
        y[t] = hn::MulAdd(GroupPart<Form<C>>(*this, corrections[t], all),
                          hn::Set(DF32(), x[t]->d), y[t]);
      }
    }
  }
};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // not SVE

#endif  // WEFT_BACKENDS_CPU_QUANT_TOKEN_INL_H_
