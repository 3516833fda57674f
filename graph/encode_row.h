// Rows of f32 to the formats that states are kept in: the scalar definition of
// the rounding, in the order of operations of ggml's reference quantizers, bit
// for bit.
#ifndef WEFT_GRAPH_ENCODE_ROW_H_
#define WEFT_GRAPH_ENCODE_ROW_H_

#include <cstddef>
#include <cstdint>

#include "graph/blocks/q4_0.h"
#include "graph/blocks/q8_0.h"
#include "graph/dtype.h"

namespace weft::inline v0 {

// Whether EncodeRow() writes the dtype: f32, f16, bf16, q8_0 and q4_0.
bool CanEncodeRow(DType type);

// Encodes x[0, n) to PaddedRowBytes(type, n) bytes at `to`, which needs no
// alignment; what pads the last block is zero. f16 and bf16 round to nearest
// even. Nothing is written for a dtype that CanEncodeRow() denies.
void EncodeRow(DType type, const float* x, int64_t n, std::byte* to);

// One block of 32 values. A NaN among them makes the scale NaN, an infinity
// makes it infinite: all that is read from such a block is NaN or infinite.
//
// q8_0: d = max |x| / 127; q = x / d, to nearest, halves away from zero.
BlockQ8_0 EncodeQ8_0(const float* x);
// q4_0: d = m / -8, where m is the first of the values largest in magnitude, so
// that m itself is stored exactly as -8; nibble = trunc(x / d + 8.5), at most
// 15.
BlockQ4_0 EncodeQ4_0(const float* x);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_ENCODE_ROW_H_
