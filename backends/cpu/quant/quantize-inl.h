// f32 rows to blocks of 8-bit activations, or to bf16. Per-target code.
#if defined(WEFT_BACKENDS_CPU_QUANT_QUANTIZE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_QUANTIZE_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_QUANTIZE_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_QUANTIZE_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>

#include "backends/cpu/half-inl.h"
#include "backends/cpu/simd-inl.h"
#include "graph/blocks/q8_a.h"
#include "graph/blocks/q8_a32.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DQuantize = hn::CappedTag<float, 16>;
using DQuantize16 = hn::Repartition<int16_t, DQuantize>;
using DQuantize64 = hn::Repartition<int64_t, DQuantize>;
using VQuantize16 = hn::Vec<DQuantize16>;
using VQuantize64 = hn::Vec<DQuantize64>;
// Whole vectors share a scale.
static_assert(BlockQ8_A32::kPerScale % HWY_MAX_LANES_D(DQuantize) == 0);

// The scale of values, and how they become codes.
struct QuantizeScale {
  float d;
  float inverse = 0;
  int32_t keep = -1;  // 0: all codes are zero, whatever the values
};

// Of Block::kPerScale values. See kQuantize.
template <class Block>
HWY_INLINE QuantizeScale QuantizeScaleOf(const float* HWY_RESTRICT x) {
  const DQuantize d;
  const hn::RebindToSigned<DQuantize> di;
  // Magnitudes are ordered as their bits are, and what is not finite lies above
  // all others: one maximum finds both.
  const auto Bits = [&](size_t i) HWY_ATTR __attribute__((always_inline)) {
    return hn::BitCast(di, hn::Abs(hn::LoadU(d, x + i)));
  };
  auto largest_bits = Bits(0);
  for (size_t i = hn::Lanes(d); i < Block::kPerScale; i += hn::Lanes(d))
    largest_bits = hn::Max(largest_bits, Bits(i));
  const auto largest =
      hwy::BitCastScalar<float>(hn::ReduceMax(di, largest_bits));
  if (!(largest <= std::numeric_limits<float>::max()))
    return {.d = std::numeric_limits<float>::quiet_NaN(), .keep = 0};
  if (largest < Block::kTiny) return {.d = 0};
  return {.d = largest / Block::kMax, .inverse = Block::kMax / largest};
}

// From sums of 8 in four vectors: those of 16, as int16. Of the eight int16 of
// a block of 128 bits, numbers k and k + 4 are the sum that stood in that block
// of the k-th vector.
HWY_INLINE VQuantize16 SumsOf16(VQuantize64 eights0, VQuantize64 eights1,
                                VQuantize64 eights2, VQuantize64 eights3) {
  const DQuantize16 d16;
  const auto low = hn::Set(DQuantize64(), 0xFFFF);
  const auto eights = hn::Or(
      hn::Or(hn::And(eights0, low), hn::ShiftLeft<16>(hn::And(eights1, low))),
      hn::Or(hn::ShiftLeft<32>(hn::And(eights2, low)),
             hn::ShiftLeft<48>(eights3)));
  return hn::Add(hn::BitCast(d16, eights),
                 hn::BitCast(d16, hn::Shuffle01(eights)));
}

// Sums of 32, in both places where their sums of 16 were.
HWY_INLINE VQuantize16 SumsOf32(VQuantize16 sums16) {
  const DQuantize16 d16;
#if HWY_MAX_BYTES > 16
  if (hn::Lanes(d16) > 8)
    return hn::Add(sums16, hn::SwapAdjacentBlocks(sums16));
#endif
  return hn::Add(sums16, hn::Reverse2(d16, sums16));
}

