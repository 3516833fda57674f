// What Gradient() computes again instead of keeping it. Part of gradient.cc.
#ifndef WEFT_OPS_RECOMPUTE_H_
#define WEFT_OPS_RECOMPUTE_H_

#include <vector>

#include "absl/types/span.h"
#include "graph/graph.h"

namespace weft::inline v0 {

// Computes values again from the checkpoints before them, and decodes weights
// again.
class Recomputer {
 public:
  Recomputer(Graph& graph, absl::Span<const NodeId> order,
             absl::Span<const Value> parameters);

  // What a rule reads instead of `id`, of the values that there were at first,
  // when the gradient `after` is there.
  Value ForRule(ValueId id, Value after);

 private:
  // A decoded weight, which may be transposed, decoded again; else unset. The
  // way forward reads it as it is stored: one f32 copy at a time is enough.
  Value DecodedAgain(ValueId id, Value after);
  void MarkBeforeCheckpoints(absl::Span<const NodeId> order);
  bool IsComputedAgain(ValueId id) const;
  std::vector<NodeId> NotYetAgain(ValueId id) const;
  void Repeat(NodeId id, Value after);
  Value Operand(ValueId id, Value after);

  Graph& graph_;
  // By ValueId, of the values that there were at first.
  std::vector<bool> marked_;  // a checkpoint is computed from it
  std::vector<bool> is_parameter_;
  std::vector<Value> again_;
};

}  // namespace weft::inline v0

#endif  // WEFT_OPS_RECOMPUTE_H_
