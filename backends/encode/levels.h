// What the codes of a format stand for before scaling.
#ifndef WEFT_BACKENDS_ENCODE_LEVELS_H_
#define WEFT_BACKENDS_ENCODE_LEVELS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>

#include "backends/encode/lanes.h"
#include "graph/blocks/iq4_codebook.h"
#include "graph/blocks/mxfp4.h"

namespace weft::inline v0 {
namespace encode {

// The integers kLow_ .. kHigh_, stored less kLow_.
template <int kLow_, int kHigh_>
struct IntegerLevels {
  static constexpr int kLow = kLow_;
  static constexpr int kHigh = kHigh_;

  static Lanes Nearest(Lanes v) { return Clamp(Round(v), kLow, kHigh); }
  static uint8_t Code(int level) { return static_cast<uint8_t>(level - kLow); }
};

// The integers kLevels[0] < kLevels[1] < ..., unevenly spaced. A level is
// stored as where it stands in kCodes, the same ones in the format's order.
template <const auto& kLevels, const auto& kCodes>
struct TableLevels {
  static constexpr int kSteps = std::size(kLevels) - 1;
  static constexpr int kLow = kLevels[0];
  static constexpr int kHigh = kLevels[kSteps];

  // One comparison per step from the lowest level: SSE2 has no gathers, and to
  // choose between the bounds of a bisection takes as many operations.
  static Lanes Nearest(Lanes v) {
    Lanes level = All(kLow);
    AddSteps(v, level, std::make_index_sequence<kSteps>());
    return level;
  }
  static uint8_t Code(int level) { return kCodeOf[level - kLow]; }

 private:
  template <size_t... kI>
  static void AddSteps(Lanes v, Lanes& level, std::index_sequence<kI...>) {
    ((level += v > Middle(kI) ? All(Step(kI)) : All(0)), ...);
  }
  static constexpr float Middle(size_t i) {
    return 0.5f * static_cast<float>(kLevels[i] + kLevels[i + 1]);
  }
  static constexpr float Step(size_t i) {
    return static_cast<float>(kLevels[i + 1] - kLevels[i]);
  }
  static constexpr auto kCodeOf = [] {
    std::array<uint8_t, kHigh - kLow + 1> codes = {};
    // From the end, so that the first of equal ones stays.
    for (size_t c = std::size(kCodes); c-- > 0;)
      codes[kCodes[c] - kLow] = static_cast<uint8_t>(c);
    return codes;
  }();
};

using Iq4Levels = TableLevels<kIq4Codebook, kIq4Codebook>;

// Twice the values of fp4.
inline constexpr int8_t kFp4Levels[15] = {-12, -8, -6, -4, -3, -2, -1, 0,
                                          1,   2,  3,  4,  6,  8,  12};
using Fp4Levels = TableLevels<kFp4Levels, BlockMXFP4::kDoubled>;

}  // namespace encode
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_ENCODE_LEVELS_H_
