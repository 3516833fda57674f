#ifndef WEFT_GRAPH_BLOCKS_Q6_K_H_
#define WEFT_GRAPH_BLOCKS_Q6_K_H_

#include <cstdint>

#include "graph/blocks/packed_bits.h"
#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// q6_k: 256 weights in 210 bytes (6.5625 bits each), in 16 sub-blocks of 16;
// value = d * scale * (code - 32). ggml's block_q6_K.
//   q       bits 0..3 of the codes: 64 bytes hold 128         bytes 0..127
//           weights, 64 in low nibbles, 64 in high ones
//   qh      bits 4..5 of the codes, as TwoBits reads them     bytes 128..191
//   scales  int8 scale of each sub-block                      bytes 192..207
//   d       f16 scale of the scales                           bytes 208..209
struct BlockQ6_K {
  static constexpr DType kType = DType::kQ6_K;
  static constexpr char kName[] = "q6_k";
  static constexpr char kLayout[] =
      "256 x 6 bits, 16 x int8 scale, d f16; d * scale * (q - 32)";
  static constexpr int kCount = 256;
  static constexpr int kOffset = 32;  // codes are stored plus 32

  uint8_t q[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;

  float At(int i) const {
    const int code =
        Nibble(q + i / 128 * 64, 64, i % 128) | TwoBits(qh, i) << 4;
    return F16ToF32(d) * static_cast<float>(scales[i / 16]) *
           static_cast<float>(code - kOffset);
  }
};
static_assert(sizeof(BlockQ6_K) == 210 && alignof(BlockQ6_K) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q6_K_H_
