#ifndef WEFT_GRAPH_BLOCKS_K_SCALES_H_
#define WEFT_GRAPH_BLOCKS_K_SCALES_H_

#include <cstdint>

namespace weft::inline v0 {

// Eight 6-bit scales and eight 6-bit mins in 12 bytes, as q4_k and q5_k have
// them (ggml's get_scale_min_k4). For j = 0..3:
//   s[j]      bits 0..5: scale j                  6..7: scale j + 4, bits 4..5
//   s[j + 4]  bits 0..5: min j                    6..7: min j + 4, bits 4..5
//   s[j + 8]  bits 0..3: scale j + 4, bits 0..3   4..7: min j + 4, bits 0..3
constexpr int KScale(const uint8_t* s, int j) {
  return j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6 << 4);
}
constexpr int KMin(const uint8_t* s, int j) {
  return j < 4 ? s[j + 4] & 63 : (s[j + 4] >> 4) | (s[j] >> 6 << 4);
}

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_K_SCALES_H_
