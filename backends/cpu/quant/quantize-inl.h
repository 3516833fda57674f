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
// Whole vectors are written: they divide the values that share a scale.
static_assert(BlockQ8_A32::kPerScale % HWY_MAX_LANES_D(DQuantize) == 0);

// n > 0 values that share a scale to q, and the scale; the last vector writes
// zeros beyond n. See kQuantize.
template <class Block>
HWY_INLINE float QuantizeRun(const float* HWY_RESTRICT x, int64_t n,
                             int8_t* HWY_RESTRICT q) {
  const DQuantize d;
  const hn::RebindToSigned<DQuantize> di;
  const hn::Rebind<int8_t, DQuantize> d8;
  // x - x is zero, or NaN where x is not finite; Max() may lose a NaN.
  auto largest_lanes = hn::Zero(d), check = hn::Zero(d);
  ForEachVector(d, n,
                [&](auto tag, int64_t i, int64_t lanes) HWY_ATTR
                __attribute__((always_inline)) {
                  const auto v = LoadPart(tag, x + i, lanes);
                  largest_lanes = hn::Max(largest_lanes, hn::Abs(v));
                  check = hn::Add(check, hn::Sub(v, v));
                });
  const bool finite = hn::AllTrue(d, hn::Eq(check, hn::Zero(d)));
  const float largest = hn::ReduceMax(d, largest_lanes);
  const bool zero = !finite || largest < Block::kTiny;
  const auto inverse = hn::Set(d, zero ? 0.0f : Block::kMax / largest);
  ForEachVector(d, n,
                [&](auto tag, int64_t i, int64_t lanes) HWY_ATTR
                __attribute__((always_inline)) {
                  auto v = hn::Mul(LoadPart(tag, x + i, lanes), inverse);
                  if (!finite) v = hn::Zero(tag);
                  hn::StoreU(
                      hn::DemoteTo(d8, hn::BitCast(di, hn::NearestInt(v))), d8,
                      q + i);
                });
  if (!finite) return std::numeric_limits<float>::quiet_NaN();
  return zero ? 0.0f : largest / Block::kMax;
}

// Sums of every 16 of 256 values.
HWY_INLINE void SumSixteens(const int8_t* q, int16_t (&sums)[16]) {
  const hn::CappedTag<int8_t, 64> d8;
  const hn::Repartition<int64_t, decltype(d8)> d64;
  alignas(64) int64_t eights[32];
  for (size_t i = 0; i < 256; i += hn::Lanes(d8))
    hn::Store(hn::SumsOf8(hn::LoadU(d8, q + i)), d64, eights + i / 8);
  for (size_t g = 0; g < 16; ++g)
    sums[g] = static_cast<int16_t>(eights[2 * g] + eights[2 * g + 1]);
}

// One block from n <= 256 values; the rest of it is zero.
template <class Block>
HWY_INLINE void QuantizeBlock(const float* HWY_RESTRICT x, int64_t n,
                              Block& block) {
  if (n < Block::kCount) std::memset(&block, 0, sizeof(block));
  for (int64_t i = 0; i < n; i += Block::kPerScale) {
    const float d = QuantizeRun<Block>(
        x + i, std::min<int64_t>(Block::kPerScale, n - i), block.q + i);
    if constexpr (Block::kPerScale == Block::kCount) {
      block.d = d;
    } else {
      block.d[i / Block::kPerScale] = d;
    }
  }
  int16_t sums[16];
  SumSixteens(block.q, sums);
  if constexpr (requires { block.sums; })
    std::memcpy(block.sums, sums, sizeof(sums));
  for (size_t g = 0; g < 8; ++g)
    block.sums32[g] = static_cast<int16_t>(sums[2 * g] + sums[2 * g + 1]);
  std::memset(block.padding, 0, sizeof(block.padding));
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
