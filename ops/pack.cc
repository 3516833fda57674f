#include "ops/pack.h"

#include <map>
#include <vector>

#include "graph/packed.h"
#include "ops/fused.h"

namespace weft::inline v0 {
namespace {

constexpr char kPassName[] = "pack_weights";

// A matrix product and the weight that it reads.
bool IsPackable(const Graph& graph, const Node& product) {
  if (product.op != &kQMatMul) return false;
  const ValueId w = product.inputs[1];
  const TensorType& type = graph.value(w).type;
  return graph.producer(w).op == &kWeightOp && CanPack(type.dtype) &&
         type.shape.rank() == 2 && type.shape.dim(0).bound() % kPackedRows == 0;
}

absl::StatusOr<bool> Pack(Graph& graph) {
  std::vector<NodeId> products;
  for (const NodeId id : graph.order())
    if (IsPackable(graph, graph.node(id))) products.push_back(id);
  std::map<ValueId, Value> packed;  // by what it is packed from
  for (const NodeId id : products) {
    const ValueId rows = graph.node(id).inputs[1];
    Value& w = packed[rows];
    if (w.poisoned()) {
      const Node weight = graph.producer(rows);  // a copy: a new node moves it
      const Graph::Origin origin(graph, weight, kPassName);
      const TensorType type = graph.value(rows).type;
      w = graph.Weight(weight.name, PackedType(type.dtype), type.shape);
      if (w.poisoned()) return graph.status();
    }
    graph.ReplaceInput(id, 1, w.id());
    graph.DropIfDead(graph.value(rows).node);
  }
  return !products.empty();
}

}  // namespace

int64_t PackedBytes(const Graph& graph) {
  int64_t bytes = 0;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const TensorType& type = graph.value(node.outputs[0]).type;
    if (node.op == &kWeightOp && IsPacked(type.dtype))
      bytes += type.BoundBytes();
  }
  return bytes;
}

Pass PackWeights() { return {kPassName, Pack}; }

}  // namespace weft::inline v0
