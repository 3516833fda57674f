#ifndef WEFT_GRAPH_BLOCKS_Q4_K_H_
#define WEFT_GRAPH_BLOCKS_Q4_K_H_

#include <cstdint>

#include "graph/blocks/k_scales.h"
#include "graph/blocks/packed_bits.h"
#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// q4_k: 256 weights in 144 bytes (4.5 bits each), in 8 sub-blocks of 32;
// value = d * scale * nibble - dmin * min. ggml's block_q4_K.
//   d       f16 scale of the scales                           bytes 0..1
//   dmin    f16 scale of the mins                             bytes 2..3
//   scales  8 scales and 8 mins of 6 bits (see k_scales.h)    bytes 4..15
//   q       32 bytes hold two sub-blocks: the first in low    bytes 16..143
//           nibbles, the second in high ones
struct BlockQ4_K {
  static constexpr DType kType = DType::kQ4_K;
  static constexpr char kName[] = "q4_k";
  static constexpr char kLayout[] =
      "d dmin f16, 8 x (scale min 6 bits), 256 x 4 bits; "
      "d * scale * q - dmin * min";
  static constexpr int kCount = 256;

  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t q[128];

  float At(int i) const {
    const int code = Nibble(q + i / 64 * 32, 32, i % 64);
    const float scale =
        F16ToF32(d) * static_cast<float>(KScale(scales, i / 32));
    const float min =
        F16ToF32(dmin) * static_cast<float>(KMin(scales, i / 32));
    return scale * static_cast<float>(code) - min;
  }
};
static_assert(sizeof(BlockQ4_K) == 144 && alignof(BlockQ4_K) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q4_K_H_
