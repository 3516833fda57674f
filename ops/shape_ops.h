// Ops that move data without computing. Of any dtype whose blocks hold one
// value (f32, f16, bf16, i32).
#ifndef WEFT_OPS_SHAPE_OPS_H_
#define WEFT_OPS_SHAPE_OPS_H_

#include <vector>

#include "graph/graph.h"

namespace weft::inline v0 {

extern const OpDef kReshape, kPermute, kSlice, kConcat, kRepeat;

// The same elements in row-major order under another shape. Symbols must be
// kept: the product of the constants and the set of symbols stay the same.
Value Reshape(Value x, Shape shape,
              Where at = std::source_location::current());
// Dimension i of the result is dimension perm[i] of x. A permutation that only
// swaps the two fastest dimensions makes a transpose node, the canonical form.
Value Permute(Value x, std::vector<int64_t> perm,
              Where at = std::source_location::current());
// Elements [begin, end) of one constant dimension; a negative axis counts from
// the end.
Value Slice(Value x, int axis, int64_t begin, int64_t end,
            Where at = std::source_location::current());
// Joins along a constant dimension; the others are equal.
Value Concat(const std::vector<Value>& parts, int axis,
             Where at = std::source_location::current());
// Repeats each element of a constant dimension `times` times: [a, b] -> [a, a,
// b, b], as grouped heads want it.
Value Repeat(Value x, int axis, int64_t times,
             Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_SHAPE_OPS_H_
