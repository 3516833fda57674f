#ifndef WEFT_GRAPH_BLOCKS_Q8_0_H_
#define WEFT_GRAPH_BLOCKS_Q8_0_H_

#include <cstdint>

#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// q8_0: 32 weights in 34 bytes (8.5 bits each); value = d * q.
//   d     f16 scale       bytes 0..1
//   q[j]  int8 weight j   bytes 2..33
struct BlockQ8_0 {
  static constexpr DType kType = DType::kQ8_0;
  static constexpr char kName[] = "q8_0";
  static constexpr char kLayout[] = "d f16, 32 x int8; d * q";
  static constexpr int kCount = 32;

  uint16_t d;
  int8_t q[32];

  float At(int i) const { return F16ToF32(d) * static_cast<float>(q[i]); }
};
static_assert(sizeof(BlockQ8_0) == 34 && alignof(BlockQ8_0) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_Q8_0_H_
