#ifndef WEFT_GRAPH_BLOCKS_Q5_1_H_
#define WEFT_GRAPH_BLOCKS_Q5_1_H_

#include <cstdint>

#include "graph/blocks/packed_bits.h"
#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// q5_1: 32 weights in 24 bytes (6 bits each); value = d * code + m, where the
// fifth bit of a code stands apart. ggml's block_q5_1.
//   d      f16 scale                                          bytes 0..1
//   m      f16 minimum                                        bytes 2..3
//   qh     bit 4 of code j: bit j % 8 of qh[j / 8]            bytes 4..7
//   q[j]   low nibble: weight j; high nibble: weight j + 16   bytes 8..23
struct BlockQ5_1 {
  static constexpr DType kType = DType::kQ5_1;
  static constexpr char kName[] = "q5_1";
  static constexpr char kLayout[] = "d m f16, 32 x 5 bits; d * q + m";
  static constexpr int kCount = 32;

  uint16_t d;
  uint16_t m;
  uint8_t qh[4];
  uint8_t q[16];

  float At(int i) const {
    const int code = Nibble(q, 16, i) | OrderedBit(qh, i) << 4;
    return F16ToF32(d) * static_cast<float>(code) + F16ToF32(m);
  }
};
static_assert(sizeof(BlockQ5_1) == 24 && alignof(BlockQ5_1) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q5_1_H_
