#ifndef WEFT_GRAPH_BLOCKS_IQ4_NL_H_
#define WEFT_GRAPH_BLOCKS_IQ4_NL_H_

#include <cstdint>

#include "graph/blocks/iq4_codebook.h"
#include "graph/blocks/packed_bits.h"
#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// iq4_nl: 32 weights in 18 bytes (4.5 bits each); value = d * codebook[nibble].
// ggml's block_iq4_nl.
//   d     f16 scale                                          bytes 0..1
//   q[j]  low nibble: weight j; high nibble: weight j + 16   bytes 2..17
struct BlockIQ4_NL {
  static constexpr DType kType = DType::kIQ4_NL;
  static constexpr char kName[] = "iq4_nl";
  static constexpr char kLayout[] = "d f16, 32 x 4 bits; d * codebook[q]";
  static constexpr int kCount = 32;

  uint16_t d;
  uint8_t q[16];

  float At(int i) const {
    return F16ToF32(d) * static_cast<float>(kIq4Codebook[Nibble(q, 16, i)]);
  }
};
static_assert(sizeof(BlockIQ4_NL) == 18 && alignof(BlockIQ4_NL) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_IQ4_NL_H_
