// Reverse-mode differentiation: the gradient of a graph is a graph.
#ifndef WEFT_OPS_GRADIENT_H_
#define WEFT_OPS_GRADIENT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "graph/graph.h"

namespace weft::inline v0 {

// Adds to the graph of `loss` (f32, one element) what computes its gradient
// with respect to each parameter, of the parameter's shape and in the order of
// `parameters`: any f32 values that the loss depends on. Each op's rule stands
// in its record (OpDef::gradient); a fused op has the rules of what it stands
// for, which is computed once more. Contributions of several readers are added
// in the reverse order of the graph. Best called on a graph as it was built,
// before Optimize: what is left fuses as ever.
//
// InvalidArgument for a loss of more than one element and for a parameter that
// it does not depend on; Unimplemented for an op without a rule, naming it and
// the path by which the loss reaches it; the graph's first error.
absl::StatusOr<std::vector<Value>> Gradient(Value loss,
                                            absl::Span<const Value> parameters);

extern const OpDef kCheckpoint;

// x, which the backward pass is to keep: Gradient() then keeps of all that
// checkpoints are computed from only these, inputs and parameters, and computes
// the rest again where a rule reads it, from the checkpoint before it. The same
// bits for less memory and, with a checkpoint after each layer of a model, a
// third more time (Chen et al. 2016, arXiv:1604.06174). The plan of the graph
// says what is left of the peak (BackendPlan::memory).
Value Checkpoint(Value x, Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_GRADIENT_H_
