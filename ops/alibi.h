// Attention with linear biases: positions as a penalty on distance (Press et
// al. 2021, arXiv:2108.12409).
#ifndef WEFT_OPS_ALIBI_H_
#define WEFT_OPS_ALIBI_H_

#include <cstdint>

#include "graph/graph.h"

namespace weft::inline v0 {

extern const OpDef kAlibi;

// Scores f32[T, H, 1, K] (query_axis 0) or f32[H, T, K] (query_axis 1) less
// slope(h) * |pos[t] - key|; key j stands at position j.
Value Alibi(Value scores, Value pos, double max_bias, int query_axis = 0,
            Where at = std::source_location::current());

// The slope of head h of `heads`: for a power of two, n, of them
// 2^(-max_bias (h + 1) / n); the heads beyond the largest power of two below
// their number have those of twice as many, every second one (the paper's
// appendix).
float AlibiSlope(int64_t head, int64_t heads, double max_bias);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_ALIBI_H_
