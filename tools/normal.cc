#include "tools/normal.h"

#include <cmath>

namespace weft::inline v0 {
namespace {

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
constexpr uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}
constexpr uint64_t kGoldenRatio = 0x9E3779B97F4A7C15u;

// The inverse of the normal distribution function for 0 < p < 1, to 7 digits:
// algorithm AS 241 (PPND7) of M. J. Wichura, Applied Statistics 37 (1988).
double InverseNormal(double p) {
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q *
           (((59.109374720 * r + 159.29113202) * r + 50.434271938) * r +
            3.3871327179) /
           (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1);
  }
  double r = std::sqrt(-std::log(q < 0 ? p : 1 - p));
  double x;
  if (r <= 5) {
    r -= 1.6;
    x = (((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r +
         1.4234372777) /
        ((0.12021132975 * r + 0.73700164250) * r + 1);
  } else {
    r -= 5;
    x = (((0.017337203997 * r + 0.42868294337) * r + 3.0812263860) * r +
         6.6579051150) /
        ((0.012258202635 * r + 0.24197894225) * r + 1);
  }
  return q < 0 ? -x : x;
}

}  // namespace

uint64_t StreamKey(uint64_t seed, absl::string_view name) {
  uint64_t key = Mix(seed + kGoldenRatio);
  for (const char c : name)
    key = Mix(key ^ static_cast<unsigned char>(c)) + kGoldenRatio;
  return key;
}

uint64_t RandomBits(uint64_t key, uint64_t index) {
  return Mix(key + (index + 1) * kGoldenRatio);
}

float Normal(uint64_t key, uint64_t index) {
  // The middles of 2^53 equal parts of (0, 1): never 0 or 1.
  const double p =
      (static_cast<double>(RandomBits(key, index) >> 11) + 0.5) * 0x1p-53;
  return static_cast<float>(InverseNormal(p));
}

void FillNormal(const NormalRow& row, absl::Span<float> out) {
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = row.mean + row.scale * Normal(row.key, row.first + i);
}

}  // namespace weft::inline v0
