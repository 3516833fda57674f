// Writers of bit layouts against their readers, on random codes.
#include <cstdint>
#include <random>
#include <vector>

#include "graph/blocks/iq4_xs.h"
#include "graph/blocks/k_scales.h"
#include "graph/blocks/pack.h"
#include "graph/blocks/packed_bits.h"
#include "graph/blocks/q3_k.h"
#include "gtest/gtest.h"

namespace weft::inline v0 {
namespace {

std::vector<uint8_t> Codes(int n, int bits) {
  std::mt19937 random(static_cast<unsigned>(n * 8 + bits));
  std::vector<uint8_t> codes;
  for (int i = 0; i < n; ++i)
    codes.push_back(static_cast<uint8_t>(random() >> (32 - bits)));
  return codes;
}

// What was there before must not shine through.
constexpr uint8_t kOld = 0xA5;

TEST(Pack, Nibbles) {
  const auto codes = Codes(64, 8);  // the upper bits go elsewhere
  std::vector<uint8_t> q(32, kOld);
  PackNibbles(codes.data(), 32, q.data());
  for (int i = 0; i < 64; ++i)
    EXPECT_EQ(Nibble(q.data(), 32, i), codes[static_cast<size_t>(i)] & 15);
}

TEST(Pack, TwoBits) {
  const auto codes = Codes(256, 8);
  for (const int shift : {0, 4}) {
    std::vector<uint8_t> q(64, kOld);
    PackTwoBits(codes.data(), shift, q.data());
    for (int i = 0; i < 256; ++i)
      EXPECT_EQ(TwoBits(q.data(), i),
                codes[static_cast<size_t>(i)] >> shift & 3);
  }
}

TEST(Pack, SingleBits) {
  const auto codes = Codes(256, 8);
  std::vector<uint8_t> plane(32, kOld), ordered(4, kOld);
  PackPlaneBits(codes.data(), 4, plane.data());
  PackOrderedBits(codes.data(), 32, 4, ordered.data());
  for (int i = 0; i < 256; ++i) {
    const int bit = codes[static_cast<size_t>(i)] >> 4 & 1;
    EXPECT_EQ(PlaneBit(plane.data(), i), bit);
    if (i < 32) {
      EXPECT_EQ(OrderedBit(ordered.data(), i), bit);
    }
  }
}

TEST(Pack, Scales) {
  const auto scales = Codes(16, 6), mins = Codes(8, 6);
  std::vector<uint8_t> k(12, kOld);
  PackKScales(scales.data(), mins.data(), k.data());
  BlockQ3_K q3 = {};
  PackQ3KScales(scales.data(), q3.scales);
  BlockIQ4_XS iq4 = {};
  PackIQ4XSScales(scales.data(), iq4.scales_l, iq4.scales_h);
  for (int s = 0; s < 16; ++s) {
    const auto at = static_cast<size_t>(s);
    EXPECT_EQ(q3.Scale(s), scales[at]);
    if (s < 8) {
      EXPECT_EQ(KScale(k.data(), s), scales[at]);
      EXPECT_EQ(KMin(k.data(), s), mins[at]);
      EXPECT_EQ(iq4.Scale(s), scales[at]);
    }
  }
}

}  // namespace
}  // namespace weft::inline v0
