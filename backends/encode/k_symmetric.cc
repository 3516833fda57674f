// Super-blocks of 256 with one f16 scale and an integer scale per sub-block:
// value = d * scale * level (q3_k, q6_k, iq4_xs).
#include <cstdint>
#include <cstring>

#include "backends/encode/encoders.h"
#include "backends/encode/lanes.h"
#include "backends/encode/levels.h"
#include "backends/encode/symmetric.h"
#include "graph/blocks/iq4_xs.h"
#include "graph/blocks/pack.h"
#include "graph/blocks/q3_k.h"
#include "graph/blocks/q6_k.h"

namespace weft::inline v0 {
namespace encode {
namespace {

// Of a format F:
//   F::Block, F::Levels
//   F::kN          values of a sub-block
//   F::kScaleLow   scales are integers from here to -kScaleLow - 1
//   F::kOutermost  levels to try for the extreme of a sub-block
//   F::Pack(d, scales, codes, block)
template <class F>
class SuperBlock {
 public:
  SuperBlock(const float* x, const float* w) {
    for (int g = 0; g < kGroups; ++g)
      Load<F::kN>(x + g * kGroupValues, w == nullptr ? w : w + g * kGroupValues,
                  sub_[g]);
  }

  void Encode(std::byte* out) const {
    Solution best = Search();
    const Solution plain = Plain();
    if (plain.error < best.error) best = plain;
    Write(best, out);
  }

 private:
  static constexpr int kGroups = 256 / (kLanes * F::kN);
  static constexpr int kGroupValues = kLanes * F::kN;
  static constexpr int kScaleHigh = -F::kScaleLow - 1;
  using Levels = typename F::Levels;

  struct Solution {
    Half d;
    Lanes scales[kGroups];  // integers
    float error = 0;
  };

  // Integer scales next to `wanted`; the largest one in magnitude gets the
  // lowest integer.
  static Solution Snap(const Lanes wanted[kGroups]) {
    Lanes low = All(0), high = All(0);
    for (int g = 0; g < kGroups; ++g) {
      low = Min(low, wanted[g]);
      high = Max(high, wanted[g]);
    }
    const float extreme =
        MaxOf(high) > MaxOf(-low) ? MaxOf(high) : -MaxOf(-low);
    Solution s;
    s.d = Half::NotZero(extreme / static_cast<float>(F::kScaleLow));
    const Lanes inverse = Inverse(All(s.d.value));
    for (int g = 0; g < kGroups; ++g)
      s.scales[g] = Clamp(Round(wanted[g] * inverse), F::kScaleLow, kScaleHigh);
    return s;
  }

  float ErrorOf(const Solution& s) const {
    Lanes error = All(0);
    for (int g = 0; g < kGroups; ++g)
      error += ErrorAt<Levels, F::kN>(sub_[g], s.scales[g] * s.d.value);
    return Sum(error);
  }

  Solution Plain() const {
    Lanes wanted[kGroups];
    for (int g = 0; g < kGroups; ++g)
      wanted[g] = PlainScale<Levels, F::kN>(sub_[g]);
    Solution s = Snap(wanted);
    s.error = ErrorOf(s);
    return s;
  }

  Solution Search() const {
    Lanes wanted[kGroups];
    for (int g = 0; g < kGroups; ++g)
      wanted[g] = SearchScale<Levels, F::kN>(sub_[g], F::kOutermost);
    Solution s = Snap(wanted);
    TryNeighbours(s);
    Solution refitted = s;
    refitted.d = BestD(s);
    refitted.error = ErrorOf(refitted);
    return refitted.error < s.error ? refitted : s;
  }

  // Rounding moved the scales off their optimum, and the error has many local
  // minima: the next integers are worth a look.
  void TryNeighbours(Solution& s) const {
    Lanes total = All(0);
    for (int g = 0; g < kGroups; ++g) {
      const Lanes middle = s.scales[g];
      Lanes best = ErrorAt<Levels, F::kN>(sub_[g], middle * s.d.value);
      for (const float step : {-1.0f, 1.0f}) {
        const Lanes scale = Clamp(middle + step, F::kScaleLow, kScaleHigh);
        const Lanes error = ErrorAt<Levels, F::kN>(sub_[g], scale * s.d.value);
        s.scales[g] = error < best ? scale : s.scales[g];
        best = Min(error, best);
      }
      total += best;
    }
    s.error = Sum(total);
  }

