// The search for a scale without a minimum: value = scale * level.
//
// Candidates put the value that is largest in magnitude on the outermost level
// of either sign, or a little inside or outside of it. Each gives levels, and
// those the scale that is best for them in closed form.
#ifndef WEFT_BACKENDS_ENCODE_SYMMETRIC_H_
#define WEFT_BACKENDS_ENCODE_SYMMETRIC_H_

#include "absl/types/span.h"
#include "backends/encode/lanes.h"

namespace weft::inline v0 {
namespace encode {

// 1 / the value largest in magnitude, with its sign; 0 where nothing is worth a
// code.
template <int N>
inline Lanes InverseExtreme(const SubBlocks<N>& b) {
  Lanes low = All(0), high = All(0);
  for (int j = 0; j < N; ++j) {
    low = Min(low, b.x[j]);
    high = Max(high, b.x[j]);
  }
  const Lanes extreme = high > -low ? high : low;
  return Max(high, -low) > kTiny ? 1.0f / extreme : All(0);
}

// What rounding to nearest takes: the extreme on the lowest level.
template <class Levels, int N>
inline Lanes PlainScale(const SubBlocks<N>& b) {
  return Inverse(InverseExtreme<N>(b) * static_cast<float>(Levels::kLow));
}

// Least squares of w * (x - scale * level)^2 over scale, for given levels: by
// sums of w * level^2 and w * x * level.
struct SymmetricSums {
  Lanes ll = All(0), xl = All(0);

  Lanes scale() const { return ll > 0.0f ? xl / ll : All(0); }
};

template <class Levels, int N>
inline SymmetricSums SumsAt(const SubBlocks<N>& b, Lanes inverse) {
  SymmetricSums s;
  for (int j = 0; j < N; ++j) {
    const Lanes level = Levels::Nearest(b.x[j] * inverse);
    const Lanes weighted = b.w[j] * level;
    s.ll += weighted * level;
    s.xl += weighted * b.x[j];
  }
  return s;
}

// The weighted squared error of the best levels at that scale.
template <class Levels, int N>
inline Lanes ErrorAt(const SubBlocks<N>& b, Lanes scale) {
  const Lanes inverse = Inverse(scale);
  Lanes error = All(0);
  for (int j = 0; j < N; ++j) {
    const Lanes rest = b.x[j] - scale * Levels::Nearest(b.x[j] * inverse);
    error += b.w[j] * (rest * rest);
  }
  return error;
}

// Tries each of `outermost` as the level of the value that is largest in
// magnitude.
template <class Levels, int N>
inline Lanes SearchScale(const SubBlocks<N>& b,
                         absl::Span<const float> outermost) {
  const Lanes unit = InverseExtreme<N>(b);
  Lanes best = All(0), best_gain = All(0);
  const auto improve = [&](Lanes inverse) {
    const SymmetricSums s = SumsAt<Levels, N>(b, inverse);
    // By so much the error is below that of all zeros.
    const Lanes gain = s.xl * s.scale();
    best = gain > best_gain ? s.scale() : best;
    best_gain = Max(gain, best_gain);
  };
  for (const float level : outermost) improve(unit * level);
  improve(Inverse(best));
  return best;
}

}  // namespace encode
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_ENCODE_SYMMETRIC_H_
