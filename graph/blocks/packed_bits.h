// How ggml's block formats lay out values of less than a byte: mostly not next
// to each other, but so that one shift and mask of whole vectors splits them.
#ifndef WEFT_GRAPH_BLOCKS_PACKED_BITS_H_
#define WEFT_GRAPH_BLOCKS_PACKED_BITS_H_

#include <cstdint>

namespace weft::inline v0 {

// Value i of 2n, 4 bits each in n bytes: low nibbles are values 0 .. n - 1,
// high ones n .. 2n - 1.
constexpr int Nibble(const uint8_t* q, int n, int i) {
  return i < n ? q[i] & 15 : q[i - n] >> 4;
}

// Value i of 256, 2 bits each in 64 bytes: every 32 bytes hold 128 values, the
// first 32 of them in bits 0..1, the next 32 in bits 2..3, and so on.
constexpr int TwoBits(const uint8_t* q, int i) {
  return q[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

// Value i of 256, 1 bit each in 32 bytes: bit i / 32 of byte i % 32.
constexpr int PlaneBit(const uint8_t* h, int i) {
  return h[i % 32] >> (i / 32) & 1;
}

// Value i, 1 bit each in order.
constexpr int OrderedBit(const uint8_t* h, int i) {
  return h[i / 8] >> (i % 8) & 1;
}

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_PACKED_BITS_H_
