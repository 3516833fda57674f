#ifndef WEFT_GRAPH_BLOCKS_Q4_1_H_
#define WEFT_GRAPH_BLOCKS_Q4_1_H_

#include <cstdint>

#include "graph/blocks/packed_bits.h"
#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// q4_1: 32 weights in 20 bytes (5 bits each); value = d * nibble + m. ggml's
// block_q4_1.
//   d     f16 scale                                          bytes 0..1
//   m     f16 minimum                                        bytes 2..3
//   q[j]  low nibble: weight j; high nibble: weight j + 16   bytes 4..19
struct BlockQ4_1 {
  static constexpr DType kType = DType::kQ4_1;
  static constexpr char kName[] = "q4_1";
  static constexpr char kLayout[] = "d m f16, 32 x 4 bits; d * q + m";
  static constexpr int kCount = 32;

  uint16_t d;
  uint16_t m;
  uint8_t q[16];

  float At(int i) const {
    return F16ToF32(d) * static_cast<float>(Nibble(q, 16, i)) + F16ToF32(m);
  }
};
static_assert(sizeof(BlockQ4_1) == 20 && alignof(BlockQ4_1) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q4_1_H_
