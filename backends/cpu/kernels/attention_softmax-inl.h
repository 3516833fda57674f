// The softmax between the two products of attention: one chunk of scores of
// each row, in the logarithm's base 2. Per-target code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_ATTENTION_SOFTMAX_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_SOFTMAX_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_SOFTMAX_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_ATTENTION_SOFTMAX_INL_H_
#endif

#include <algorithm>
#include <limits>

#include "backends/cpu/decode-inl.h"
#include "backends/cpu/kernels/attention_shape.h"
#include "backends/cpu/simd-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr float kLog2E = 1.44269504f;
inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// 2^(x - most) for x <= most, within 4.4e-7 of the rounded difference: exactly
// 1 for x = most, a power of two for integers, 0 below most - 126.5, NaN for
// NaN.
//
// x - most = n + f with |f| <= 1/2. The sum with 1.5 * 2^23 + 127 leaves n +
// 127 in the low bits, which are the exponent of 2^n once they are shifted, and
// 0 for n = -127. The polynomial is our own: the one of degree 5 with p(0) = 1
// that has the smallest relative error, found by Remez exchange in 50 digits.
// (To fold `most` into the constant saves an instruction, and breaks for scores
// beyond 2^22.)
template <class DF>
HWY_INLINE hn::Vec<DF> PowerOf2(DF d, hn::Vec<DF> x, hn::Vec<DF> most) {
  const hn::RebindToUnsigned<DF> du;
  const auto round = hn::Set(d, 12582912.0f + 127.0f);
  const auto least = hn::Set(d, -127.0f);
  x = hn::Sub(x, most);
#if HWY_ARCH_X86
  x = hn::Max(least, x);  // the second operand where either is NaN
#else
  x = hn::IfThenElse(hn::Lt(x, least), least, x);  // Arm's takes the number
#endif
  const auto shifted = hn::Add(x, round);
  const auto f = hn::Sub(x, hn::Sub(shifted, round));
  auto p = hn::Set(d, 0.001112550926354402f);
  p = hn::MulAdd(p, f, hn::Set(d, 0.00966628254749323f));
  p = hn::MulAdd(p, f, hn::Set(d, 0.05557400468639521f));
  p = hn::MulAdd(p, f, hn::Set(d, 0.24022350650173077f));
  p = hn::MulAdd(p, f, hn::Set(d, 0.69314283061103f));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0f));
  const auto power =
      hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(du, shifted)));
  return hn::Mul(p, power);
}

// A maximum that can be subtracted from what it is the maximum of.
template <class DF>
HWY_INLINE hn::Vec<DF> Finite(DF d, hn::Vec<DF> most) {
  return hn::IfThenZeroElse(hn::Eq(most, hn::Set(d, kMinusInfinity)), most);
}

// scores[j] -= slope * |query - (first + j)|. Distances are whole numbers,
// exact in f32 up to 2^24.
HWY_INLINE void SubtractDistance(float slope, int64_t query, int64_t first,
                                 float* scores) {
  const DF d;
  const auto at = hn::Set(d, static_cast<float>(query - first));
  const auto factor = hn::Set(d, slope);
  ForEachVector(d, kChunk, [&](auto, int64_t j, int64_t) HWY_ATTR {
    const auto distance =
        hn::Abs(hn::Sub(at, hn::Iota(d, static_cast<float>(j))));
    hn::StoreU(hn::NegMulAdd(factor, distance, hn::LoadU(d, scores + j)), d,
               scores + j);
  });
}

// Soft-cap, ALiBi and bias. The row's scores are q k^T times what Query() says.
HWY_NOINLINE inline void AdjustScores(const AttentionShape& s, const Bias& bias,
                                      int64_t query, float slope,
                                      KeyRange visible, int64_t first,
                                      float* scores) {
  const DF d;
  const float cap = s.params->softcap;
  if (cap > 0)
    ForEachVector(d, kChunk, [&](auto, int64_t j, int64_t) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::Set(d, cap * kLog2E),
                         hn::Tanh(d, hn::LoadU(d, scores + j))),
                 d, scores + j);
    });
  if (s.params->alibi > 0) SubtractDistance(slope, query, first, scores);
  if (bias.row == nullptr) return;
  const int64_t end = std::min(visible.high, first + kChunk);
  for (int64_t key = std::max(visible.low, first); key < end; ++key) {
    const float b = bias.At(key);
    // The lowest finite numbers serve as masks, and are to stay finite: a query
    // that sees nothing else has a result.
    scores[key - first] +=
        b == kMinusInfinity
            ? b
            : std::max(b * kLog2E, std::numeric_limits<float>::lowest());
  }
}

// Keys outside [low, high) become -inf.
HWY_INLINE void MaskScores(int64_t low, int64_t high, int64_t columns,
                           float* scores) {
  const DF d;
  const hn::RebindToSigned<DF> di;
  // Within the chunk, where a vector's comparison counts in 32 bits.
  const auto from =
      hn::Set(di, static_cast<int32_t>(std::clamp<int64_t>(low, 0, kChunk)));
  const auto to =
      hn::Set(di, static_cast<int32_t>(std::clamp<int64_t>(high, 0, kChunk)));
  ForEachVector(d, columns, [&](auto, int64_t j, int64_t) HWY_ATTR {
    const auto at = hn::Iota(di, static_cast<int32_t>(j));
    const auto inside = hn::And(hn::Ge(at, from), hn::Lt(at, to));
    hn::StoreU(
        hn::IfThenElse(hn::RebindMask(d, inside), hn::LoadU(d, scores + j),
                       hn::Set(d, kMinusInfinity)),
        d, scores + j);
  });
}

