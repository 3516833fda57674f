// The verifier: checks everything that passes rely on.
#ifndef WEFT_GRAPH_VERIFY_H_
#define WEFT_GRAPH_VERIFY_H_

#include "absl/status/status.h"
#include "graph/graph.h"

namespace weft::inline v0 {

// Checks that the order is topological, that each node's types are what its
// shape rule infers, that users lists are right, that names of sources and of
// outputs are unique, that every state has at most one writer and no other
// reader, that writers write states, and that no two symbols share a name.
// InvalidArgument or Internal naming the node.
absl::Status Verify(const Graph& graph);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_VERIFY_H_
