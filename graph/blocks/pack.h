// What writes the layouts that packed_bits.h, k_scales.h and the structs read:
// the inverse of each reader, of a whole field at once.
#ifndef WEFT_GRAPH_BLOCKS_PACK_H_
#define WEFT_GRAPH_BLOCKS_PACK_H_

#include <cstdint>

namespace weft::inline v0 {

// Nibble(q, n, i) == codes[i] & 15 for i < 2n.
constexpr void PackNibbles(const uint8_t* codes, int n, uint8_t* q) {
  for (int j = 0; j < n; ++j)
    q[j] = static_cast<uint8_t>((codes[j] & 15) | codes[n + j] << 4);
}

// TwoBits(q, i) == codes[i] >> shift & 3 for i < 256.
constexpr void PackTwoBits(const uint8_t* codes, int shift, uint8_t* q) {
  for (int half = 0; half < 2; ++half, codes += 128, q += 32)
    for (int j = 0; j < 32; ++j)
      q[j] = static_cast<uint8_t>((codes[j] >> shift & 3) |
                                  (codes[j + 32] >> shift & 3) << 2 |
                                  (codes[j + 64] >> shift & 3) << 4 |
                                  (codes[j + 96] >> shift & 3) << 6);
}

// PlaneBit(h, i) == codes[i] >> shift & 1 for i < 256.
constexpr void PackPlaneBits(const uint8_t* codes, int shift, uint8_t* h) {
  for (int j = 0; j < 32; ++j) h[j] = 0;
  for (int i = 0; i < 256; ++i)
    h[i % 32] =
        static_cast<uint8_t>(h[i % 32] | (codes[i] >> shift & 1) << (i / 32));
}

// OrderedBit(h, i) == codes[i] >> shift & 1 for i < n, a multiple of 8.
constexpr void PackOrderedBits(const uint8_t* codes, int n, int shift,
                               uint8_t* h) {
  for (int j = 0; j < n / 8; ++j) h[j] = 0;
  for (int i = 0; i < n; ++i)
    h[i / 8] =
        static_cast<uint8_t>(h[i / 8] | (codes[i] >> shift & 1) << (i % 8));
}

// KScale(s, j) == scales[j] and KMin(s, j) == mins[j], all of 6 bits.
constexpr void PackKScales(const uint8_t* scales, const uint8_t* mins,
                           uint8_t* s) {
  for (int j = 0; j < 4; ++j) {
    s[j] = static_cast<uint8_t>(scales[j] | scales[j + 4] >> 4 << 6);
    s[j + 4] = static_cast<uint8_t>(mins[j] | mins[j + 4] >> 4 << 6);
    s[j + 8] = static_cast<uint8_t>((scales[j + 4] & 15) | mins[j + 4] << 4);
  }
}

// BlockQ3_K::Scale(s) == scales[s], of 6 bits.
constexpr void PackQ3KScales(const uint8_t* scales, uint8_t* packed) {
  PackNibbles(scales, 8, packed);
  for (int j = 0; j < 4; ++j)
    packed[8 + j] = static_cast<uint8_t>(
        scales[j] >> 4 | scales[j + 4] >> 4 << 2 | scales[j + 8] >> 4 << 4 |
        scales[j + 12] >> 4 << 6);
}

// BlockIQ4_XS::Scale(s) == scales[s], of 6 bits.
constexpr void PackIQ4XSScales(const uint8_t* scales, uint8_t* low,
                               uint16_t& high) {
  high = 0;
  for (int s = 0; s < 8; ++s)
    high = static_cast<uint16_t>(high | scales[s] >> 4 << 2 * s);
  for (int j = 0; j < 4; ++j)
    low[j] =
        static_cast<uint8_t>((scales[2 * j] & 15) | scales[2 * j + 1] << 4);
}

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_PACK_H_
