// Softmax and the masks of attention.
#ifndef WEFT_OPS_SOFTMAX_H_
#define WEFT_OPS_SOFTMAX_H_

#include "graph/graph.h"

namespace weft::inline v0 {

extern const OpDef kSoftmax, kMask;

struct MaskOptions {  // Which keys a query sees.
  bool causal = true;  // a query sees keys up to its own position
  // > 0: a query sees keys with pos - key < window. 0: no window.
  int64_t window = 0;
  // The dimension of `x` that counts queries.
  int query_axis = 0;
};

// Over the fastest dimension; -inf counts as excluded, and a row of nothing but
// -inf gives zeros.
// `sinks`, when given, broadcast to x with a fastest dimension of 1: one more
// score for each row, which takes its share and is left out.
Value Softmax(Value x, Value sinks = {},
              Where at = std::source_location::current());
// Scores f32[..., K] with hidden keys set to -inf; key j stands at position j.
// pos i32[T] gives the position of each query, T being x's query axis.
Value Mask(Value x, Value pos, const MaskOptions& options,
           Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_SOFTMAX_H_
