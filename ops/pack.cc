#include "ops/pack.h"

#include <map>
#include <utility>
#include <vector>

#include "graph/packed.h"
#include "ops/fused.h"

namespace weft::inline v0 {
namespace {

constexpr char kPassName[] = "pack_weights";

bool IsPackable(const Graph& graph, ValueId w, bool halves) {
  const TensorType& type = graph.value(w).type;
  return graph.producer(w).op == &kWeightOp && CanPack(type.dtype) &&
         (halves || Info(type.dtype).block_values > 1) &&
         type.shape.rank() == 2 &&
         type.shape.dim(0).bound() % kPackedRows == 0 &&
         CanPackLength(type.dtype, type.shape.dim(1).bound());
}

// The inputs of a matrix product that are packed: all its weights or none,
// which are to have one type.
std::vector<size_t> PackableInputs(const Graph& graph, const Node& product,
                                   bool halves) {
  std::vector<size_t> weights;
  if (product.op == &kQMatMul) weights = {1};
  if (product.op == &kGatedQMatMul) weights = {1, 2};
  for (const size_t input : weights)
    if (!IsPackable(graph, product.inputs[input], halves)) return {};
  return weights;
}

absl::StatusOr<bool> Pack(Graph& graph, bool halves) {
  std::vector<std::pair<NodeId, size_t>> uses;
  for (const NodeId id : graph.order())
    for (const size_t input : PackableInputs(graph, graph.node(id), halves))
      uses.emplace_back(id, input);
  std::map<ValueId, Value> packed;  // by what it is packed from
  for (const auto& [id, input] : uses) {
    const ValueId rows = graph.node(id).inputs[input];
    Value& w = packed[rows];
    if (w.poisoned()) {
      const Node weight = graph.producer(rows);  // a copy: a new node moves it
      const Graph::Origin origin(graph, weight, kPassName);
      const TensorType type = graph.value(rows).type;
      w = graph.Weight(weight.name, PackedType(type.dtype), type.shape);
      if (w.poisoned()) return graph.status();
    }
    graph.ReplaceInput(id, input, w.id());
    graph.DropIfDead(graph.value(rows).node);
  }
  return !uses.empty();
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

Pass PackWeights(bool halves) {
  return {kPassName, [halves](Graph& graph) { return Pack(graph, halves); }};
}

}  // namespace weft::inline v0
