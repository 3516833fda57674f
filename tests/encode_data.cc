#include "tests/encode_data.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/blocks/iq4_codebook.h"
#include "graph/half.h"
#include "tests/golden.h"

namespace weft::inline v0 {
namespace {

using Random = std::mt19937_64;

// Of standard deviation 0.02: a sum of twelve uniform ones, which is exact.
float Normal(Random& random) {
  int64_t sum = 0;
  for (int i = 0; i < 12; ++i) sum += static_cast<int64_t>(random() >> 48);
  return static_cast<float>(2 * sum - 12 * 65535) * (0.02f / 131072);
}

// Normal over the largest of three uniform ones: P(|x| > t) falls like t^-3.
float HeavyTailed(Random& random) {
  const float normal = Normal(random);
  uint64_t top = 1;
  for (int i = 0; i < 3; ++i) top = std::max(top, random() >> 44);
  return normal * (1048576.0f / static_cast<float>(top));
}

float ValueOf(RowKind kind, int64_t i, Random& random) {
  const float normal = Normal(random);
  switch (kind) {
    case RowKind::kNormal:
      return normal;
    case RowKind::kHeavyTailed:
      return HeavyTailed(random);
    case RowKind::kPositive:
      return std::fabs(normal);
    case RowKind::kOffset:
      return 1 + 5 * normal;
    case RowKind::kMixed:
      return normal * static_cast<float>(1 << (i / 32 * 7919 % 6));
    case RowKind::kOutlier:
      return i % 256 == 77 ? 1000 : normal;
    case RowKind::kSparse:
      return i % 64 == 13 ? normal : 0;
    case RowKind::kConstant:
      return 0.75f;
    case RowKind::kNegative:
      return -0.75f;
    case RowKind::kZero:
      return 0;
    case RowKind::kTiny:
      return normal * 0x1p-16f;
    case RowKind::kDenormal:
      return normal * 0x1p-127f;
    case RowKind::kLarge:
      return normal * 0x1p18f;
  }
  return 0;
}

float Half(float v) { return F16ToF32(F32ToF16(v)); }
float OverOrZero(float a, float b) { return b == 0 ? 0 : a / b; }

// The value of the largest magnitude.
float Extreme(absl::Span<const float> v) {
  return *std::max_element(v.begin(), v.end(), [](float a, float b) {
    return std::fabs(a) < std::fabs(b);
  });
}

// Levels of a format in ascending order; the nearest one.
float Nearest(absl::Span<const float> levels, float v) {
  return *std::min_element(levels.begin(), levels.end(), [=](float a, float b) {
    return std::fabs(a - v) < std::fabs(b - v);
  });
}

std::vector<float> Integers(int low, int high) {
  std::vector<float> levels;
  for (int i = low; i <= high; ++i) levels.push_back(static_cast<float>(i));
  return levels;
}

using Floats = std::vector<float>;

// value = d * level, blocks of 32.
Floats RoundScaled(absl::Span<const float> x, const Floats& levels) {
  Floats out;
  for (size_t b = 0; b < x.size(); b += 32) {
    const float d = Half(Extreme(x.subspan(b, 32)) / levels.front());
    for (const float v : x.subspan(b, 32))
      out.push_back(d * Nearest(levels, OverOrZero(v, d)));
  }
  return out;
}

// value = d * code + m, blocks of 32.
Floats RoundMoved(absl::Span<const float> x, int top) {
  const Floats codes = Integers(0, top);
  Floats out;
  for (size_t b = 0; b < x.size(); b += 32) {
    const auto block = x.subspan(b, 32);
    const auto [low, high] = std::minmax_element(block.begin(), block.end());
    const float d = Half((*high - *low) / static_cast<float>(top));
    const float m = Half(*low);
    for (const float v : block)
      out.push_back(d * Nearest(codes, OverOrZero(v - m, d)) + m);
  }
  return out;
}

// value = d * scale * level, blocks of 256, sub-blocks of n.
Floats RoundSymmetric(absl::Span<const float> x, size_t n, const Floats& levels,
                      int scale_low) {
  const Floats integers = Integers(scale_low, -scale_low - 1);
  Floats out;
  for (size_t b = 0; b < x.size(); b += 256) {
    Floats scales;
    for (size_t s = 0; s < 256; s += n)
      scales.push_back(Extreme(x.subspan(b + s, n)) / levels.front());
    const float d = Half(Extreme(scales) / static_cast<float>(scale_low));
    for (size_t i = 0; i < 256; ++i) {
      const float scale = d * Nearest(integers, OverOrZero(scales[i / n], d));
      out.push_back(scale * Nearest(levels, OverOrZero(x[b + i], scale)));
    }
  }
  return out;
}

// value = d * scale * code - dmin * min, blocks of 256, sub-blocks of n.
Floats RoundAffine(absl::Span<const float> x, size_t n, int top,
                   int scale_top) {
  const Floats codes = Integers(0, top), integers = Integers(0, scale_top);
  Floats out;
  for (size_t b = 0; b < x.size(); b += 256) {
    Floats scales, mins;
    for (size_t s = 0; s < 256; s += n) {
      const auto sub = x.subspan(b + s, n);
      mins.push_back(
          -std::min(0.0f, *std::min_element(sub.begin(), sub.end())));
      scales.push_back(
          (*std::max_element(sub.begin(), sub.end()) + mins.back()) /
          static_cast<float>(top));
    }
    const float d = Half(Extreme(scales) / static_cast<float>(scale_top));
    const float dmin = Half(Extreme(mins) / static_cast<float>(scale_top));
    for (size_t i = 0; i < 256; ++i) {
      const float scale = d * Nearest(integers, OverOrZero(scales[i / n], d));
      const float min = dmin * Nearest(integers, OverOrZero(mins[i / n], dmin));
      out.push_back(scale * Nearest(codes, OverOrZero(x[b + i] + min, scale)) -
                    min);
    }
  }
  return out;
}

// The scale of the definition: the largest value's power of two, less 2.
Floats RoundMxfp4(absl::Span<const float> x) {
  const Floats levels = {-6, -4, -3,  -2, -1.5, -1, -0.5, 0,
                         .5, 1,  1.5, 2,  3,    4,  6};
  Floats out;
  for (size_t b = 0; b < x.size(); b += 32) {
    const float top = std::fabs(Extreme(x.subspan(b, 32)));
    // In double: the inverse of the smallest scale is beyond f32.
    const double scale =
        top == 0 ? 1 : std::ldexp(1.0, std::max(-127, std::ilogb(top) - 2));
    for (const float v : x.subspan(b, 32))
      out.push_back(static_cast<float>(
          scale * Nearest(levels, static_cast<float>(v / scale))));
  }
  return out;
}

}  // namespace

std::string NameOf(RowKind kind) {
  constexpr const char* kNames[] = {
      "normal",  "heavy_tailed", "positive", "offset",   "mixed",
      "outlier", "sparse",       "constant", "negative", "zero",
      "tiny",    "denormal",     "large"};
  return kNames[static_cast<int>(kind)];
}

std::vector<float> RowsOf(RowKind kind, int64_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(ValueOf(kind, i, random));
  return values;
}

std::vector<float> Decoded(DType type, absl::Span<const std::byte> blocks) {
  const DTypeInfo& info = Info(type);
  const auto n = static_cast<int64_t>(blocks.size()) / info.block_bytes;
  std::vector<float> values(static_cast<size_t>(n * info.block_values));
  info.decode(blocks.data(), n, values.data());
  return values;
}

std::vector<float> RoundedToNearest(DType type, absl::Span<const float> x) {
  const Floats iq4(std::begin(kIq4Codebook), std::end(kIq4Codebook));
  switch (type) {
    case DType::kQ4_0:
      return RoundScaled(x, Integers(-8, 7));
    case DType::kQ4_1:
      return RoundMoved(x, 15);
    case DType::kQ5_0:
      return RoundScaled(x, Integers(-16, 15));
    case DType::kQ5_1:
      return RoundMoved(x, 31);
    case DType::kQ2_K:
      return RoundAffine(x, 16, 3, 15);
    case DType::kQ3_K:
      return RoundSymmetric(x, 16, Integers(-4, 3), -32);
    case DType::kQ4_K:
      return RoundAffine(x, 32, 15, 63);
    case DType::kQ5_K:
      return RoundAffine(x, 32, 31, 63);
    case DType::kQ6_K:
      return RoundSymmetric(x, 16, Integers(-32, 31), -128);
    case DType::kIQ4_NL:
      return RoundScaled(x, iq4);
    case DType::kIQ4_XS:
      return RoundSymmetric(x, 32, iq4, -32);
    case DType::kMXFP4:
      return RoundMxfp4(x);
    default:
      return {};
  }
}

double SquaredError(absl::Span<const float> a, absl::Span<const float> b,
                    absl::Span<const float> weights) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    const double w = weights.empty() ? 1 : weights[i % weights.size()];
    sum += w * difference * difference;
  }
  return sum;
}

std::string GoldenBlocksPath(absl::string_view type, absl::string_view suffix) {
  // The files have the K of k-quants in upper case.
  std::string name(type);
  if (absl::EndsWith(name, "_k")) name.back() = 'K';
  return SharedPath(absl::StrCat("golden/blocks/", name, suffix));
}

}  // namespace weft::inline v0
