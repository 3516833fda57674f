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

// sum + the products of four quads with the 16 activations at x, for codes as a
// panel holds them.
template <class C, Dots kDots>
HWY_INLINE VI AddProducts(VU v0, VU v1, VU v2, VU v3, const int8_t* x, VI sum) {
  const auto x0 = Broadcast4(x), x1 = Broadcast4(x + 4);
  const auto x2 = Broadcast4(x + 8), x3 = Broadcast4(x + 12);
  if constexpr (kPairs<kDots>) {
    const auto Pairs = [](VU codes, hn::Vec<DI8> four) HWY_ATTR {
      auto u = hn::BitCast(DU8(), codes);
      if constexpr (C::kSignedCodes) {
        // |code| * (x with the code's sign).
        const auto signs = hn::BitCast(DI8(), codes);
        four = hn::IfNegativeThenNegOrUndefIfZero(signs, four);
        u = hn::BitCast(DU8(), hn::Abs(signs));
      }
      return hn::SatWidenMulPairwiseAdd(DI16(), u, four);
    };
    const auto Widened = [](hn::Vec<DI16> pairs) HWY_ATTR {
      return hn::WidenMulPairwiseAdd(DI(), pairs, hn::Set(DI16(), 1));
    };
    // As many sums of pairs are added as int16 can hold.
    constexpr int kRun = 32767 / (2 * C::kMaxCode * BlockQ8_A::kMax);
    static_assert(kRun >= 1);
    const auto p0 = Pairs(v0, x0), p1 = Pairs(v1, x1);
    const auto p2 = Pairs(v2, x2), p3 = Pairs(v3, x3);
    if constexpr (kRun >= 4)
      return hn::Add(sum, Widened(hn::Add(hn::Add(p0, p1), hn::Add(p2, p3))));
    if constexpr (kRun >= 2)
      return hn::Add(
          sum, hn::Add(Widened(hn::Add(p0, p1)), Widened(hn::Add(p2, p3))));
    return hn::Add(sum, hn::Add(hn::Add(Widened(p0), Widened(p1)),
                                hn::Add(Widened(p2), Widened(p3))));
  } else {
    const auto Code = [](VU codes) HWY_ATTR {
      return kDotBias<C, kDots> != kBias<C> ? hn::Xor(codes, Bytes(128))
                                            : codes;
    };
    sum = AddDot4<kDots>(Code(v0), x0, sum);
    sum = AddDot4<kDots>(Code(v1), x1, sum);
    sum = AddDot4<kDots>(Code(v2), x2, sum);
    return AddDot4<kDots>(Code(v3), x3, sum);
  }
}

// A group of a panel and one token: what a codec unpacks into.
template <class C, Dots kDots>
struct TokenGroup : PanelScales<C> {
  static constexpr int kSubs = PanelScales<C>::kSubs;
  static constexpr bool kInteger = C::kScales == Scales::kInteger;

  const Activations<C>& x;
  Corrections<C, kDots> corrections;
  VI open[4];                     // the dot_j that are being added up, by slot
  VI sums;                        // integer scales: of scale_j * dot_j so far
  VI dots[kInteger ? 1 : kSubs];  // floats, which come last: all dot_j

  explicit HWY_INLINE TokenGroup(const Activations<C>& activations)
      : x(activations), sums(hn::Zero(DI())) {
    corrections.Set(x);
  }

  template <int kSlot>
  HWY_INLINE void Put(size_t i, VU v0, VU v1, VU v2, VU v3) {
    open[kSlot] =
        AddProducts<C, kDots>(v0, v1, v2, v3, x.q + 4 * i, open[kSlot]);
  }

  template <int kSlots>
  HWY_INLINE void Begin(size_t j, size_t stride) {
    open[kSlots - 1] =
        corrections.Start(static_cast<int>(j + (kSlots - 1) * stride));
    if constexpr (kSlots > 1) Begin<kSlots - 1>(j, stride);
  }

  template <int kSlots>
  HWY_INLINE void End(size_t j, size_t stride) {
    if constexpr (kSlots > 1) End<kSlots - 1>(j, stride);
    const size_t last = j + (kSlots - 1) * stride;
    if constexpr (kInteger) {
      sums = hn::Add(sums,
                     hn::Mul(open[kSlots - 1], IntScale(this->scales[last])));
    } else {
      dots[last] = open[kSlots - 1];
    }
  }

  // y of the definition after this group, of which `subs` sub-blocks hold
  // columns.
  HWY_INLINE VF32 AddTo(VF32 y, int subs) const {
    const DF32 df;
    if constexpr (kInteger) {
      VI all = sums;
      if constexpr (kBiasIsMin<C, kDots>) {
        VI scaled = hn::Zero(DI());
        HWY_UNROLL(8)
        for (int j = 0; j < kSubs / 2; ++j)
          scaled =
              hn::Add(scaled, corrections.TimesPair(ScalePair(*this, j), j));
        all = hn::Sub(all, hn::Mul(scaled, hn::Set(DI(), kBias<C>)));
      }
      return hn::MulAdd(GroupPart<C>(*this, corrections, all), hn::Set(df, x.d),
                        y);
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
