#ifndef WEFT_GRAPH_BLOCKS_Q8_A32_H_
#define WEFT_GRAPH_BLOCKS_Q8_A32_H_

#include <cstddef>
#include <cstdint>
#include <numeric>

#include "graph/dtype.h"

namespace weft::inline v0 {

// q8_a32: 256 activations in 320 bytes; value = d[i / 32] * q[i]. weft's own
// format of what stands left of a weight in blocks of 32, whose products meet a
// float for each 32 columns anyway: a scale for as many activations costs one
// multiplication there, and brings the error down to 2.8e-5 of the power of
// N(0,1) rows (q8_a: 4.5e-5), less than half where few values are large. Rows
// may end inside a block: what is left of it is zero.
//   q[j]       int8 value j, -127..127                        bytes 0..255
//   d[g]       f32 scale of q[32 * g .. 32 * g + 31]: their
//              largest magnitude / 127                        bytes 256..287
//   sums32[g]  int16 sum of the same                          bytes 288..303
//   padding    zero                                           bytes 304..319
// 256 values to a block and not 32 for the reason that q8_a gives: those of an
// aligned tensor stay aligned to cache lines.
struct BlockQ8_A32 {
  static constexpr DType kType = DType::kQ8_A32;
  static constexpr char kName[] = "q8_a32";
  static constexpr char kLayout[] =
      "256 x int8, 8 x d f32, 8 x int16 sums, 16 unused; d * q";
  static constexpr int kCount = 256;
  static constexpr int kPerScale = 32;
  static constexpr int kMax = 127;
  static constexpr float kTiny = 1e-30f;  // as of q8_a

  int8_t q[256];
  float d[8];
  int16_t sums32[8];
  uint8_t padding[16];

  float At(int i) const { return d[i / kPerScale] * static_cast<float>(q[i]); }

  // Sets all that follows from q.
  void SetSums() {
    for (int j = 0; j < 8; ++j)
      sums32[j] =
          static_cast<int16_t>(std::accumulate(q + 32 * j, q + 32 * j + 32, 0));
  }
};
static_assert(sizeof(BlockQ8_A32) == 320 && offsetof(BlockQ8_A32, d) == 256);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q8_A32_H_
