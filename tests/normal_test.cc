// The random numbers of synthetic weights.
#include "tools/normal.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace weft::inline v0 {
namespace {

TEST(Normal, HasTheMomentsOfANormalDistribution) {
  constexpr int kCount = 1 << 20;
  const uint64_t key = StreamKey(7, "moments");
  double sum[5] = {};
  int beyond_one = 0, beyond_four = 0;
  for (int i = 0; i < kCount; ++i) {
    const double x = Normal(key, static_cast<uint64_t>(i));
    for (int k = 1; k <= 4; ++k) sum[k] += std::pow(x, k) / kCount;
    beyond_one += std::abs(x) > 1;
    beyond_four += std::abs(x) > 4;
  }
  // 5 standard errors of each mean: the variances of x, x^2, x^3 and x^4 are
  // 1, 2, 15 and 96.
  const double step = 5 / std::sqrt(double{kCount});
  EXPECT_NEAR(sum[1], 0, step);
  EXPECT_NEAR(sum[2], 1, step * std::sqrt(2));
  EXPECT_NEAR(sum[3], 0, step * std::sqrt(15));
  EXPECT_NEAR(sum[4], 3, step * std::sqrt(96));
  EXPECT_NEAR(beyond_one / double{kCount}, std::erfc(1 / std::sqrt(2)), step);
  // 66 are expected, with a deviation of 8.
  EXPECT_GT(beyond_four, 26);
  EXPECT_LT(beyond_four, 106);
}

// Each number is the quantile of its own random bits.
TEST(Normal, InvertsTheDistributionFunction) {
  const uint64_t key = StreamKey(1, "quantiles");
  for (uint64_t i = 0; i < 100000; ++i) {
    const double p =
        (static_cast<double>(RandomBits(key, i) >> 11) + 0.5) * 0x1p-53;
    const double x = Normal(key, i);
    const double of_tail = std::erfc(std::abs(x) / std::sqrt(2)) / 2;
    // The algorithm's relative error is 1e-7, f32's rounding 6e-8; a tail's
    // share changes by a factor of about exp(x^2 * that).
    EXPECT_NEAR(of_tail / std::min(p, 1 - p), 1, 2e-7 * (1 + x * x) * 3) << x;
    EXPECT_EQ(x < 0, p < 0.5);
  }
}

TEST(Normal, StreamsDiffer) {
  EXPECT_NE(StreamKey(1, "a"), StreamKey(2, "a"));
  EXPECT_NE(StreamKey(1, "a"), StreamKey(1, "b"));
  EXPECT_NE(StreamKey(1, "ab"), StreamKey(1, "ba"));
  const uint64_t a = StreamKey(1, "a"), b = StreamKey(1, "b");
  double product = 0;
  for (uint64_t i = 0; i < 10000; ++i) product += Normal(a, i) * Normal(b, i);
  EXPECT_NEAR(product / 10000, 0, 0.05);  // 5 standard errors
}

TEST(Normal, IsTheSameEverywhere) {
  // Files made with one seed must be the same on every machine and for ever.
  EXPECT_EQ(StreamKey(42, "blk.0.attn_q.weight"), 542031341148615724u);
  std::vector<float> row(4), part(2);
  FillNormal({.key = 5, .first = 0, .mean = 1, .scale = 0.5f},
             absl::MakeSpan(row));
  FillNormal({.key = 5, .first = 2, .mean = 1, .scale = 0.5f},
             absl::MakeSpan(part));
  EXPECT_EQ(part[0], row[2]);
  EXPECT_EQ(part[1], row[3]);
  EXPECT_EQ(row, (std::vector<float>{0x1.b655d8p-1f, 0x1.574428p+0f,
                                     0x1.4521bcp-1f, 0x1.6de9ecp-2f}));
}

}  // namespace
}  // namespace weft::inline v0
