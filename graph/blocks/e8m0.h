#ifndef WEFT_GRAPH_BLOCKS_E8M0_H_
#define WEFT_GRAPH_BLOCKS_E8M0_H_

#include <bit>
#include <cstdint>

namespace weft::inline v0 {

// Half of an e8m0 scale: 2^(e - 128). e8m0 is the power of two 2^(e - 127), an
// exponent without sign or mantissa (OCP Microscaling Formats 1.0, section
// 5.4.1). The half goes with codes that are stored doubled to be integers.
// e = 255, which OCP calls NaN, gives 2^127 as in ggml.
constexpr float HalfE8M0ToF32(uint8_t e) {
  // 2^-128 and 2^-127 are subnormal.
  return std::bit_cast<float>(e < 2 ? 0x00200000u << e : (e - 1u) << 23);
}

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_E8M0_H_
