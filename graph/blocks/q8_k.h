#ifndef WEFT_GRAPH_BLOCKS_Q8_K_H_
#define WEFT_GRAPH_BLOCKS_Q8_K_H_

#include <cstdint>

#include "graph/dtype.h"

namespace weft::inline v0 {

// q8_k: 256 values in 292 bytes (9.125 bits each); value = d * q. ggml's
// block_q8_K, its format of activations next to weights of 256-blocks.
//   d        f32 scale                                        bytes 0..3
//   q[j]     int8 value j                                     bytes 4..259
//   sums[g]  int16 sum of q[16 * g .. 16 * g + 15]            bytes 260..291
struct BlockQ8_K {
  static constexpr DType kType = DType::kQ8_K;
  static constexpr char kName[] = "q8_k";
  static constexpr char kLayout[] = "d f32, 256 x int8, 16 x int16 sums; d * q";
  static constexpr int kCount = 256;

  float d;
  int8_t q[256];
  int16_t sums[16];

  float At(int i) const { return d * static_cast<float>(q[i]); }
};
static_assert(sizeof(BlockQ8_K) == 292 && alignof(BlockQ8_K) == 4);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q8_K_H_
