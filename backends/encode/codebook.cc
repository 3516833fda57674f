// 4-bit codes of unevenly spaced levels, in blocks of 32: iq4_nl, mxfp4.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "backends/encode/block32.h"
#include "backends/encode/encoders.h"
#include "backends/encode/levels.h"
#include "graph/blocks/iq4_nl.h"
#include "graph/blocks/mxfp4.h"
#include "graph/blocks/pack.h"

namespace weft::inline v0 {
namespace encode {
namespace {

// ---- mxfp4 ----

// Four blocks whose largest values are scaled by powers of two to lie in
// [1, 2): errors can then be compared in f32 whatever the blocks' magnitude.
struct Normalised {
  explicit Normalised(const SubBlocks<32>& from) : sub(from) {
    Lanes top = All(0);
    for (const Lanes x : sub.x) top = Max(top, Max(x, -x));
    for (int k = 0; k < kLanes; ++k) {
      exponent[k] = top[k] > 0 ? std::ilogb(top[k]) : kLowest;
      // The factor may be beyond f32, but not the products.
      const double factor = std::ldexp(1.0, -exponent[k]);
      for (Lanes& x : sub.x) x[k] = static_cast<float>(x[k] * factor);
    }
  }

  static constexpr int kLowest = -149;
  SubBlocks<32> sub;
  int exponent[kLanes];
};

// The stored scale: half of it is what levels are multiplied by.
struct Exponents {
  // Of units 2^power next to values in [1, 2).
  Exponents(const Normalised& n, int power) {
    for (int k = 0; k < kLanes; ++k) {
      stored[k] = std::clamp(n.exponent[k] + power + 128, 0, kHighest);
      unit[k] =
          static_cast<float>(std::ldexp(1.0, stored[k] - 128 - n.exponent[k]));
    }
  }

  // 6 * 2^125 is finite, the next one is not.
  static constexpr int kHighest = 252;
  int stored[kLanes];
  Lanes unit;
};

void EncodeFour(const SubBlocks<32>& sub, BlockMXFP4* blocks) {
  const Normalised n(sub);
  // With units of 1/4 levels reach to 3, with 1/8 to 1.5, where the format's
  // definition cuts the largest values off; 1/16 cuts off more, which pays when
  // all others are small.
  Exponents best(n, -3);
  Lanes error = ErrorAt<Fp4Levels, 32>(n.sub, best.unit);
  for (const int power : {-2, -4}) {
    const Exponents other(n, power);
    const Lanes other_error = ErrorAt<Fp4Levels, 32>(n.sub, other.unit);
    for (int k = 0; k < kLanes; ++k)
      if (other_error[k] < error[k]) {
        best.stored[k] = other.stored[k];
        best.unit[k] = other.unit[k];
      }
    error = Min(error, other_error);
  }
  uint8_t codes[kLanes * 32];
  const Lanes inverse = Inverse(best.unit);
  StoreCodes<32>(
      [&](int j) { return Fp4Levels::Nearest(n.sub.x[j] * inverse); },
      Fp4Levels::Code, codes);
  for (int k = 0; k < kLanes; ++k) {
    blocks[k].e = static_cast<uint8_t>(best.stored[k]);
    PackNibbles(codes + 32 * k, 16, blocks[k].q);
  }
}

}  // namespace

void EncodeIQ4_NL(const EncodeArgs& args) {
  static constexpr float kOutermost[] = {-110, -119, -127, -135, -142,
                                         98,   106,  113,  121};
  EncodeScaled<BlockIQ4_NL, Iq4Levels>(
      args, kOutermost, [](uint16_t d, const uint8_t* codes, BlockIQ4_NL& to) {
        to.d = d;
        PackNibbles(codes, 16, to.q);
      });
}

void EncodeMXFP4(const EncodeArgs& args) {
  ForEachFour<BlockMXFP4>(args, EncodeFour);
}

}  // namespace encode
}  // namespace weft::inline v0
