// Sums across the lanes of many vectors at once, for targets whose vectors have
// a fixed length. Per-target code.
//
// A sum of one vector's lanes is a chain of shuffles and additions of ever
// fewer lanes. Here each of them serves two vectors: 16 sums of 16 lanes take
// 30 shuffles and 15 additions instead of 64 each.
#if defined(WEFT_BACKENDS_CPU_KERNELS_LANE_SUMS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_LANE_SUMS_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_LANE_SUMS_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_LANE_SUMS_INL_H_
#endif

#include "backends/cpu/decode-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if !HWY_HAVE_SCALABLE && !HWY_TARGET_IS_SVE

inline constexpr int kFloatLanes = static_cast<int>(hn::MaxLanes(DF()));

// In each run of 2 kHalf lanes: lanes of a, the first half plus the second,
// then the same of b.
template <int kHalf>
HWY_INLINE VF FoldHalves(VF a, VF b) {
  const DF d;
  if constexpr (kHalf == 1) {
    return hn::Add(hn::OddEven(hn::Reverse2(d, b), a),
                   hn::OddEven(b, hn::Reverse2(d, a)));
  } else if constexpr (kHalf == 2) {
    const hn::Repartition<uint64_t, DF> pairs;
    const auto a2 = hn::BitCast(pairs, a), b2 = hn::BitCast(pairs, b);
    return hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, a2, b2)),
                   hn::BitCast(d, hn::InterleaveUpper(pairs, a2, b2)));
  } else if constexpr (2 * kHalf == kFloatLanes) {
    return hn::Add(hn::ConcatLowerLower(d, b, a),
                   hn::ConcatUpperUpper(d, b, a));
  } else {
    return hn::Add(hn::OddEvenBlocks(hn::SwapAdjacentBlocks(b), a),
                   hn::OddEvenBlocks(b, hn::SwapAdjacentBlocks(a)));
  }
}

// The sums of v's vectors, kN <= kFloatLanes a power of two: that of v[i] in
// lane i * kFloatLanes / kN. Halves are added to each other, then halves of
// what is left: the order is the same for every kN.
template <int kHalf, int kN>
HWY_INLINE VF SumLanes(const VF (&v)[kN]) {
  if constexpr (kHalf == 0) {
    return v[0];
  } else if constexpr (kN == 1) {
    const VF folded[1] = {FoldHalves<kHalf>(v[0], v[0])};
    return SumLanes<kHalf / 2>(folded);
  } else {
    VF folded[kN / 2];
    HWY_UNROLL(8)
    for (int i = 0; i < kN / 2; ++i)
      folded[i] = FoldHalves<kHalf>(v[i], v[i + kN / 2]);
    return SumLanes<kHalf / 2>(folded);
  }
}

// The largest power of two up to n, at most kFloatLanes.
constexpr int SumsTogether(int n) {
  int together = kFloatLanes;
  while (together > n) together /= 2;
  return together;
}

// sums[i] = the sum of v[i]'s lanes.
template <int kN>
HWY_INLINE void StoreLaneSums(const VF (&v)[kN], float* sums) {
  const DF d;
  constexpr int kFirst = SumsTogether(kN);
  if constexpr (kN > kFirst) {
    VF first[kFirst], rest[kN - kFirst];
    HWY_UNROLL(24) for (int i = 0; i < kFirst; ++i) first[i] = v[i];
    StoreLaneSums(first, sums);
    HWY_UNROLL(24) for (int i = kFirst; i < kN; ++i) rest[i - kFirst] = v[i];
    StoreLaneSums(rest, sums + kFirst);
  } else if constexpr (kN == kFloatLanes) {
    hn::StoreU(SumLanes<kFloatLanes / 2>(v), d, sums);
  } else if constexpr (kN == 1) {
    *sums = hn::GetLane(SumLanes<kFloatLanes / 2>(v));
  } else {
    HWY_ALIGN float lanes[kFloatLanes];
    hn::Store(SumLanes<kFloatLanes / 2>(v), d, lanes);
    for (int i = 0; i < kN; ++i) sums[i] = lanes[i * (kFloatLanes / kN)];
  }
}

#endif  // no SVE

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_LANE_SUMS_INL_H_
