// Four sub-blocks side by side: the search for scales does the same arithmetic
// for each, so that no sum ever runs across a vector. What a lane computes does
// not depend on what stands in the others, and is the same on every instruction
// set. Vectors are the compilers' own (g++ and clang), of 128 bits, which every
// 64-bit machine has.
#ifndef WEFT_BACKENDS_ENCODE_LANES_H_
#define WEFT_BACKENDS_ENCODE_LANES_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "graph/half.h"

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

namespace weft::inline v0 {
namespace encode {

inline constexpr int kLanes = 4;
using Lanes [[gnu::vector_size(4 * kLanes)]] = float;
using LaneMask [[gnu::vector_size(4 * kLanes)]] = int32_t;  // 0 or -1

// Half of the smallest f16. Every value of the formats with f16 scales is a
// multiple of 2^-24, so that zero is the best code of anything up to this.
inline constexpr float kTiny = 0x1p-25f;

inline Lanes All(float value) { return Lanes{value, value, value, value}; }

#ifdef __SSE2__
// What the other branch says, to the bit; g++ 12 makes four instructions of it.
inline Lanes Min(Lanes a, Lanes b) { return _mm_min_ps(a, b); }
inline Lanes Max(Lanes a, Lanes b) { return _mm_max_ps(a, b); }
#else
inline Lanes Min(Lanes a, Lanes b) { return a < b ? a : b; }
inline Lanes Max(Lanes a, Lanes b) { return a > b ? a : b; }
#endif
inline Lanes Clamp(Lanes v, float low, float high) {
  return Max(Min(v, All(high)), All(low));
}

// To the nearest integer, ties to even, for |v| < 2^22: in the sum one unit in
// the last place is 1. Beyond, something as large.
inline Lanes Round(Lanes v) { return (v + 12582912.0f) - 12582912.0f; }

// 1 / v, or 0 where v is 0: dividing by it gives code 0.
inline Lanes Inverse(Lanes v) { return v != 0.0f ? 1.0f / v : All(0); }

inline float Sum(Lanes v) { return (v[0] + v[1]) + (v[2] + v[3]); }
inline float MaxOf(Lanes v) {
  return std::max(std::max(v[0], v[1]), std::max(v[2], v[3]));
}

// N values of each of four sub-blocks, and their weights.
template <int N>
struct SubBlocks {
  Lanes x[N];
  Lanes w[N];

  Lanes w_sum() const {
    Lanes sum = All(0);
    for (int j = 0; j < N; ++j) sum += w[j];
    return sum;
  }
};

// Lane k reads N values at x[k] and, where there are any, weights at w[k].
template <int N>
inline void Load(const float* const x[kLanes], const float* const w[kLanes],
                 SubBlocks<N>& to) {
  for (int j = 0; j < N; ++j) {
    to.x[j] = Lanes{x[0][j], x[1][j], x[2][j], x[3][j]};
    to.w[j] =
        w[0] == nullptr ? All(1) : Lanes{w[0][j], w[1][j], w[2][j], w[3][j]};
  }
}

// Four consecutive runs of N values, and of weights if `w` is not null.
template <int N>
inline void Load(const float* x, const float* w, SubBlocks<N>& to) {
  const float* const xs[kLanes] = {x, x + N, x + 2 * N, x + 3 * N};
  const bool none = w == nullptr;
  const float* const ws[kLanes] = {w, none ? w : w + N, none ? w : w + 2 * N,
                                   none ? w : w + 3 * N};
  Load<N>(xs, ws, to);
}

// codes[k * N + j] = to_code(of lane k of level(j)), for j < N.
template <int N, class Level, class ToCode>
inline void StoreCodes(const Level& level, const ToCode& to_code,
                       uint8_t* codes) {
  for (int j = 0; j < N; ++j) {
    const Lanes v = level(j);
    for (int k = 0; k < kLanes; ++k)
      codes[k * N + j] = to_code(static_cast<int>(v[k]));
  }
}

// A factor or a minimum as a block holds it, never infinite.
struct Half {
  uint16_t bits = 0;
  float value = 0;

  static Half Nearest(float v) {
    const uint16_t bits = F32ToF16(std::clamp(v, -65504.0f, 65504.0f));
    return {bits, F16ToF32(bits)};
  }
  // For a scale: zero only if `v` is, since zero would lose the block.
  static Half NotZero(float v) {
    const Half half = Nearest(v);
    if (half.value != 0 || v == 0) return half;
    return Nearest(std::copysign(2 * kTiny, v));
  }
};

// One for each lane.
struct HalfLanes {
  uint16_t bits[kLanes] = {};
  Lanes value = All(0);

  static HalfLanes Of(Half (*round)(float), Lanes v) {
    HalfLanes halves;
    for (int k = 0; k < kLanes; ++k) halves.Set(k, round(v[k]));
    return halves;
  }
  void Set(int k, Half half) {
    bits[k] = half.bits;
    value[k] = half.value;
  }
  Half operator[](int k) const { return {bits[k], value[k]}; }
};

}  // namespace encode
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_ENCODE_LANES_H_
