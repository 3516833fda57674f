// One token times packed rows: codes go from registers straight into integer
// products, without a panel between. Per-target code.
//
// The definition and the bits of dot-inl.h. One token uses each code once, so
// that decoding is all that stands between memory and the result: a panel
// written to L1 and read again costs more than the products.
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

// sum + the four products of each lane, for codes as a panel holds them.
template <class C, Dots kDots>
HWY_INLINE VI AddProducts(VU codes, hn::Vec<DI8> x, VI sum) {
  if constexpr (kPairs<kDots>) {
    auto u = hn::BitCast(DU8(), codes);
    if constexpr (C::kSignedCodes) {
      // |code| * (x with the code's sign).
      const auto signs = hn::BitCast(DI8(), codes);
      x = hn::IfNegativeThenNegOrUndefIfZero(signs, x);
      u = hn::BitCast(DU8(), hn::Abs(signs));
    }
    // Two products fit: 2 * 128 * 127 < 2^15.
    const auto pairs = hn::SatWidenMulPairwiseAdd(DI16(), u, x);
    const auto ones = hn::Set(DI16(), int16_t{1});
    return hn::Add(sum, hn::WidenMulPairwiseAdd(DI(), pairs, ones));
  } else {
    if constexpr (kDotBias<C, kDots> != kBias<C>)
      codes = hn::Xor(codes, Bytes(128));
    return AddDot4<kDots>(codes, x, sum);
  }
}

// A group of a panel and one token: what a codec unpacks into.
template <class C, Dots kDots>
struct TokenGroup : PanelScales<C> {
  static constexpr int kSubs = PanelScales<C>::kSubs;
  // Formats with a block for each sub-block put them one after the other: one
  // sum is open. Others put several at once: all are, and indices have to be
  // constants where vectors shall stay in registers.
  static constexpr bool kOneOpen = C::kScales == Scales::kFloat;

  const Activations<C>& x;
  Corrections<C, kDots> corrections;
  VI dots[kSubs];
  VI open;

  explicit HWY_INLINE TokenGroup(const Activations<C>& activations)
      : x(activations) {
    corrections.Set(x);
    if constexpr (!kOneOpen) HWY_UNROLL(16)
    for (int j = 0; j < kSubs; ++j) dots[j] = corrections.Start(j);
  }

  HWY_INLINE void BeginBlock(size_t j) {
    open = corrections.Start(static_cast<int>(j));
  }
  HWY_INLINE void EndBlock(size_t j) { dots[j] = open; }

  HWY_INLINE void Put(VU four, size_t i) {
    VI& sum = kOneOpen ? open : dots[i * 4 / C::kSub];
    sum = AddProducts<C, kDots>(four, Broadcast4(x.q + 4 * i), sum);
  }

  // y of the definition after this group, of which `subs` sub-blocks hold
  // columns.
  HWY_INLINE VF32 AddTo(VF32 y, int subs) const {
    const DF32 df;
    const DI di;
    if constexpr (C::kScales == Scales::kInteger) {
      VI sums = hn::Zero(di);
      if constexpr (kBiasIsMin<C, kDots>) {
        HWY_UNROLL(8)
        for (int j = 0; j < kSubs / 2; ++j)
          sums = hn::Sub(sums, corrections.TimesPair(ScalePair(*this, j), j));
        sums = hn::Mul(sums, hn::Set(di, kBias<C>));
      }
      HWY_UNROLL(16)
      for (int j = 0; j < kSubs; ++j)
        sums = hn::Add(sums, hn::Mul(dots[j], IntScale(this->scales[j])));
      return hn::MulAdd(GroupPart<C>(*this, corrections, sums),
                        hn::Set(df, x.d), y);
    } else {
      for (int j = 0; j < subs; ++j) {
        const VF32 scale =
            hn::Mul(hn::Load(df, this->scales[j]), hn::Set(df, x.d[j]));
        y = hn::MulAdd(hn::ConvertTo(df, dots[j]), scale, y);
        if constexpr (C::kMins == Mins::kFloat)
          y = hn::NegMulAdd(hn::Load(df, this->mins[j]),
                            hn::Set(df, corrections.sums[j]), y);
      }
      return y;
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
