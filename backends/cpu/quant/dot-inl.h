// Integer products of panels with 8-bit activations. Per-target code.
//
// Definition, for one row and one token, groups g in order and their sub-blocks
// j in order; integers are exact, every operation on floats is rounded once:
//   dot_j = sum of (code - bias) * q over the sub-block
// integer scales, with q8_a:
//   part  = -dmin * (sum of min_j * sum of q over j)              paired mins
//   part  = fma(sum of scale_j * dot_j over j, d, part)
//   y     = fma(part, d of the activations, y)
// scales that are floats, with q8_a32, for all j:
//   y     = fma(dot_j, scale_j * d_j of the activations, y)
//   y     = fma(-min_j, d_j * sum of q over j, y)
// The same for every tile, so that no result depends on how tokens and rows are
// grouped. No int32 overflows: the largest are q6_k's 256 * 32 * 128 * 127 and
// iq4_xs' 256 * 127 * 32 * 127, both 2^27.
#if defined(WEFT_BACKENDS_CPU_QUANT_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_DOT_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_DOT_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_DOT_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/quant/panel-inl.h"
#include "graph/blocks/q8_a.h"
#include "graph/blocks/q8_a32.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// The activations that a format is multiplied with.
template <class F>
using Activations =
    std::conditional_t<F::kScales == Scales::kInteger, BlockQ8_A, BlockQ8_A32>;

// Products of pairs of bytes that int16 can hold the sum of; one at least.
template <class C>
constexpr int kPairRun = 32767 / (2 * C::kMaxCode * BlockQ8_A::kMax);

// Four int8 of the activations in every lane.
HWY_INLINE hn::Vec<DI8> Broadcast4(const int8_t* q) {
  int32_t four;
  std::memcpy(&four, q, sizeof(four));
  return hn::BitCast(DI8(), hn::Set(DI(), four));
}

// sum + the four products of each lane.
template <Dots kDots>
HWY_INLINE VI AddDot4(VU codes, hn::Vec<DI8> x, VI sum) {
#if HWY_TARGET == HWY_AVX2
  if constexpr (kDots == Dots::kExtension) {
    // Assembly, because no flag of the target allows the intrinsic.
    asm("%{vex%} vpdpbusd %2, %1, %0"
        : "+x"(sum.raw)
        : "x"(codes.raw), "x"(x.raw));
    return sum;
  }
#elif HWY_TARGET_IS_NEON
  if constexpr (kSdot<kDots>) {
    // Highway 1.2 does not use the instruction on NEON.
    asm(".arch_extension dotprod\n\tsdot %0.4s, %1.16b, %2.16b"
        : "+w"(sum.raw)
        : "w"(codes.raw), "w"(x.raw));
    return sum;
  }
#elif HWY_ARCH_X86
  if constexpr (kVnni)
    return hn::SumOfMulQuadAccumulate(DI(), hn::BitCast(DU8(), codes), x, sum);
#endif
  return hn::SumOfMulQuadAccumulate(DI(), hn::BitCast(DI8(), codes), x, sum);
}

