#ifndef WEFT_GRAPH_BLOCKS_IQ4_XS_H_
#define WEFT_GRAPH_BLOCKS_IQ4_XS_H_

#include <cstdint>

#include "graph/blocks/iq4_codebook.h"
#include "graph/blocks/packed_bits.h"
#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// iq4_xs: 256 weights in 136 bytes (4.25 bits each), in 8 sub-blocks of 32;
// value = d * (scale - 32) * codebook[nibble]. ggml's block_iq4_xs.
//   d         f16 scale of the scales                          bytes 0..1
//   scales_h  bits 4..5 of scale s: bits 2s .. 2s + 1          bytes 2..3
//   scales_l  bits 0..3, two sub-blocks to a byte, low first   bytes 4..7
//   q         16 bytes hold a sub-block: its first 16 weights  bytes 8..135
//             in low nibbles, the others in high ones
struct BlockIQ4_XS {
  static constexpr DType kType = DType::kIQ4_XS;
  static constexpr char kName[] = "iq4_xs";
  static constexpr char kLayout[] =
      "d f16, 8 scales of 6 bits, 256 x 4 bits; d * (scale - 32) * codebook[q]";
  static constexpr int kCount = 256;
  static constexpr int kScaleOffset = 32;  // scales are stored plus 32

  uint16_t d;
  uint16_t scales_h;
  uint8_t scales_l[4];
  uint8_t q[128];

  // Of sub-block s.
  int Scale(int s) const {
    return (scales_l[s / 2] >> (s % 2 * 4) & 15) | (scales_h >> 2 * s & 3) << 4;
  }

  float At(int i) const {
    const int code = Nibble(q + i / 32 * 16, 16, i % 32);
    return F16ToF32(d) * static_cast<float>(Scale(i / 32) - kScaleOffset) *
           static_cast<float>(kIq4Codebook[code]);
  }
};
static_assert(sizeof(BlockIQ4_XS) == 136 && alignof(BlockIQ4_XS) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_IQ4_XS_H_