// One block from 256 values: the bytes of kQuantize's reference.
template <class Block>
HWY_INLINE void QuantizeWholeBlock(const float* HWY_RESTRICT x, Block& block) {
  const DQuantize d;
  const DQuantize16 d16;
  const DQuantize64 d64;
  const hn::RebindToSigned<DQuantize> di;
  const hn::Repartition<int8_t, DQuantize> d8;
  const hn::Repartition<uint8_t, DQuantize> du8;
  constexpr bool kHasSixteens = requires { block.sums; };
  constexpr size_t kScales = Block::kCount / Block::kPerScale;
  QuantizeScale scales[kScales];
  for (size_t j = 0; j < kScales; ++j)
    scales[j] = QuantizeScaleOf<Block>(x + j * Block::kPerScale);
  if constexpr (kScales == 1) {
    block.d = scales[0].d;
  } else {
    for (size_t j = 0; j < kScales; ++j) block.d[j] = scales[j].d;
  }
  const size_t lanes = hn::Lanes(d);
  const auto Round = [&](size_t i) HWY_ATTR __attribute__((always_inline)) {
    const QuantizeScale& scale = scales[i / Block::kPerScale];
    const auto v = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, scale.inverse));
    return hn::NearestInt(hn::And(v, hn::BitCast(d, hn::Set(di, scale.keep))));
  };
  const auto RoundFour = [&](size_t i) HWY_ATTR __attribute__((always_inline)) {
    const auto q = hn::OrderedDemote2To(
        d8, hn::OrderedDemote2To(d16, Round(i), Round(i + lanes)),
        hn::OrderedDemote2To(d16, Round(i + 2 * lanes), Round(i + 3 * lanes)));
    hn::StoreU(q, d8, block.q + i);
    return q;
  };
  const auto Magnitudes = [&](auto q) HWY_ATTR __attribute__((always_inline)) {
    return hn::BitCast(d64, hn::SumsOf8(hn::BitCast(du8, hn::Abs(q))));
  };
  auto reach16 = hn::Zero(d16), twice_reach32 = reach16;
  for (size_t i = 0; i < 256; i += 16 * lanes) {
    const auto q0 = RoundFour(i), q1 = RoundFour(i + 4 * lanes),
               q2 = RoundFour(i + 8 * lanes), q3 = RoundFour(i + 12 * lanes);
    const auto sums16 = SumsOf16(hn::SumsOf8(q0), hn::SumsOf8(q1),
                                 hn::SumsOf8(q2), hn::SumsOf8(q3));
    const auto sums32 = SumsOf32(sums16);
    alignas(64) int16_t by16[32], by32[32];
    hn::Store(sums16, d16, by16);
    hn::Store(sums32, d16, by32);
    const size_t blocks = lanes / 4;
    for (size_t k = 0; k < 4; ++k)
      for (size_t l = 0; l < blocks; ++l) {
        const size_t g = i / 16 + k * blocks + l;
        if constexpr (kHasSixteens) block.sums[g] = by16[8 * l + k];
        if (g % 2 == 0) block.sums32[g / 2] = by32[8 * l + k];
      }
    if constexpr (kHasSixteens) {
      const auto magnitudes16 = SumsOf16(Magnitudes(q0), Magnitudes(q1),
                                         Magnitudes(q2), Magnitudes(q3));
      reach16 = hn::Max(reach16, magnitudes16);
      twice_reach32 = hn::Max(twice_reach32,
                              hn::Add(SumsOf32(magnitudes16), hn::Abs(sums32)));
    }
  }
  if constexpr (kHasSixteens) {
    block.reach16 = hn::ReduceMax(d16, reach16);
    block.reach32 = static_cast<int16_t>(hn::ReduceMax(d16, twice_reach32) / 2);
  }
  std::memset(block.padding, 0, sizeof(block.padding));
}

// One block from n <= 256 values; the rest of it is zero.
template <class Block>
HWY_INLINE void QuantizeBlock(const float* HWY_RESTRICT x, int64_t n,
                              Block& block) {
  alignas(64) float whole[Block::kCount];
  if (n < Block::kCount) {
    std::fill(std::copy_n(x, n, whole), std::end(whole), 0.0f);
    x = whole;
  }
  QuantizeWholeBlock(x, block);
}

// n values to row r of `out`, from column `first` on, where a block begins.
HWY_INLINE void QuantizeRow(const float* HWY_RESTRICT x, int64_t n,
                            const View& out, int64_t r, int64_t first = 0) {
  const auto Write = [&](auto* blocks) HWY_ATTR {
    for (int64_t i = 0; i < n; i += blocks->kCount, ++blocks)
      QuantizeBlock(x + i, std::min<int64_t>(blocks->kCount, n - i), *blocks);
  };
  if (out.dtype == DType::kQ8_A) {
    Write(out.RowAs<BlockQ8_A>(r) + first / BlockQ8_A::kCount);
  } else if (out.dtype == DType::kQ8_A32) {
    Write(out.RowAs<BlockQ8_A32>(r) + first / BlockQ8_A32::kCount);
  } else {
    StoreBF16(x, n, out.RowAs<BlockBF16>(r) + first);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_QUANTIZE_INL_H_
