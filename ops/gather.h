// Rows by index, and state.
#ifndef WEFT_OPS_GATHER_H_
#define WEFT_OPS_GATHER_H_

#include "graph/graph.h"

namespace weft::inline v0 {

extern const OpDef kGatherRows, kAppend, kAssign;

// What a step says of its tokens: pos i32[T], the position of each token in
// its sequence; slot i32[T], the sequence that it belongs to.
struct Step {
  Value pos;
  Value slot;
};

// table f32[N, ...], ids i32[T] -> f32[T, ...]: row ids[t] of the table.
// OutOfRange at run time for an id outside [0, N).
Value GatherRows(Value table, Value ids,
                 Where at = std::source_location::current());
// The rows of activations that a caller wants: x f32[T, n], rows i32[R].
// The same op as GatherRows.
Value SelectRows(Value x, Value rows,
                 Where at = std::source_location::current());

// Writes row t of x f32[T, ...] to place (slot[t], pos[t]) of state
// [slots, context, ...], converting to the state's dtype, and returns the state
// as it is then. The only writer of that state.
Value Append(Value state, Value x, const Step& step,
             Where at = std::source_location::current());

// Makes x the content of the state, all of it, and returns the state as it is
// then: its only writer. x may be computed from the state itself.
Value Assign(Value state, Value x, Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_GATHER_H_
