#ifndef WEFT_GRAPH_BLOCKS_IQ4_CODEBOOK_H_
#define WEFT_GRAPH_BLOCKS_IQ4_CODEBOOK_H_

#include <cstdint>

namespace weft::inline v0 {

// What the 16 codes of iq4_nl and iq4_xs stand for: not evenly spaced, dense
// around zero where most weights lie (ggml's kvalues_iq4nl).
inline constexpr int8_t kIq4Codebook[16] = {-127, -104, -83, -65, -49, -35,
                                            -22,  -10,  1,   13,  25,  38,
                                            53,   69,   89,  113};

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_IQ4_CODEBOOK_H_
