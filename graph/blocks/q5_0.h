#ifndef WEFT_GRAPH_BLOCKS_Q5_0_H_
#define WEFT_GRAPH_BLOCKS_Q5_0_H_

#include <cstdint>

#include "graph/blocks/packed_bits.h"
#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// q5_0: 32 weights in 22 bytes (5.5 bits each); value = d * (code - 16), where
// the fifth bit of a code stands apart. ggml's block_q5_0.
//   d      f16 scale                                          bytes 0..1
//   qh     bit 4 of code j: bit j % 8 of qh[j / 8]            bytes 2..5
//   q[j]   low nibble: weight j; high nibble: weight j + 16   bytes 6..21
struct BlockQ5_0 {
  static constexpr DType kType = DType::kQ5_0;
  static constexpr char kName[] = "q5_0";
  static constexpr char kLayout[] = "d f16, 32 x 5 bits; d * (q - 16)";
  static constexpr int kCount = 32;
  static constexpr int kOffset = 16;  // codes are stored plus 16

  uint16_t d;
  uint8_t qh[4];
  uint8_t q[16];

  float At(int i) const {
    const int code = Nibble(q, 16, i) | OrderedBit(qh, i) << 4;
    return F16ToF32(d) * static_cast<float>(code - kOffset);
  }
};
static_assert(sizeof(BlockQ5_0) == 22 && alignof(BlockQ5_0) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q5_0_H_