// sum + the products of the two int16 of each lane.
template <Dots kDots>
HWY_INLINE VI AddPairProducts(VI a, VI b, VI sum) {
  const DI16 d16;
#if HWY_TARGET == HWY_AVX2
  if constexpr (kDots == Dots::kExtension) {
    asm("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum.raw) : "x"(a.raw), "x"(b.raw));
    return sum;
  }
#endif
#if HWY_ARCH_X86
  // One instruction with VNNI. On Arm it spreads them over two sums.
  VI unused = hn::Zero(DI());
  return hn::ReorderWidenMulAccumulate(DI(), hn::BitCast(d16, a),
                                       hn::BitCast(d16, b), sum, unused);
#else
  return hn::Add(sum, hn::WidenMulPairwiseAdd(DI(), hn::BitCast(d16, a),
                                              hn::BitCast(d16, b)));
#endif
}

// Codes as AddDot4 wants them.
template <class F, Dots kDots>
HWY_INLINE VU LoadCodes(const uint8_t* from) {
  const VU codes = hn::BitCast(DU(), hn::Load(DU8(), from));
  return kAdds128<F, kDots> ? hn::Xor(codes, Bytes(128)) : codes;
}

// Keeps g++ from hoisting the products of a whole chain above their sums, which
// spills registers: AVX2 q4_k 241 -> 318 GOPS. clang does not do it.
template <class V>
HWY_INLINE void KeepOrder([[maybe_unused]] V& v) {
#if HWY_COMPILER_GCC_ACTUAL && HWY_ARCH_X86
  asm("" : "+x"(v.raw));
#endif
}

// How the bias of codes is taken off: where accumulators start (minus the bias
// times the sum of the activations) costs nothing. Sums that are multiplied by
// integer scales before they are int32 have no such place; there the bias times
// the scale is a min.
template <class F, Dots kDots>
constexpr bool kBiasIsMin =
    kPairs<kDots> && F::kBiased && F::kScales == Scales::kInteger;
template <class F, Dots kDots>
constexpr bool kBiasIsStart =
    (F::kBiased || kAdds128<F, kDots>) && !kBiasIsMin<F, kDots>;

// Whether dot_j that fit into int16 meet their scales as pairs of int16, of
// which one is zero: VNNI multiplies and adds in one instruction, where
// products of int32 take Intel's CPUs two, and the sum a third. Biased codes of
// 32 columns would seldom fit.
template <class F, Dots kDots>
constexpr bool kNarrows =
    (kVnni || (HWY_TARGET == HWY_AVX2 && kDots == Dots::kExtension)) &&
    F::kScales == Scales::kInteger &&
    (F::kSub == 16 || !kBiasIsStart<F, kDots>);

// What bounds |dot_j| of all sub-blocks, for each unit of the largest code.
template <class F>
HWY_INLINE int Reach(const BlockQ8_A& x) {
  return F::kSub == 16 ? x.reach16 : x.reach32;
}
// Up to which Reach() every dot_j fits.
template <class C, Dots kDots>
constexpr int kNarrowReach =
    32767 / std::max(kDotBias<C, kDots>, C::kMaxCode - kDotBias<C, kDots>);

// A sub-block's integer scale, and sum + dot * scale; kNarrow: the dot fits
// into int16, so that the upper half of its lane is a sign alone. Scales beside
// paired mins have no sign.
template <class F, bool kNarrow>
HWY_INLINE VI DotScale(const int32_t* from) {
  if (!kNarrow) return IntScale(from);
  const VI scale = hn::Load(DI(), from);
  if (kVnni && F::kMins == Mins::kPaired) return scale;
  return hn::And(scale, hn::Set(DI(), 0xFFFF));
}
template <Dots kDots, bool kNarrow>
HWY_INLINE VI AddScaled(VI dot, VI scale, VI sum) {
  return kNarrow ? AddPairProducts<kDots>(dot, scale, sum)
                 : hn::Add(sum, hn::Mul(dot, scale));
}

// Sums of the activations of each sub-block.
template <class F>
HWY_INLINE const int16_t* SumsOf(const Activations<F>& x) {
  if constexpr (F::kSub == 16) return x.sums;
  return x.sums32;
}

// What the sums of the activations give per sub-block.
template <class F, Dots kDots>
struct alignas(64) Corrections {
  static constexpr int kSubs = kGroupSize / F::kSub;
  static constexpr bool kHasStart = kBiasIsStart<F, kDots>;
  static constexpr bool kHasPairs =
      F::kMins == Mins::kPaired || kBiasIsMin<F, kDots>;
  int32_t start[kHasStart ? kSubs : 1];
  const int16_t* pairs;  // sums of sub-blocks
  float sums[F::kMins == Mins::kFloat ? kSubs : 1];

  // `bias`: kDotBias of the codes.
  HWY_INLINE void Set(const Activations<F>& x, int bias) {
    if constexpr (kHasStart)
      for (int j = 0; j < kSubs; ++j) start[j] = -bias * Sum(x, j);
    if constexpr (kHasPairs) pairs = SumsOf<F>(x);
    if constexpr (F::kMins == Mins::kFloat)
      for (int j = 0; j < kSubs; ++j)
        sums[j] = x.d[j] * static_cast<float>(Sum(x, j));
  }

  HWY_INLINE VI Start(int j) const {
    return hn::Set(DI(), kHasStart ? start[kHasStart ? j : 0] : 0);
  }
  // sum + a0 * sum of sub-block 2j + a1 * sum of the next, for pairs of int16.
  // They are read where they are used: g++ else keeps them in general
  // registers.
  HWY_INLINE VI AddPair(VI a, int j, VI sum) const {
    return AddPairProducts<kDots>(
        a,
        hn::BitCast(DI(),
                    Broadcast4(reinterpret_cast<const int8_t*>(pairs + 2 * j))),
        sum);
  }

 private:
  static HWY_INLINE int32_t Sum(const Activations<F>& x, int j) {
    return SumsOf<F>(x)[j];
  }
};

// (scale of sub-block 2j, scale of the next), from scales that are stored
// twice.
template <class F>
HWY_INLINE VI ScalePair(const PanelScales<F>& p, int j) {
  const DI di;
  return hn::BitCast(
      di, hn::OddEven(hn::BitCast(DI16(), hn::Load(di, p.scales[2 * j + 1])),
                      hn::BitCast(DI16(), hn::Load(di, p.scales[2 * j]))));
}

// `part` of the definition, from the sum of scale_j * dot_j over the group.
template <class F, Dots kDots>
HWY_INLINE VF32 GroupPart(const PanelScales<F>& p,
                          const Corrections<F, kDots>& corrections, VI sums) {
  const DF32 df;
  const DI di;
  const auto scaled = hn::ConvertTo(df, sums);
  if constexpr (F::kMins != Mins::kPaired)
    return hn::Mul(scaled, hn::Load(df, p.d));
  auto mins = hn::Zero(di);
  HWY_UNROLL(8)
  for (int j = 0; j < PanelScales<F>::kSubs / 2; ++j)
    mins = corrections.AddPair(hn::Load(di, p.min_pairs[j]), j, mins);
  return hn::MulSub(scaled, hn::Load(df, p.d),
                    hn::Mul(hn::ConvertTo(df, mins), hn::Load(df, p.mins[0])));
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_DOT_INL_H_
