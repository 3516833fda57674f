// The search for a scale and a minimum: value = low + scale * code, with codes
// 0 .. kTop.
//
// Candidates put the largest value of the sub-block on the highest code, or a
// little inside or outside of it, and the smallest on code 0. Each gives codes,
// and those the scale and minimum that are best for them in closed form; the
// best pair then gives codes once more.
#ifndef WEFT_BACKENDS_ENCODE_AFFINE_H_
#define WEFT_BACKENDS_ENCODE_AFFINE_H_

#include "absl/types/span.h"
#include "backends/encode/lanes.h"

namespace weft::inline v0 {
namespace encode {

struct AffineFit {
  Lanes scale, low;
  Lanes error;
};

// Whether the minimum may be above zero. In the K formats it may not.
enum class Low { kAnySign, kNotPositive };

template <int kN, int kTop, Low kLow>
class AffineSearch {
 public:
  explicit AffineSearch(const SubBlocks<kN>& b) : b_(b) {
    Lanes x_sum = All(0);
    low_ = high_ = b.x[0];
    for (int j = 0; j < kN; ++j) {
      low_ = Min(low_, b.x[j]);
      high_ = Max(high_, b.x[j]);
      w_sum_ += b.w[j];
      x_sum += b.w[j] * b.x[j];
    }
    if (kLow == Low::kNotPositive) low_ = Min(low_, All(0));
    // Moments about the mean: differences of large sums would drown the error
    // of values that lie close together far from zero.
    mean_ = x_sum / w_sum_;
    for (int j = 0; j < kN; ++j) {
      y_[j] = b.x[j] - mean_;
      wy_[j] = b.w[j] * y_[j];
      yy_ += wy_[j] * y_[j];
    }
  }

  // What rounding to nearest takes.
  AffineFit Plain() const {
    return {(high_ - low_) / static_cast<float>(kTop), low_, All(0)};
  }

  // Tries each of `highest` as the code of the largest value.
  AffineFit Best(absl::Span<const float> highest) const {
    const Lanes range = high_ - low_;
    const Lanes unit = range > kTiny ? 1.0f / range : All(0);
    AffineFit best = Flat();
    for (const float code : highest) Improve(best, FitAt(unit * code, low_));
    Improve(best, FitAt(Inverse(best.scale), best.low));
    return best;
  }

 private:
  // All codes zero.
  AffineFit Flat() const {
    const Lanes low = kLow == Low::kAnySign ? mean_ : Min(mean_, All(0));
    const Lanes off = mean_ - low;
    return {All(0), low, yy_ + off * off * w_sum_};
  }

  // Least squares over scale and low for the codes that 1 / scale and low lead
  // to.
  AffineFit FitAt(Lanes inverse, Lanes low) const {
    const Lanes offset = (mean_ - low) * inverse;
    Lanes c = All(0), cc = All(0), yc = All(0);
    for (int j = 0; j < kN; ++j) {
      const Lanes code = Clamp(Round(y_[j] * inverse + offset), 0, kTop);
      const Lanes weighted = b_.w[j] * code;
      c += weighted;
      cc += weighted * code;
      yc += wy_[j] * code;
    }
    const Lanes spread = cc - c * (c / w_sum_);
    // All codes equal: rounding leaves next to nothing of the difference.
    const Lanes scale = spread > 1e-6f * cc ? yc / spread : All(0);
    const AffineFit fit = {scale, mean_ - scale * (c / w_sum_),
                           yy_ - scale * yc};
    if (kLow == Low::kAnySign) return fit;
    // The best line through zero, where the best one has a minimum above it.
    const Lanes xc = yc + mean_ * c;
    const Lanes through = cc > 0.0f ? xc / cc : All(0);
    const Lanes rest = (yy_ + mean_ * mean_ * w_sum_) - through * xc;
    const LaneMask above = fit.low > 0.0f;
    return {above ? through : fit.scale, above ? All(0) : fit.low,
            above ? rest : fit.error};
  }

  static void Improve(AffineFit& best, const AffineFit& fit) {
    const LaneMask better = (fit.error < best.error) & (fit.scale >= 0.0f);
    best = {better ? fit.scale : best.scale, better ? fit.low : best.low,
            better ? fit.error : best.error};
  }

  const SubBlocks<kN>& b_;
  Lanes low_, high_, mean_;
  Lanes w_sum_ = All(0), yy_ = All(0);
  Lanes y_[kN], wy_[kN];
};

// The weighted squared error of the best codes for a scale and a minimum, and
// what least squares over both for these codes needs: sums of w * code,
// w * code^2, w * rest and w * rest * code, rest = x - value.
struct AffineSums {
  Lanes error = All(0);
  Lanes c = All(0), cc = All(0), r = All(0), rc = All(0);
};

template <int kN, int kTop>
inline AffineSums AffineSumsAt(const SubBlocks<kN>& b, Lanes scale, Lanes min) {
  const Lanes inverse = Inverse(scale);
  AffineSums s;
  for (int j = 0; j < kN; ++j) {
    const Lanes above = b.x[j] + min;
    const Lanes code = Clamp(Round(above * inverse), 0, kTop);
    const Lanes rest = above - scale * code;
    const Lanes weighted = b.w[j] * rest;
    s.error += weighted * rest;
    s.c += b.w[j] * code;
    s.cc += b.w[j] * (code * code);
    s.r += weighted;
    s.rc += weighted * code;
  }
  return s;
}

template <int kN, int kTop>
inline Lanes AffineErrorAt(const SubBlocks<kN>& b, Lanes scale, Lanes min) {
  return AffineSumsAt<kN, kTop>(b, scale, min).error;
}

}  // namespace encode
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_ENCODE_AFFINE_H_
