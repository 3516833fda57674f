// Super-blocks of 256 with f16 scales of integer scales and minima:
// value = d * scale * code - dmin * min (q2_k, q4_k, q5_k).
#include <cstdint>
#include <cstring>

#include "backends/encode/affine.h"
#include "backends/encode/encoders.h"
#include "backends/encode/lanes.h"
#include "graph/blocks/pack.h"
#include "graph/blocks/q2_k.h"
#include "graph/blocks/q4_k.h"
#include "graph/blocks/q5_k.h"

namespace weft::inline v0 {
namespace encode {
namespace {

// Of a format F:
//   F::Block
//   F::kN         values of a sub-block
//   F::kTop       highest code
//   F::kScaleTop  highest integer scale and min
//   F::kHighest   codes to try for the largest value of a sub-block
//   F::Pack(scales, mins, codes, block)
template <class F>
class SuperBlock {
 public:
  SuperBlock(const float* x, const float* w) {
    for (int g = 0; g < kGroups; ++g)
      Load<F::kN>(x + g * kGroupValues, w == nullptr ? w : w + g * kGroupValues,
                  sub_[g]);
  }

  void Encode(std::byte* out) const {
    AffineFit plain[kGroups], wanted[kGroups];
    for (int g = 0; g < kGroups; ++g) {
      const AffineSearch<F::kN, F::kTop, Low::kNotPositive> search(sub_[g]);
      plain[g] = search.Plain();
      wanted[g] = search.Best(F::kHighest);
    }
    Solution best = Snap(wanted);
    TryNeighbours(best);
    for (const Solution& other : {Refitted(best), Snap(plain)})
      if (const float error = ErrorOf(other); error < best.error) {
        best = other;
        best.error = error;
      }
    Write(best, out);
  }

 private:
  static constexpr int kGroups = 256 / (kLanes * F::kN);
  static constexpr int kGroupValues = kLanes * F::kN;

  struct Solution {
    Half d, dmin;
    Lanes scales[kGroups], mins[kGroups];  // integers
    float error = 0;
  };

  // Integer scales and minima next to those wanted; the largest of each gets
  // the highest integer.
  static Solution Snap(const AffineFit wanted[kGroups]) {
    Lanes scale = All(0), min = All(0);
    for (int g = 0; g < kGroups; ++g) {
      scale = Max(scale, wanted[g].scale);
      min = Max(min, -wanted[g].low);
    }
    Solution s;
    s.d = Half::NotZero(MaxOf(scale) / static_cast<float>(F::kScaleTop));
    s.dmin = Half::Nearest(MaxOf(min) / static_cast<float>(F::kScaleTop));
    const Lanes inverse_d = Inverse(All(s.d.value));
    const Lanes inverse_dmin = Inverse(All(s.dmin.value));
    for (int g = 0; g < kGroups; ++g) {
      s.scales[g] = Integer(wanted[g].scale * inverse_d);
      s.mins[g] = Integer(-wanted[g].low * inverse_dmin);
    }
    return s;
  }
  static Lanes Integer(Lanes v) { return Clamp(Round(v), 0, F::kScaleTop); }

  AffineSums SumsOf(const Solution& s, int g) const {
    return AffineSumsAt<F::kN, F::kTop>(sub_[g], s.scales[g] * s.d.value,
                                        s.mins[g] * s.dmin.value);
  }

  float ErrorOf(const Solution& s) const {
    Lanes error = All(0);
    for (int g = 0; g < kGroups; ++g) error += SumsOf(s, g).error;
    return Sum(error);
  }

  // Rounding moved scales and minima off their optimum, and the error has many
  // local minima: the integers around are worth a look. A larger scale wants a
  // larger minimum, which keeps the mean where it is.
  void TryNeighbours(Solution& s) const {
    const float to_min = s.dmin.value > 0 ? s.d.value / s.dmin.value : 0;
    Lanes total = All(0);
    for (int g = 0; g < kGroups; ++g) {
      const AffineSums sums = SumsOf(s, g);
      const Lanes mean_code = sums.c / sub_[g].w_sum();
      const Lanes scale = s.scales[g], min = s.mins[g];
      Lanes best = sums.error;
      for (const float step : {0.0f, -1.0f, 1.0f})
        for (const float min_step : {0.0f, -1.0f, 1.0f}) {
          if (step == 0 && min_step == 0) continue;
          const Lanes new_scale = Integer(scale + step);
          const Lanes new_min =
              Integer(min + mean_code * (step * to_min) + min_step);
          const Lanes error = AffineErrorAt<F::kN, F::kTop>(
              sub_[g], new_scale * s.d.value, new_min * s.dmin.value);
          const LaneMask better = error < best;
          s.scales[g] = better ? new_scale : s.scales[g];
          s.mins[g] = better ? new_min : s.mins[g];
          best = Min(error, best);
        }
      total += best;
    }
    s.error = Sum(total);
  }

