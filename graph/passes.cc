#include "graph/passes.h"
#include "graph/hash.h"

#include <bit>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "graph/interpret.h"
#include "graph/status_macros.h"
#include "graph/verify.h"

namespace weft::inline v0 {
namespace {

// Text that is equal exactly for nodes that compute the same.
std::string Key(const Graph& graph, const Node& node) {
  std::string key = absl::StrCat(node.op->name, node.attrs.ToString());
  // ToString() of a double is rounded; its bits are not.
  for (const auto& [name, value] : node.attrs)
    if (const double* d = value.As<double>())
      absl::StrAppend(&key, ";", absl::Hex(std::bit_cast<uint64_t>(*d)));
  auto inputs = node.inputs;
  if (node.op->commutative) absl::c_sort(inputs);
  for (const ValueId in : inputs) absl::StrAppend(&key, ",", in);
  for (const ValueId out : node.outputs)
    absl::StrAppend(&key, ":", graph.value(out).type.ToString());
  return key;
}

absl::StatusOr<bool> MergeEqualNodes(Graph& graph) {
  bool changed = false;
  HashMap<std::string, NodeId> seen;
  const std::vector<NodeId> order(graph.order().begin(), graph.order().end());
  for (const NodeId id : order) {
    if (!graph.alive(id)) continue;
    const Node& node = graph.node(id);
    if (node.op->kind != OpKind::kCompute || node.op->writes_state) continue;
    const auto [it, fresh] = seen.try_emplace(Key(graph, node), id);
    if (fresh) continue;
    const auto outputs = node.outputs;
    for (size_t i = 0; i < outputs.size(); ++i)
      graph.ReplaceUses(outputs[i], graph.node(it->second).outputs[i]);
    graph.DropIfDead(id);
    changed = true;
  }
  return changed;
}

absl::StatusOr<bool> EraseDead(Graph& graph) {
  const std::vector<NodeId> order(graph.order().begin(), graph.order().end());
  bool changed = false;
  for (auto id = order.rbegin(); id != order.rend(); ++id)
    if (graph.alive(*id)) changed |= graph.DropIfDead(*id);
  return changed;
}

// 1 MiB: see FoldConstants().
constexpr int64_t kMaxFoldedBytes = 1 << 20;

bool CanFold(const Graph& graph, const Node& node) {
  if (node.op->kind != OpKind::kCompute || node.op->writes_state ||
      node.inputs.empty())
    return false;
  for (const ValueId in : node.inputs)
    if (graph.producer(in).op->kind != OpKind::kConstant) return false;
  for (const ValueId out : node.outputs) {
    const TensorType& type = graph.value(out).type;
    for (const Dim& dim : type.shape)
      if (dim.is_symbol()) return false;
    if (type.BoundBytes() > kMaxFoldedBytes) return false;
  }
  return true;
}

absl::StatusOr<bool> FoldNodes(Graph& graph) {
  bool changed = false;
  const std::vector<NodeId> order(graph.order().begin(), graph.order().end());
  for (const NodeId id : order) {
    if (!graph.alive(id) || !CanFold(graph, graph.node(id))) continue;
    const Node node = graph.node(id);
    std::vector<const HostTensor*> in;
    for (const ValueId v : node.inputs)
      in.push_back(graph.producer(v).constant.get());
    std::vector<HostTensor> out;
    for (const ValueId v : node.outputs) {
      const TensorType& type = graph.value(v).type;
      out.emplace_back(type.dtype, type.shape.Bind({}));
    }
    std::vector<HostTensor*> out_pointers;
    for (HostTensor& t : out) out_pointers.push_back(&t);
    const absl::Status status = RunReference(
        *node.op, node.attrs, graph.InputTypes(node), in, out_pointers, {});
    if (!status.ok())
      return absl::Status(status.code(), absl::StrCat(graph.Describe(node),
                                                      ": ", status.message()));
    Graph::Origin origin(graph, node, "fold_constants");
    for (size_t i = 0; i < out.size(); ++i) {
      const Value folded = graph.Constant(std::move(out[i]), Where());
      WEFT_RETURN_IF_ERROR(graph.status());
      graph.ReplaceUses(node.outputs[i], folded.id());
    }
    graph.DropIfDead(id);
    changed = true;
  }
  return changed;
}

absl::Status Annotate(const absl::Status& status, absl::string_view pass) {
  if (status.ok()) return status;
  return absl::Status(
      status.code(), absl::StrCat("after pass ", pass, ": ", status.message()));
}

}  // namespace

Pass CommonSubexpressions(std::string name) {
  return {std::move(name), MergeEqualNodes};
}

Pass DeadCode() { return {"dead_code", EraseDead}; }

Pass FoldConstants() { return {"fold_constants", FoldNodes}; }

Pass Rewrite(std::string name, std::vector<Rule> rules, FusionReport* report,
             RewriteFilter allow) {
  return {std::move(name), [rules = std::move(rules), report,
                            allow = std::move(allow)](Graph& graph) {
            return ApplyRules(graph, rules, report, allow);
          }};
}

absl::Status RunPasses(Graph& graph, absl::Span<const Pass> passes,
                       const PassObserver& observer) {
  if (observer) observer("", graph);
  for (const Pass& pass : passes) {
    absl::StatusOr<bool> changed = pass.run(graph);
    WEFT_RETURN_IF_ERROR(Annotate(changed.status(), pass.name));
    if (*changed) {
      WEFT_RETURN_IF_ERROR(Annotate(graph.Sort(), pass.name));
      WEFT_RETURN_IF_ERROR(Annotate(Verify(graph), pass.name));
    }
    if (observer) observer(pass.name, graph);
  }
  return absl::OkStatus();
}

absl::Status CheckExpectations(const Graph& graph, const FusionReport& report) {
  for (const Expectation& want : graph.expectations()) {
    const int count = report.Count(want.rule);
    if (count == want.count) continue;
    std::string message =
        absl::StrCat(want.where.ToString(), ": expected rule ", want.rule,
                     " to match ", want.count, " times, it matched ", count);
    if (const RuleReport* rule = report.Find(want.rule)) {
      for (const AnchorReport& a : rule->anchors)
        if (!a.matched)
          absl::StrAppend(&message, "\n  not %", a.number, " ", a.anchor, ": ",
                          a.reason);
    } else {
      absl::StrAppend(&message, "; no rule of that name was run");
    }
    return absl::FailedPreconditionError(message);
  }
  return absl::OkStatus();
}

}  // namespace weft::inline v0
