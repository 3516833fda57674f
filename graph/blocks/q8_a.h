#ifndef WEFT_GRAPH_BLOCKS_Q8_A_H_
#define WEFT_GRAPH_BLOCKS_Q8_A_H_

#include <cstdint>

#include "graph/dtype.h"

namespace weft::inline v0 {

// q8_a: 256 activations in 292 bytes; value = d * q. weft's own format of what
// stands left of a quantised weight; one for all formats of weights, so that
// products that read one value share it. Rows may end inside a block: what is
// left of it is zero.
//   d        f32 scale: largest magnitude of the block / 127  bytes 0..3
//   sums[g]  int16 sum of q[16 * g .. 16 * g + 15]            bytes 4..35
//   q[j]     int8 value j, -127..127                          bytes 36..291
// One scale for 256 and not for 32 leaves the integer products of whole
// super-blocks to be summed before they meet it; on N(0,1) rows the error is
// 4.5e-5 of the power (2.8e-5 with 32).
struct BlockQ8_A {
  static constexpr DType kType = DType::kQ8_A;
  static constexpr char kName[] = "q8_a";
  static constexpr char kLayout[] = "d f32, 16 x int16 sums, 256 x int8; d * q";
  static constexpr int kCount = 256;
  static constexpr int kMax = 127;
  // Blocks whose largest magnitude is below this are zero: 127 / d would
  // overflow.
  static constexpr float kTiny = 1e-30f;

  float d;
  int16_t sums[16];
  int8_t q[256];

  float At(int i) const { return d * static_cast<float>(q[i]); }
};
static_assert(sizeof(BlockQ8_A) == 292 && alignof(BlockQ8_A) == 4);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q8_A_H_