  // The least-squares d and dmin for the codes that `s` leads to: with u and v
  // what they lack, rest' = rest - u * scale * code + v * min.
  Solution Refitted(const Solution& s) const {
    Lanes uu = All(0), uv = All(0), vv = All(0), ur = All(0), vr = All(0);
    for (int g = 0; g < kGroups; ++g) {
      const AffineSums sums = SumsOf(s, g);
      const Lanes scale = s.scales[g], min = s.mins[g];
      uu += scale * scale * sums.cc;
      uv += scale * min * sums.c;
      vv += min * min * sub_[g].w_sum();
      ur += scale * sums.rc;
      vr += min * sums.r;
    }
    // In double: the two directions are nearly the same.
    const double a = Sum(uu), b = Sum(uv), c = Sum(vv);
    const double p = Sum(ur), q = Sum(vr);
    const double determinant = a * c - b * b;
    double u = 0, v = 0;
    if (determinant > 1e-6 * a * c) {
      u = (p * c - q * b) / determinant;
      v = (p * b - q * a) / determinant;
    } else if (a > 0) {  // all minima are zero, or go along with the scales
      u = p / a;
    }
    Solution refitted = s;
    refitted.d = Half::NotZero(static_cast<float>(s.d.value + u));
    refitted.dmin = Half::Nearest(static_cast<float>(s.dmin.value + v));
    return refitted;
  }

  void Write(const Solution& s, std::byte* out) const {
    uint8_t scales[256 / F::kN], mins[256 / F::kN], codes[256];
    for (int g = 0; g < kGroups; ++g) {
      const Lanes inverse = Inverse(s.scales[g] * s.d.value);
      const Lanes min = s.mins[g] * s.dmin.value;
      for (int k = 0; k < kLanes; ++k) {
        scales[g * kLanes + k] = static_cast<uint8_t>(s.scales[g][k]);
        mins[g * kLanes + k] = static_cast<uint8_t>(s.mins[g][k]);
      }
      StoreCodes<F::kN>(
          [&](int j) {
            return Clamp(Round((sub_[g].x[j] + min) * inverse), 0, F::kTop);
          },
          [](int code) { return static_cast<uint8_t>(code); },
          codes + g * kGroupValues);
    }
    typename F::Block block;
    F::Pack(scales, mins, codes, block);
    block.d = s.d.bits;
    block.dmin = s.dmin.bits;
    std::memcpy(out, &block, sizeof(block));
  }

  SubBlocks<F::kN> sub_[kGroups];
};

struct Q2K {
  using Block = BlockQ2_K;
  static constexpr int kN = 16;
  static constexpr int kTop = 3;
  static constexpr int kScaleTop = 15;
  static constexpr float kHighest[] = {2.4f, 2.7f, 3, 3.3f, 3.6f};

  static void Pack(const uint8_t* scales, const uint8_t* mins,
                   const uint8_t* codes, Block& to) {
    for (int s = 0; s < 16; ++s)
      to.scales[s] = static_cast<uint8_t>(scales[s] | mins[s] << 4);
    PackTwoBits(codes, 0, to.q);
  }
};

struct Q4K {
  using Block = BlockQ4_K;
  static constexpr int kN = 32;
  static constexpr int kTop = 15;
  static constexpr int kScaleTop = 63;
  static constexpr float kHighest[] = {14,    14.3f, 14.6f, 14.9f,
                                       15.2f, 15.5f, 15.8f, 16};

  static void Pack(const uint8_t* scales, const uint8_t* mins,
                   const uint8_t* codes, Block& to) {
    PackKScales(scales, mins, to.scales);
    for (int pair = 0; pair < 4; ++pair)
      PackNibbles(codes + pair * 64, 32, to.q + pair * 32);
  }
};

struct Q5K {
  using Block = BlockQ5_K;
  static constexpr int kN = 32;
  static constexpr int kTop = 31;
  static constexpr int kScaleTop = 63;
  static constexpr float kHighest[] = {28, 28.5f, 29, 29.5f,
                                       30, 30.5f, 31, 31.5f};

  static void Pack(const uint8_t* scales, const uint8_t* mins,
                   const uint8_t* codes, Block& to) {
    PackKScales(scales, mins, to.scales);
    PackPlaneBits(codes, 4, to.qh);
    for (int pair = 0; pair < 4; ++pair)
      PackNibbles(codes + pair * 64, 32, to.q + pair * 32);
  }
};

template <class F>
void EncodeAll(const EncodeArgs& args) {
  std::byte* out = args.out;
  for (int64_t i = 0; i < args.count;
       i += 256, out += sizeof(typename F::Block))
    SuperBlock<F>(args.values + i, args.ImportanceAt(i)).Encode(out);
}

}  // namespace

void EncodeQ2_K(const EncodeArgs& args) { EncodeAll<Q2K>(args); }
void EncodeQ4_K(const EncodeArgs& args) { EncodeAll<Q4K>(args); }
void EncodeQ5_K(const EncodeArgs& args) { EncodeAll<Q5K>(args); }

}  // namespace encode
}  // namespace weft::inline v0
