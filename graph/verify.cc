#include "graph/verify.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/hash.h"
#include "graph/packed.h"
#include "graph/small_vector.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

absl::Status Broken(const Graph& graph, const Node& node,
                    absl::string_view what) {
  return absl::InternalError(absl::StrCat(graph.Describe(node), ": ", what));
}

// Inputs are made before they are read.
absl::Status CheckInputs(const Graph& graph, const Node& node,
                         const std::vector<bool>& seen) {
  for (const ValueId in : node.inputs) {
    const NodeId from = graph.value(in).node;
    if (!graph.alive(from) || !seen[static_cast<size_t>(from)])
      return Broken(graph, node, absl::StrCat("reads %", in, " too early"));
  }
  return absl::OkStatus();
}

// Every value knows who reads it, and how often. What all layers share, tables
// of rotations say, has thousands of readers: none is looked up among them.
class UseChecker {
 public:
  explicit UseChecker(const Graph& graph)
      : graph_(graph),
        listed_(static_cast<size_t>(graph.num_nodes())),
        reads_(static_cast<size_t>(graph.num_values())) {}

  absl::Status Check() {
    for (const NodeId id : graph_.order())
      for (const ValueId in : graph_.node(id).inputs)
        ++reads_[static_cast<size_t>(in)];
    for (const NodeId id : graph_.order())
      for (const ValueId v : graph_.node(id).outputs)
        if (!IsRight(v))
          return Broken(graph_, graph_.node(id),
                        absl::StrCat("users of %", v, " are wrong"));
    return absl::OkStatus();
  }

 private:
  // Those that are listed read it so often, and there are no others.
  bool IsRight(ValueId v) {
    const auto& users = graph_.value(v).users;
    if (reads_[static_cast<size_t>(v)] != users.size()) return false;
    for (const NodeId user : users) {
      if (!graph_.alive(user)) return false;
      ++listed_[static_cast<size_t>(user)];
    }
    const bool right =
        std::all_of(users.begin(), users.end(), [&](NodeId user) {
          const auto& in = graph_.node(user).inputs;
          return std::count(in.begin(), in.end(), v) ==
                 listed_[static_cast<size_t>(user)];
        });
    for (const NodeId user : users) listed_[static_cast<size_t>(user)] = 0;
    return right;
  }

  const Graph& graph_;
  std::vector<int64_t> listed_;  // by node; zero between values
  std::vector<size_t> reads_;    // by value
};

absl::Status CheckTypes(const Graph& graph, const Node& node) {
  if (node.op->kind != OpKind::kCompute) return absl::OkStatus();
  absl::StatusOr<TensorTypes> types =
      Infer(*node.op, graph.InputTypes(node), node.attrs);
  if (!types.ok())
    return Broken(
        graph, node,
        absl::StrCat("%", graph.number(node), ": ", types.status().message()));
  for (size_t i = 0; i < types->size(); ++i) {
    const TensorType& stored = graph.value(node.outputs[i]).type;
    if (stored != (*types)[i])
      return Broken(graph, node,
                    absl::StrCat("%", graph.number(node.outputs[i]), " is ",
                                 stored.ToString(), ", the shape rule says ",
                                 (*types)[i].ToString()));
  }
  return absl::OkStatus();
}

// Whether the writer's new content depends on what `reader` computes: then it
// has been read before it is written.
bool FlowsInto(const Graph& graph, NodeId reader, const Node& writer) {
  HashSet<NodeId> seen = {writer.id};
  std::vector<NodeId> stack = {writer.id};
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (id == reader) return true;
    for (const ValueId in : graph.node(id).inputs)
      if (const NodeId from = graph.value(in).node; seen.insert(from).second)
        stack.push_back(from);
  }
  return false;
}

