// f32 rows to q8_a blocks. Per-target code.
#if defined(WEFT_BACKENDS_CPU_QUANT_QUANTIZE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_QUANTIZE_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_QUANTIZE_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_QUANTIZE_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <limits>

#include "backends/cpu/simd-inl.h"
#include "graph/blocks/q8_a.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// sums[g] = sum of q[16 g .. 16 g + 15].
HWY_INLINE void SumSixteens(BlockQ8_A& block) {
  const hn::CappedTag<int8_t, 8> d8;
  const hn::Rebind<int16_t, decltype(d8)> d16;
  constexpr size_t kLanes8 = HWY_MAX_LANES_D(decltype(d8));
  static_assert(kLanes8 == 8);
  for (size_t g = 0; g < 16; ++g) {
    const int8_t* q = block.q + 16 * g;
    const auto low = hn::PromoteTo(d16, hn::LoadU(d8, q));
    const auto high = hn::PromoteTo(d16, hn::LoadU(d8, q + 8));
    block.sums[g] = hn::ReduceSum(d16, hn::Add(low, high));
  }
  for (size_t g = 0; g < 8; ++g)
    block.sums32[g] =
        static_cast<int16_t>(block.sums[2 * g] + block.sums[2 * g + 1]);
}

// One block from n <= 256 values; the rest of it is zero. See kQuantize.
HWY_INLINE void QuantizeBlock(const float* HWY_RESTRICT x, int64_t n,
                              BlockQ8_A& block) {
  const hn::CappedTag<float, 16> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<int8_t, decltype(d)> d8;
  // x - x is zero, or NaN where x is not finite; Max() may lose a NaN.
  auto largest_lanes = hn::Zero(d), check = hn::Zero(d);
  ForEachVector(d, n, [&](auto tag, int64_t i, int64_t lanes) HWY_ATTR {
    const auto v = LoadPart(tag, x + i, lanes);
    largest_lanes = hn::Max(largest_lanes, hn::Abs(v));
    check = hn::Add(check, hn::Sub(v, v));
  });
  const float largest = hn::ReduceMax(d, largest_lanes);
  const bool finite = hn::ReduceSum(d, check) == 0;
  if (!finite || largest < BlockQ8_A::kTiny) {
    block = {};
    if (!finite) block.d = std::numeric_limits<float>::quiet_NaN();
    return;
  }
  block.d = largest / BlockQ8_A::kMax;
  std::memset(block.padding, 0, sizeof(block.padding));
  const auto inverse = hn::Set(d, BlockQ8_A::kMax / largest);
  ForEachVector(d, n, [&](auto tag, int64_t i, int64_t lanes) HWY_ATTR {
    const auto q =
        hn::NearestInt(hn::Mul(LoadPart(tag, x + i, lanes), inverse));
    // A last part writes zeros beyond the row, up to 15 of them inside the
    // block: vectors divide it.
    hn::StoreU(hn::DemoteTo(d8, hn::BitCast(di, q)), d8, block.q + i);
  });
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  const int64_t written = (n + step - 1) / step * step;
  std::fill(block.q + written, block.q + BlockQ8_A::kCount, int8_t{0});
  SumSixteens(block);
}

// A row, or a part of one that begins with a block.
HWY_INLINE void QuantizeRow(const float* HWY_RESTRICT x, int64_t n,
                            BlockQ8_A* HWY_RESTRICT blocks) {
  for (int64_t i = 0; i < n; i += BlockQ8_A::kCount)
    QuantizeBlock(x + i, std::min<int64_t>(BlockQ8_A::kCount, n - i),
                  *blocks++);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_QUANTIZE_INL_H_
