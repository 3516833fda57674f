#ifndef WEFT_GRAPH_BLOCKS_Q2_K_H_
#define WEFT_GRAPH_BLOCKS_Q2_K_H_

#include <cstdint>

#include "graph/blocks/packed_bits.h"
#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// q2_k: 256 weights in 84 bytes (2.625 bits each), in 16 sub-blocks of 16;
// value = d * scale * code - dmin * min. ggml's block_q2_K.
//   scales[s]  sub-block s: scale in bits 0..3, min in 4..7   bytes 0..15
//   q          2-bit codes, as TwoBits reads them             bytes 16..79
//   d          f16 scale of the scales                        bytes 80..81
//   dmin       f16 scale of the mins                          bytes 82..83
struct BlockQ2_K {
  static constexpr DType kType = DType::kQ2_K;
  static constexpr char kName[] = "q2_k";
  static constexpr char kLayout[] =
      "16 x (scale min 4 bits), 256 x 2 bits, d dmin f16; "
      "d * scale * q - dmin * min";
  static constexpr int kCount = 256;

  uint8_t scales[16];
  uint8_t q[64];
  uint16_t d;
  uint16_t dmin;

  float At(int i) const {
    const int s = scales[i / 16];
    const float scale = F16ToF32(d) * static_cast<float>(s & 15);
    const float min = F16ToF32(dmin) * static_cast<float>(s >> 4);
    return scale * static_cast<float>(TwoBits(q, i)) - min;
  }
};
static_assert(sizeof(BlockQ2_K) == 84 && alignof(BlockQ2_K) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q2_K_H_