// A state is read by its writer, and before it by what the writer's result
// depends on (an update's old value): everyone else reads the writer's result,
// so that plain data flow orders reads and the write.
absl::Status CheckState(const Graph& graph, const Node& node) {
  SmallVector<NodeId, 2> users;
  const Node* writer = nullptr;
  for (const NodeId user : graph.value(node.outputs[0]).users)
    if (graph.node(user).op->writes_state) writer = &graph.node(user);
  for (const NodeId user : graph.value(node.outputs[0]).users)
    if (writer == nullptr || writer->id == user ||
        graph.node(user).op->writes_state || !FlowsInto(graph, user, *writer))
      users.push_back(user);
  if (users.size() > 1)
    return absl::InvalidArgumentError(absl::StrCat(
        node.where.ToString(), ": state ", node.name, " has ", users.size(),
        " readers; one Append (or other writer) must read it and everything "
        "else must read that op's result"));
  for (const NodeId user : users)
    if (!graph.node(user).op->writes_state)
      return absl::InvalidArgumentError(absl::StrCat(
          graph.Describe(graph.node(user)), ": state ", node.name,
          " is read without being written; read the result of its Append"));
  return absl::OkStatus();
}

// What writes a state must be given one: the only other writer of the same
// memory would be out of the order that data flow gives.
absl::Status CheckWriter(const Graph& graph, const Node& node) {
  if (!node.op->writes_state ||
      graph.producer(node.inputs[0]).op->kind == OpKind::kState)
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(graph.Describe(node),
                   ": the first operand is no state; "
                   "make it with Graph::State and write it once per step"));
}

class NameChecker {
 public:
  absl::Status Check(const Graph& graph, const Node& node) {
    // A weight can be there twice, as stored and packed. No name has a newline.
    const bool packed = IsPacked(graph.value(node.outputs[0]).type.dtype);
    if (!node.name.empty() &&
        !names_.insert(absl::StrCat(node.name, packed ? "\npacked" : ""))
             .second)
      return absl::InvalidArgumentError(absl::StrCat(
          node.where.ToString(), ": there are two tensors named ", node.name));
    for (const ValueId id : node.outputs)
      for (const Dim& dim : graph.value(id).type.shape) {
        if (dim.is_constant()) continue;
        const auto [it, fresh] =
            symbols_.try_emplace(std::string(dim.name()), dim.bound());
        if (!fresh && it->second != dim.bound())
          return absl::InvalidArgumentError(
              absl::StrCat(graph.Describe(node), ": symbol ", dim.name(),
                           " has bounds ", it->second, " and ", dim.bound()));
      }
    return absl::OkStatus();
  }

 private:
  HashSet<std::string> names_;
  HashMap<std::string, int64_t> symbols_;
};

}  // namespace

absl::Status Verify(const Graph& graph) {
  WEFT_RETURN_IF_ERROR(graph.status());
  std::vector<bool> seen(static_cast<size_t>(graph.num_nodes()), false);
  NameChecker names;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    WEFT_RETURN_IF_ERROR(CheckInputs(graph, node, seen));
    WEFT_RETURN_IF_ERROR(CheckTypes(graph, node));
    WEFT_RETURN_IF_ERROR(names.Check(graph, node));
    WEFT_RETURN_IF_ERROR(CheckWriter(graph, node));
    if (node.op->kind == OpKind::kState)
      WEFT_RETURN_IF_ERROR(CheckState(graph, node));
    seen[static_cast<size_t>(id)] = true;
  }
  WEFT_RETURN_IF_ERROR(UseChecker(graph).Check());
  HashSet<absl::string_view> outputs;
  for (const Graph::NamedValue& out : graph.outputs()) {
    if (!graph.alive(graph.value(out.value).node))
      return absl::InternalError(
          absl::StrCat("output ", out.name, " was erased"));
    if (!outputs.insert(out.name).second)
      return absl::InvalidArgumentError(
          absl::StrCat("there are two outputs named ", out.name));
  }
  return absl::OkStatus();
}

}  // namespace weft::inline v0