  // The least-squares d for the levels that `s` leads to.
  Half BestD(const Solution& s) const {
    Lanes ll = All(0), xl = All(0);
    for (int g = 0; g < kGroups; ++g) {
      const Lanes scale = s.scales[g];
      const SymmetricSums sums =
          SumsAt<Levels, F::kN>(sub_[g], Inverse(scale * s.d.value));
      ll += sums.ll * (scale * scale);
      xl += sums.xl * scale;
    }
    return Sum(ll) > 0 ? Half::NotZero(Sum(xl) / Sum(ll)) : s.d;
  }

  void Write(const Solution& s, std::byte* out) const {
    int scales[256 / F::kN];
    uint8_t codes[256];
    for (int g = 0; g < kGroups; ++g) {
      const Lanes inverse = Inverse(s.scales[g] * s.d.value);
      for (int k = 0; k < kLanes; ++k)
        scales[g * kLanes + k] = static_cast<int>(s.scales[g][k]);
      StoreCodes<F::kN>(
          [&](int j) { return Levels::Nearest(sub_[g].x[j] * inverse); },
          Levels::Code, codes + g * kGroupValues);
    }
    typename F::Block block;
    F::Pack(s.d.bits, scales, codes, block);
    std::memcpy(out, &block, sizeof(block));
  }

  SubBlocks<F::kN> sub_[kGroups];
};

struct Q3K {
  using Block = BlockQ3_K;
  using Levels = IntegerLevels<-4, 3>;
  static constexpr int kN = 16;
  static constexpr int kScaleLow = -32;
  static constexpr float kOutermost[] = {-3.6f, -4, -4.5f, 3, 3.5f};

  static void Pack(uint16_t d, const int* scales, const uint8_t* codes,
                   Block& to) {
    uint8_t stored[16];
    for (int s = 0; s < 16; ++s)
      stored[s] = static_cast<uint8_t>(scales[s] + Block::kScaleOffset);
    PackPlaneBits(codes, 2, to.qh);
    PackTwoBits(codes, 0, to.q);
    PackQ3KScales(stored, to.scales);
    to.d = d;
  }
};

struct Q6K {
  using Block = BlockQ6_K;
  using Levels = IntegerLevels<-32, 31>;
  static constexpr int kN = 16;
  static constexpr int kScaleLow = -128;
  static constexpr float kOutermost[] = {-32, -31, -30, -29, -28, -27, -26};

  static void Pack(uint16_t d, const int* scales, const uint8_t* codes,
                   Block& to) {
    for (int half = 0; half < 2; ++half)
      PackNibbles(codes + half * 128, 64, to.q + half * 64);
    PackTwoBits(codes, 4, to.qh);
    for (int s = 0; s < 16; ++s) to.scales[s] = static_cast<int8_t>(scales[s]);
    to.d = d;
  }
};

struct IQ4XS {
  using Block = BlockIQ4_XS;
  using Levels = Iq4Levels;
  static constexpr int kN = 32;
  static constexpr int kScaleLow = -32;
  static constexpr float kOutermost[] = {-114, -127, -140, 100, 113, 125};

  static void Pack(uint16_t d, const int* scales, const uint8_t* codes,
                   Block& to) {
    uint8_t stored[8];
    for (int s = 0; s < 8; ++s)
      stored[s] = static_cast<uint8_t>(scales[s] + Block::kScaleOffset);
    PackIQ4XSScales(stored, to.scales_l, to.scales_h);
    for (int s = 0; s < 8; ++s) PackNibbles(codes + s * 32, 16, to.q + s * 16);
    to.d = d;
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

void EncodeQ3_K(const EncodeArgs& args) { EncodeAll<Q3K>(args); }
void EncodeQ6_K(const EncodeArgs& args) { EncodeAll<Q6K>(args); }
void EncodeIQ4_XS(const EncodeArgs& args) { EncodeAll<IQ4XS>(args); }

}  // namespace encode
}  // namespace weft::inline v0
