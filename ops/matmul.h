// Matrix products and what stands next to them.
#ifndef WEFT_OPS_MATMUL_H_
#define WEFT_OPS_MATMUL_H_

#include "graph/graph.h"

namespace weft::inline v0 {

extern const OpDef kMatMul, kTranspose, kDequant;

// f32[..., M, K] x f32[..., K, N] -> f32[..., M, N]; batch dimensions broadcast
// as in NumPy. Both operands have rank >= 2.
Value MatMul(Value a, Value b, Where at = std::source_location::current());
// Swaps the two fastest dimensions.
Value Transpose(Value x, Where at = std::source_location::current());
// Decodes a stored format to f32. Of an f32 value: the value itself.
Value Dequant(Value x, Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_MATMUL_H_
