#ifndef WEFT_GRAPH_BLOCKS_Q8_A_H_
#define WEFT_GRAPH_BLOCKS_Q8_A_H_

#include <cstddef>
#include <cstdint>

#include "graph/dtype.h"

namespace weft::inline v0 {

// q8_a: 256 activations in 320 bytes; value = d * q. weft's own format of what
// stands left of a weight in super-blocks of 256 (for blocks of 32, see
// q8_a32.h). Rows may end inside a block: what is left of it is zero.
//   q[j]     int8 value j, -127..127                          bytes 0..255
//   d        f32 scale: largest magnitude of the block / 127  bytes 256..259
//   sums[g]  int16 sum of q[16 * g .. 16 * g + 15]            bytes 260..291
//   sums32   int16 sums of the same for 32                    bytes 292..307
//   padding  zero                                             bytes 308..319
// One scale for 256 and not for 32 leaves the integer products of whole
// super-blocks to be summed before they meet it; on N(0,1) rows the error is
// 4.5e-5 of the power (2.8e-5 with 32). The size keeps the
// values of an aligned tensor aligned to cache lines, so that no load of a
// vector crosses one.
struct BlockQ8_A {
  static constexpr DType kType = DType::kQ8_A;
  static constexpr char kName[] = "q8_a";
  static constexpr char kLayout[] =
      "256 x int8, d f32, 24 x int16 sums, 12 unused; d * q";
  static constexpr int kCount = 256;
  static constexpr int kPerScale = 256;
  static constexpr int kMax = 127;
  // Blocks whose largest magnitude is below this are zero: 127 / d would
  // overflow.
  static constexpr float kTiny = 1e-30f;

  int8_t q[256];
  float d;
  int16_t sums[16];
  int16_t sums32[8];
  uint8_t padding[12];

  float At(int i) const { return d * static_cast<float>(q[i]); }
};
static_assert(sizeof(BlockQ8_A) == 320 && offsetof(BlockQ8_A, d) == 256);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q8_A_H_