HWY_INLINE float LargestScore(int64_t columns, const float* scores) {
  const DF d;
  auto most = hn::LoadU(d, scores);
  for (int64_t j = static_cast<int64_t>(hn::Lanes(d)); j < columns;
       j += static_cast<int64_t>(hn::Lanes(d)))
    most = hn::Max(most, hn::LoadU(d, scores + j));
  return hn::ReduceMax(d, most);
}

// scores[j] = 2^(scores[j] - most); sums = sums * keep + these, lane by lane.
// `keep` is a power of two.
HWY_INLINE void Exponentials(float most, float keep, int64_t columns,
                             float* scores, float* sums) {
  const DF d;
  const auto finite = hn::Set(d, most == kMinusInfinity ? 0.0f : most);
  auto sum = hn::Zero(d);
  for (int64_t j = 0; j < columns; j += static_cast<int64_t>(hn::Lanes(d))) {
    const auto p = PowerOf2(d, hn::LoadU(d, scores + j), finite);
    hn::StoreU(p, d, scores + j);
    sum = hn::Add(sum, p);
  }
  hn::StoreU(hn::MulAdd(hn::LoadU(d, sums), hn::Set(d, keep), sum), d, sums);
}

// Rows [begin, end) over `count` positions from `first` on: scores to
// probabilities relative to the running maximum, which is updated like the sum;
// `keep` is what the part's values so far are to be multiplied with.
HWY_NOINLINE inline void SoftmaxChunk(const AttentionShape& s,
                                      const AttentionScratch& m,
                                      const TokenBlock& block, int64_t group,
                                      int64_t first, int64_t count,
                                      int64_t begin, int64_t end) {
  // Whole vectors; what lies beyond would add exact zeros.
  const int64_t columns = (count + kMaxLanes - 1) / kMaxLanes * kMaxLanes;
  const bool adjust =
      s.params->softcap > 0 || s.params->alibi > 0 || s.has_bias();
  for (int64_t r = begin; r < end; ++r) {
    float* scores = m.scores + r * kChunk;
    const KeyRange visible = {m.low[r], m.high[r]};
    if (adjust) {
      const int64_t heads = s.heads_per_group;
      const int64_t token = block.begin + r / heads;
      AdjustScores(s, s.BiasOf(token, group * heads + r % heads),
                   s.positions == nullptr ? 0 : s.positions[token], m.slope[r],
                   visible, first, scores);
    }
    if (visible.low > first || visible.high < first + columns)
      MaskScores(visible.low - first, visible.high - first, columns, scores);
    m.keep[r] = LargestScore(columns, scores);
  }
  const auto raise = [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    float* most = m.part_most + begin + i;
    float* keep = m.keep + begin + i;
    const auto before = LoadPart(d, most, lanes);
    // The next integer: what was summed before is scaled by a power of two,
    // which is exact.
    const auto now = hn::Ceil(hn::Max(before, LoadPart(d, keep, lanes)));
    StorePart(now, d, most, lanes);
    StorePart(PowerOf2(d, before, Finite(d, now)), d, keep, lanes);
  };
  // One by one when they are few: a vector would wait until the values that
  // were just written have left the store buffer, and so would who reads them
  // next.
  if (end - begin <= kDirectRows)
    ForEachVector(hn::CappedTag<float, 1>(), end - begin, raise);
  else
    ForEachVector(DF(), end - begin, raise);
  for (int64_t r = begin; r < end; ++r)
    Exponentials(m.part_most[r], m.keep[r], columns, m.scores + r * kChunk,
                 m.part_sums + r * kMaxLanes);
}

// Adds a part to a total of the same row: n weighted values, sum, maximum.
HWY_NOINLINE inline void AddPart(const float* part, float part_most,
                                 float part_sum, int64_t n, float* total,
                                 float& total_most, float& total_sum) {
  const DF d;
  const hn::CappedTag<float, 1> d1;
  const auto before = hn::Set(d1, total_most);
  const auto more = hn::Set(d1, part_most);
  const auto most = hn::Max(before, more);
  const float keep = hn::GetLane(PowerOf2(d1, before, Finite(d1, most)));
  const float gain = hn::GetLane(PowerOf2(d1, more, Finite(d1, most)));
  total_most = hn::GetLane(most);
  total_sum = total_sum * keep + part_sum * gain;
  ForEachVector(d, n, [&](auto, int64_t i, int64_t lanes) HWY_ATTR {
    const auto kept = hn::Mul(LoadPart(d, total + i, lanes), hn::Set(d, keep));
    StorePart(hn::MulAdd(LoadPart(d, part + i, lanes), hn::Set(d, gain), kept),
              d, total + i, lanes);
  });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_ATTENTION_SOFTMAX_INL_H_
