#ifndef WEFT_GRAPH_BLOCKS_Q4_0_H_
#define WEFT_GRAPH_BLOCKS_Q4_0_H_

#include <cstdint>

#include "graph/blocks/packed_bits.h"
#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// q4_0: 32 weights in 18 bytes (4.5 bits each); value = d * (nibble - 8).
//   d     f16 scale                                          bytes 0..1
//   q[j]  low nibble: weight j; high nibble: weight j + 16   bytes 2..17
struct BlockQ4_0 {
  static constexpr DType kType = DType::kQ4_0;
  static constexpr char kName[] = "q4_0";
  static constexpr char kLayout[] = "d f16, 32 x 4 bits; d * (q - 8)";
  static constexpr int kCount = 32;
  static constexpr int kOffset = 8;  // nibbles are stored plus 8

  uint16_t d;
  uint8_t q[16];

  float At(int i) const {
    const int nibble = Nibble(q, 16, i);
    return F16ToF32(d) * static_cast<float>(nibble - kOffset);
  }
};
static_assert(sizeof(BlockQ4_0) == 18 && alignof(BlockQ4_0) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q4_0_H_
