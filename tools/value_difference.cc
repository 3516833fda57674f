#include "tools/value_difference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "absl/strings/str_format.h"

namespace weft::inline v0 {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Floats in order as integers: neighbours differ by one.
int64_t Ordinal(float x) {
  const auto bits = std::bit_cast<int32_t>(x);
  return bits >= 0 ? bits : int64_t{INT32_MIN} - bits;
}

bool Same(float a, float b) { return a == b || (a != a && b != b); }

double Largest(const std::vector<float>& values) {
  double most = 0;
  for (const float x : values)
    if (std::isfinite(x)) most = std::max(most, std::fabs(double{x}));
  return most;
}

}  // namespace

Difference Compare(const HostTensor& got, const HostTensor& want,
                   double scale) {
  Difference out;
  const std::vector<float> a = got.ToFloats(), b = want.ToFloats();
  if (got.dtype != want.dtype || got.dims != want.dims ||
      a.size() != b.size()) {
    out.nmse = out.error = kInfinity;
    return out;
  }
  scale = std::max({1.0, Largest(b), scale});
  double wrong = 0, power = 0, worst = -1;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isfinite(b[i])) power += double{b[i]} * b[i];
    if (Same(a[i], b[i])) continue;
    double error = std::fabs(double{a[i]} - b[i]);
    if (!std::isfinite(error)) error = kInfinity;
    wrong += error * error;
    if (error <= worst) continue;
    worst = error;
    out.at = static_cast<int64_t>(i);
    out.got = a[i];
    out.want = b[i];
    out.ulps = std::abs(Ordinal(a[i]) - Ordinal(b[i]));
  }
  if (worst < 0) return out;
  out.error = worst / scale;
  out.nmse = power > 0 ? wrong / power : kInfinity;
  return out;
}

std::string ToString(const Difference& d) {
  return absl::StrFormat(
      "NMSE %.2g, largest error %.2g (%d ulp: %.6g instead of %.6g at %d)",
      d.nmse, d.error, d.ulps, d.got, d.want, d.at);
}

double LargestMagnitude(const HostTensor& tensor) {
  return Largest(tensor.ToFloats());
}

}  // namespace weft::inline v0
