#include "ops/pack.h"

#include <vector>

#include "graph/packed.h"
#include "ops/fused.h"

namespace weft::inline v0 {
namespace {

bool OnlyMultiplied(const Graph& graph, ValueId weight) {
  for (const NodeId id : graph.value(weight).users) {
    const Node& user = graph.node(id);
    // The second operand, and no other.
    if (user.op != &kQMatMul || user.inputs[1] != weight) return false;
    for (size_t i = 0; i < user.inputs.size(); ++i)
      if (i != 1 && user.inputs[i] == weight) return false;
  }
  return !graph.value(weight).users.empty() && !graph.IsOutput(weight);
}

bool Packable(const Graph& graph, const Node& node) {
  if (node.op != &kWeightOp) return false;
  const TensorType& type = graph.value(node.outputs[0]).type;
  return CanPack(type.dtype) && type.shape.rank() == 2 &&
         type.shape.dim(0).bound() % kPackedRows == 0 &&
         OnlyMultiplied(graph, node.outputs[0]);
}

absl::StatusOr<bool> Pack(Graph& graph) {
  std::vector<NodeId> nodes;
  for (const NodeId id : graph.order())
    if (Packable(graph, graph.node(id))) nodes.push_back(id);
  for (const NodeId id : nodes) {
    const ValueId rows = graph.node(id).outputs[0];
    const Graph::Origin origin(graph, graph.node(id), "pack_weights");
    // Copies: a new node moves the others.
    const std::string name = graph.node(id).name;
    const TensorType type = graph.value(rows).type;
    const Value packed = graph.Weight(name, PackedType(type.dtype), type.shape);
    if (packed.poisoned()) return graph.status();
    graph.ReplaceUses(rows, packed.id());
    graph.DropIfDead(id);
  }
  return !nodes.empty();
}

}  // namespace

Pass PackWeights() { return {"pack_weights", Pack}; }

}  // namespace weft::inline v0
