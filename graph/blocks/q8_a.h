#ifndef WEFT_GRAPH_BLOCKS_Q8_A_H_
#define WEFT_GRAPH_BLOCKS_Q8_A_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "graph/dtype.h"

namespace weft::inline v0 {

// q8_a: 256 activations in 320 bytes; value = d * q. weft's own format of what
// stands left of a weight in super-blocks of 256 (for blocks of 32, see
// q8_a32.h). Rows may end inside a block: what is left of it is zero.
//   q[j]     int8 value j, -127..127                          bytes 0..255
//   d        f32 scale: largest magnitude of the block / 127  bytes 256..259
//   sums[g]  int16 sum of q[16 * g .. 16 * g + 15]            bytes 260..291
//   sums32   int16 sums of the same for 32                    bytes 292..307
//   reach16  int16 largest sum of |q| over 16                 bytes 308..309
//   reach32  int16 largest sum over 32 of the q of one sign,
//            without it                                       bytes 310..311
//   padding  zero                                             bytes 312..319
// How far sums of products can go follows from the last two: codes of 0..c and
// 32 values give c * reach32 at most, of -c..c and 16 values c * reach16.
// One scale for 256 and not for 32 leaves the integer products of whole
// super-blocks to be summed before they meet it; on N(0,1) rows the error is
// 4.5e-5 of the power (2.8e-5 with 32). The size keeps the
// values of an aligned tensor aligned to cache lines, so that no load of a
// vector crosses one.
struct BlockQ8_A {
  static constexpr DType kType = DType::kQ8_A;
  static constexpr char kName[] = "q8_a";
  static constexpr char kLayout[] =
      "256 x int8, d f32, 24 x int16 sums, 2 x int16 reach, 8 unused; d * q";
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
  int16_t reach16, reach32;
  uint8_t padding[8];

  float At(int i) const { return d * static_cast<float>(q[i]); }

  // Sets all that follows from q.
  void SetSums() {
    reach16 = reach32 = 0;
    for (int j = 0; j < 8; ++j) {
      int sum32 = 0, magnitude32 = 0;
      for (int g = 2 * j; g < 2 * j + 2; ++g) {
        int sum = 0, magnitude = 0;
        for (int i = 16 * g; i < 16 * g + 16; ++i)
          sum += q[i], magnitude += std::abs(q[i]);
        sums[g] = static_cast<int16_t>(sum);
        reach16 = std::max(reach16, static_cast<int16_t>(magnitude));
        sum32 += sum, magnitude32 += magnitude;
      }
      sums32[j] = static_cast<int16_t>(sum32);
      reach32 = std::max(
          reach32, static_cast<int16_t>((magnitude32 + std::abs(sum32)) / 2));
    }
  }
};
static_assert(sizeof(BlockQ8_A) == 320 && offsetof(BlockQ8_A, d) == 256);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q8_A_H_
