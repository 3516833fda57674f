// Numbers of f16 and f32 as two bf16 each, as tile registers (AMX) multiply
// them: the pieces that qmatmul_f16.cc is made of. Per-target code.
//
// `high` has the first 8 bits of a number and `low` what is left. Of f16, which
// has 11 bits, they are all; of an activation they have 16 or 17, whose error
// gives an NMSE of 5e-12 (measured; without low * low, three of the four
// products, 1.5e-11). What is not finite gives NaN.
//
// A step is 32 columns, of which column p and p + 16 are a tile's pair: so 16
// rows' packed columns become tiles without a shuffle.
#if defined(WEFT_BACKENDS_CPU_KERNELS_F16_AMX_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_F16_AMX_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_F16_AMX_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_F16_AMX_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/decode-inl.h"
#include "backends/cpu/half-inl.h"
#include "backends/cpu/kernel.h"
#include "backends/cpu/quant/tiles-inl.h"
#include "graph/packed.h"
#include "hwy/highway.h"

#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3_DL

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF16Bits = hn::RebindToUnsigned<DF>;
using VF16Bits = hn::Vec<DF16Bits>;

constexpr int64_t kF16Step = 32;   // columns of an instruction
constexpr int64_t kF16Pairs = 16;  // of columns
constexpr size_t kF16ColumnBytes = kPackedRows * sizeof(uint16_t);
constexpr size_t kF16StepBytes = kF16Step * kF16ColumnBytes;

// 16 rows of w in one step.
struct F16Weights {
  alignas(64) uint32_t high[kF16Pairs][kPackedRows];
  uint32_t low[kF16Pairs][kPackedRows];
};
// A tile of tokens, of one step after the other: `plane` pairs are high ones,
// of token after token, and as many low ones.
struct F16Tokens {
  uint32_t* high;
  int64_t plane;
  HWY_INLINE uint32_t* low() const { return high + plane; }
  HWY_INLINE F16Tokens Step(int64_t step) const {
    return {high + 2 * plane * step, plane};
  }
};
constexpr int64_t kF16Plane = kTileRows * kF16Pairs;  // of whole tiles

// The first 8 bits of numbers, those of the nearest bf16, and what is left.
HWY_INLINE VF16Bits HighOf(VF v) {
  const DF16Bits d;
  return hn::And(hn::BitCast(d, v), hn::Set(d, 0xFFFF0000u));
}
HWY_INLINE VF16Bits RoundedHighOf(VF v) {
  const DF16Bits d;
  // Some NaNs would be rounded to 0.
  const auto nan = hn::RebindMask(d, hn::IsNaN(v));
  const VF16Bits bits = hn::BitCast(d, v);
  return hn::And(hn::MaskedAddOr(bits, hn::Not(nan), bits, hn::Set(d, 0x8000u)),
                 hn::Set(d, 0xFFFF0000u));
}
HWY_INLINE VF16Bits LowOf(VF v, VF16Bits high) {
  return hn::BitCast(DF16Bits(), hn::Sub(v, hn::BitCast(DF(), high)));
}
// The upper halves of `first` and `second`, whose lower ones are zero.
HWY_INLINE void StorePairs(VF16Bits first, VF16Bits second, uint32_t* to) {
  hn::Store(hn::Or(hn::ShiftRight<16>(first), second), DF16Bits(), to);
}

// Pair p of packed columns that begin at `w`.
HWY_INLINE void MakeWeights(const uint8_t* w, int64_t p, F16Weights& to) {
  const auto* at = reinterpret_cast<const uint16_t*>(w) + p * kPackedRows;
  const VF first = LoadHalf(DF(), at);
  const VF second = LoadHalf(DF(), at + kF16Pairs * kPackedRows);
  const VF16Bits high0 = HighOf(first), high1 = HighOf(second);
  StorePairs(high0, high1, to.high[p]);
  StorePairs(LowOf(first, high0), LowOf(second, high1), to.low[p]);
}

// 32 columns of a token.
HWY_INLINE void MakeToken(const float* x, uint32_t* high, uint32_t* low) {
  const VF first = hn::LoadU(DF(), x), second = hn::LoadU(DF(), x + kF16Pairs);
  const VF16Bits high0 = RoundedHighOf(first), high1 = RoundedHighOf(second);
  const auto left = [&](VF v, VF16Bits h) HWY_ATTR {
    return RoundedHighOf(hn::BitCast(DF(), LowOf(v, h)));
  };
  StorePairs(high0, high1, high);
  StorePairs(left(first, high0), left(second, high1), low);
}

// Columns [k, end) of `count` tokens from t on. Zero beyond: a step's rest is
// multiplied by nothing.
HWY_INLINE void MakeTokens(const View& x, int64_t t, int64_t count, int64_t k,
                           int64_t end, F16Tokens to) {
  float tail[kF16Step] = {};
  for (; k < end; k += kF16Step, to = to.Step(1)) {
    const int64_t columns = std::min(kF16Step, end - k);
    for (int64_t i = 0; i < count; ++i) {
      const float* from = x.RowAs<const float>(t + i) + k;
      if (columns < kF16Step) {
        std::copy_n(from, columns, tail);
        from = tail;
      }
      MakeToken(from, to.high + i * kF16Pairs, to.low() + i * kF16Pairs);
    }
  }
}

// Adds the products of a step, of x and w high * low, low * low, low * high and
// high * high: 32 rows, and 32 tokens where kTwo, else the first 16.
template <bool kTwo>
HWY_INLINE void MultiplyStep(F16Tokens x0, F16Tokens x1, const F16Weights& w0,
                             const F16Weights& w1) {
  constexpr size_t kLine = 64;
  const auto multiply = []() HWY_ATTR {
    MultiplyBF16<0, 4, 6>();
    MultiplyBF16<1, 4, 7>();
    if (kTwo) MultiplyBF16<2, 5, 6>();
    if (kTwo) MultiplyBF16<3, 5, 7>();
  };
  LoadTile<4>(x0.high, kLine);
  LoadTile<6>(w0.low, kLine);
  LoadTile<7>(w1.low, kLine);
  if (kTwo) LoadTile<5>(x1.high, kLine);
  multiply();
  LoadTile<4>(x0.low(), kLine);
  if (kTwo) LoadTile<5>(x1.low(), kLine);
  multiply();
  LoadTile<6>(w0.high, kLine);
  LoadTile<7>(w1.high, kLine);
  multiply();
  LoadTile<4>(x0.high, kLine);
  if (kTwo) LoadTile<5>(x1.high, kLine);
  multiply();
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // AVX3_DL

#endif  // WEFT_BACKENDS_CPU_KERNELS_F16_AMX_INL_H_
