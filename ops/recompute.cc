#include "ops/recompute.h"

#include <utility>

#include "graph/hash.h"
#include "ops/gradient.h"
#include "ops/gradient_ops.h"
#include "ops/matmul.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {

Recomputer::Recomputer(Graph& graph, absl::Span<const NodeId> order,
                       absl::Span<const Value> parameters)
    : graph_(graph),
      marked_(static_cast<size_t>(graph.num_values()), false),
      is_parameter_(marked_.size(), false),
      again_(marked_.size()) {
  for (const Value& p : parameters)
    is_parameter_[static_cast<size_t>(p.id())] = true;
  MarkBeforeCheckpoints(order);
}

Value Recomputer::ForRule(ValueId id, Value after) {
  if (const Value decoded = DecodedAgain(id, after); IsSet(decoded))
    return decoded;
  if (!IsComputedAgain(id)) return Value(&graph_, id);
  for (const NodeId node : NotYetAgain(id)) Repeat(node, after);
  return again_[static_cast<size_t>(id)];
}

Value Recomputer::DecodedAgain(ValueId id, Value after) {
  const Node node = graph_.producer(id);  // copies: the graph grows
  if (node.op == &kTranspose) {
    const Value x = DecodedAgain(node.inputs[0], after);
    return IsSet(x) ? Transpose(x, node.where) : Value();
  }
  if (node.op != &kDequant || graph_.producer(node.inputs[0]).op != &kWeightOp)
    return Value();
  const Graph::Origin origin(graph_, node, "recompute");
  return Dequant(After(Value(&graph_, node.inputs[0]), after), node.where);
}

void Recomputer::MarkBeforeCheckpoints(absl::Span<const NodeId> order) {
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const Node& node = graph_.node(*id);
    bool marks = node.op == &kCheckpoint;
    for (const ValueId out : node.outputs)
      marks |= marked_[static_cast<size_t>(out)];
    for (const ValueId in : node.inputs)
      if (marks) marked_[static_cast<size_t>(in)] = true;
  }
}

bool Recomputer::IsComputedAgain(ValueId id) const {
  const OpDef& op = *graph_.producer(id).op;
  return marked_[static_cast<size_t>(id)] &&
         !is_parameter_[static_cast<size_t>(id)] &&
         op.kind == OpKind::kCompute && &op != &kCheckpoint && !op.writes_state;
}

// The nodes that have to be repeated for `id`, operands first. A model has
// thousands of nodes in a row: no recursion.
std::vector<NodeId> Recomputer::NotYetAgain(ValueId id) const {
  std::vector<NodeId> sorted;
  HashSet<NodeId> seen;
  std::vector<std::pair<NodeId, size_t>> stack;  // and the next operand
  const auto visit = [&](ValueId v) {
    if (!IsComputedAgain(v) || IsSet(again_[static_cast<size_t>(v)])) return;
    const NodeId node = graph_.value(v).node;
    if (seen.insert(node).second) stack.emplace_back(node, 0);
  };
  visit(id);
  while (!stack.empty()) {
    const auto [node, next] = stack.back();
    if (next == graph_.node(node).inputs.size()) {
      sorted.push_back(node);
      stack.pop_back();
    } else {
      ++stack.back().second;
      visit(graph_.node(node).inputs[next]);
    }
  }
  return sorted;
}

void Recomputer::Repeat(NodeId id, Value after) {
  const Node node = graph_.node(id);  // a copy: the graph grows
  const Graph::Origin origin(graph_, node, "recompute");
  Values in;
  bool differs = false;
  for (const ValueId v : node.inputs) {
    in.push_back(Operand(v, after));
    differs |= in.back().id() != v;
  }
  const Values out = differs
                         ? graph_.EmitAll(*node.op, in, node.attrs, node.where)
                         : Values();  // it depends on parameters alone
  for (size_t i = 0; i < node.outputs.size(); ++i)
    again_[static_cast<size_t>(node.outputs[i])] =
        differs ? out[i] : Value(&graph_, node.outputs[i]);
}

Value Recomputer::Operand(ValueId id, Value after) {
  Value& again = again_[static_cast<size_t>(id)];
  if (IsSet(again)) return again;
  const OpDef& op = *graph_.producer(id).op;
  const bool begins = &op == &kCheckpoint || op.kind == OpKind::kInput;
  if (!begins || is_parameter_[static_cast<size_t>(id)])
    return Value(&graph_, id);
  return again = After(Value(&graph_, id), after);
}

}  // namespace weft::inline v0
