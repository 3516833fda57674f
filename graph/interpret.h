// Runs graphs by the scalar references of their ops: the definition of what a
// graph computes. Slow by design; used by the reference backend, by constant
// folding, and for fused ops, whose reference is their expansion.
#ifndef WEFT_GRAPH_INTERPRET_H_
#define WEFT_GRAPH_INTERPRET_H_

#include <atomic>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/graph.h"
#include "graph/host_tensor.h"

namespace weft::inline v0 {

// Runs one op: its reference, or its expansion. `types` are the output types;
// `out` are allocated tensors of those types under `symbols`. For an op that
// writes a state, out[0] holds the state's content on entry. OutOfRange where
// the op's inputs hold an index outside its table. `cancel`, when given, is
// looked at between the nodes of an expansion: Cancelled if it is true.
absl::Status RunReference(const OpDef& op, const Attrs& attrs,
                          absl::Span<const TensorType> in_types,
                          absl::Span<const HostTensor* const> in,
                          absl::Span<HostTensor* const> out,
                          const SymbolValues& symbols,
                          const std::atomic<bool>* cancel = nullptr);

// The data of an input, weight or state node. Called once per source node.
using SourceFn =
    std::function<absl::StatusOr<HostTensor>(const Graph&, const Node&)>;

// What a run leaves: a tensor per value (empty for values of erased nodes).
// The values of states and their writers hold the new content.
struct Interpretation {
  std::vector<HostTensor> values;  // by ValueId
};

// `cancel`, when given, is looked at between nodes and, where a node's op is
// expanded, between those of the expansion: Cancelled if it is true.
absl::StatusOr<Interpretation> Interpret(
    const Graph& graph, const SymbolValues& symbols, const SourceFn& source,
    const std::atomic<bool>* cancel = nullptr);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_INTERPRET_H_
