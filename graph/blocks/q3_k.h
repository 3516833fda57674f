#ifndef WEFT_GRAPH_BLOCKS_Q3_K_H_
#define WEFT_GRAPH_BLOCKS_Q3_K_H_

#include <cstdint>

#include "graph/blocks/packed_bits.h"
#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// q3_k: 256 weights in 110 bytes (3.4375 bits each), in 16 sub-blocks of 16;
// value = d * (scale - 32) * (code - 4). ggml's block_q3_K.
//   qh      bit 2 of the codes, as PlaneBit reads it          bytes 0..31
//   q       bits 0..1 of the codes, as TwoBits reads them     bytes 32..95
//   scales  16 scales of 6 bits (see Scale)                   bytes 96..107
//   d       f16 scale of the scales                           bytes 108..109
struct BlockQ3_K {
  static constexpr DType kType = DType::kQ3_K;
  static constexpr char kName[] = "q3_k";
  static constexpr char kLayout[] =
      "256 x 3 bits, 16 scales of 6 bits, d f16; d * (scale - 32) * (q - 4)";
  static constexpr int kCount = 256;
  static constexpr int kOffset = 4;        // codes are stored plus 4
  static constexpr int kScaleOffset = 32;  // scales are stored plus 32

  uint8_t qh[32];
  uint8_t q[64];
  uint8_t scales[12];
  uint16_t d;

  // Of sub-block s: bits 0..3 are nibble s of scales[0..7], bits 4..5 stand in
  // scales[8..11], four sub-blocks to a byte.
  int Scale(int s) const {
    return Nibble(scales, 8, s) | (scales[8 + s % 4] >> (s / 4 * 2) & 3) << 4;
  }

  float At(int i) const {
    const int code = TwoBits(q, i) | PlaneBit(qh, i) << 2;
    return F16ToF32(d) * static_cast<float>(Scale(i / 16) - kScaleOffset) *
           static_cast<float>(code - kOffset);
  }
};
static_assert(sizeof(BlockQ3_K) == 110 && alignof(BlockQ3_K) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q3_K_H_
