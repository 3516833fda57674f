#ifndef WEFT_GRAPH_BLOCKS_MXFP4_H_
#define WEFT_GRAPH_BLOCKS_MXFP4_H_

#include <cstdint>

#include "graph/blocks/e8m0.h"
#include "graph/blocks/packed_bits.h"
#include "graph/dtype.h"

namespace weft::inline v0 {

// mxfp4: 32 weights in 17 bytes (4.25 bits each); value = 2^(e - 127) * fp4.
// MXFP4 of OCP Microscaling Formats 1.0 in the layout of ggml's block_mxfp4.
//   e     e8m0 scale                                         byte 0
//   q[j]  low nibble: weight j; high nibble: weight j + 16   bytes 1..16
struct BlockMXFP4 {
  static constexpr DType kType = DType::kMXFP4;
  static constexpr char kName[] = "mxfp4";
  static constexpr char kLayout[] = "e8m0 scale, 32 x fp4; 2^(e - 127) * fp4";
  static constexpr int kCount = 32;
  // Twice the values of fp4 (e2m1, the upper bit is the sign): integers. Minus
  // zero is zero.
  static constexpr int8_t kDoubled[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                          0, -1, -2, -3, -4, -6, -8, -12};

  uint8_t e;
  uint8_t q[16];

  float At(int i) const {
    return HalfE8M0ToF32(e) * static_cast<float>(kDoubled[Nibble(q, 16, i)]);
  }
};
static_assert(sizeof(BlockMXFP4) == 17 && alignof(BlockMXFP4) == 1);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_MXFP4_H_
