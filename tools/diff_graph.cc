#include "tools/diff_graph.h"

#include <cstring>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "graph/interpret.h"
#include "graph/packed.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

// Gives every value a name of its own: rewrites hand it on to what replaces the
// value.
void NameValues(Graph& graph, bool all) {
  for (const NodeId id : graph.order())
    for (const ValueId v : graph.node(id).outputs)
      if (all || graph.value(v).name.empty())
        graph.SetName(v, absl::StrCat("%", graph.number(v)));
}

std::vector<Application> ApplicationsOf(const FusionReport& report) {
  std::vector<Application> out;
  for (const RuleReport& rule : report.rules)
    for (const AnchorReport& anchor : rule.anchors)
      if (anchor.matched)
        out.push_back({rule.rule, anchor.value,
                       absl::StrCat("rule ", rule.rule, " at %", anchor.number,
                                    " ", anchor.anchor)});
  return out;
}

std::vector<bool> FromWeights(const Graph& graph) {
  std::vector<bool> from(static_cast<size_t>(graph.num_values()));
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const OpKind kind = node.op->kind;
    const bool is = kind == OpKind::kWeight || kind == OpKind::kConstant ||
                    (kind == OpKind::kCompute && !node.inputs.empty() &&
                     absl::c_all_of(node.inputs, [&](ValueId in) {
                       return from[static_cast<size_t>(in)];
                     }));
    for (const ValueId v : node.outputs) from[static_cast<size_t>(v)] = is;
  }
  return from;
}

// The state that a writer's chain begins with.
const Node& StateOf(const Graph& graph, const Node& writer) {
  const Node* node = &writer;
  while (node->op->kind == OpKind::kCompute)
    node = &graph.producer(node->inputs[0]);
  return *node;
}

}  // namespace

absl::StatusOr<HostTensor> WeightTensor(const Graph& graph, const Node& node,
                                        const WeightSource& weights) {
  const TensorType& type = graph.value(node.outputs[0]).type;
  HostTensor tensor(type.dtype, type.shape.Bind({}));
  WEFT_ASSIGN_OR_RETURN(const auto bytes, weights(node));
  if (bytes.size() < tensor.bytes.size())
    return absl::InvalidArgumentError(
        absl::StrCat("weight ", node.name, " has ", bytes.size(), " bytes, ",
                     type.ToString(), " needs ", tensor.bytes.size()));
  if (IsPacked(type.dtype)) {
    const int64_t rows = tensor.dims[0];
    PackRows(RowsType(type.dtype), bytes.data(), rows,
             static_cast<int64_t>(tensor.bytes.size()) / rows,
             tensor.bytes.data());
  } else {
    std::memcpy(tensor.bytes.data(), bytes.data(), tensor.bytes.size());
  }
  return tensor;
}

WeightSource SourceFor(const DiffGraph& diff, const DiffSubject& subject) {
  using Copies = absl::flat_hash_map<NodeId, HostTensor>;
  return [graph = diff.graph, weights = subject.weights,
          copies = std::make_shared<Copies>()](
             const Node& node) -> absl::StatusOr<absl::Span<const std::byte>> {
    if (!IsPacked(graph->value(node.outputs[0]).type.dtype))
      return weights(node);
    WEFT_ASSIGN_OR_RETURN(HostTensor copy, WeightTensor(*graph, node, weights));
    return absl::MakeConstSpan(
        copies->insert_or_assign(node.id, std::move(copy)).first->second.bytes);
  };
}

absl::StatusOr<DiffGraph> MakeDiffGraph(const DiffSubject& subject,
                                        const DiffOptions& options,
                                        const std::string& last_pass,
                                        const RewriteFilter& allow) {
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<Graph> graph, subject.build());
  WEFT_RETURN_IF_ERROR(graph->Finish());
  DiffGraph out;
  std::vector<NodeId> before;
  OptimizeOptions optimize;
  optimize.check_expectations = false;
  optimize.numerics = options.numerics;
  optimize.last_pass = last_pass;
  optimize.pack_weights = true;  // the last pass of all
  optimize.allow = allow;
  optimize.fusion_rules = options.fusion_rules;
  optimize.observer = [&](absl::string_view pass, const Graph& now) {
    NameValues(*graph, pass.empty());
    std::vector<NodeId> order(now.order().begin(), now.order().end());
    out.changed = order != before;
    before = std::move(order);
  };
  WEFT_ASSIGN_OR_RETURN(const FusionReport report, Optimize(*graph, optimize));
  out.applications = ApplicationsOf(report);
  out.from_weights = FromWeights(*graph);
  out.graph = std::move(graph);
  return out;
}

RewriteFilter FirstOf(const std::vector<Application>& all, size_t n) {
  return [allowed = std::vector<Application>(
              all.begin(), all.begin() + static_cast<int64_t>(n))](
             absl::string_view rule, const Node& anchor) {
    return absl::c_any_of(allowed, [&](const Application& a) {
      return a.rule == rule && a.anchor == anchor.outputs[0];
    });
  };
}

RewriteFilter AllBut(const Application& one) {
  return [one](absl::string_view rule, const Node& anchor) {
    return one.rule != rule || one.anchor != anchor.outputs[0];
  };
}

std::string NodeText(const Graph& graph, const Node& node) {
  return absl::StrCat("%", graph.number(node), " ", graph.Describe(node));
}

std::string ShortNodeText(const Graph& graph, const Node& node) {
  const std::string where = node.where.ToString();
  return absl::StrCat("%", graph.number(node), " ", node.op->name,
                      where.empty() ? "" : absl::StrCat(" (", where, ")"));
}

absl::Status RunOnReferences(
    const DiffGraph& diff, const DiffSubject& subject,
    const DiffOptions& options,
    const std::function<absl::Status(size_t step, ValueId, const HostTensor&)>&
        visit) {
  const Graph& graph = *diff.graph;
  absl::flat_hash_map<NodeId, HostTensor> states;
  const auto all =
      static_cast<double>(graph.order().size() * subject.steps.size());
  double done = 0;
  for (size_t step = 0; step < subject.steps.size(); ++step) {
    const DiffStep& now = subject.steps[step];
    const auto source = [&](const Graph&,
                            const Node& node) -> absl::StatusOr<HostTensor> {
      if (node.op->kind == OpKind::kWeight)
        return WeightTensor(graph, node, subject.weights);
      if (node.op->kind == OpKind::kState) {
        const TensorType& type = graph.value(node.outputs[0]).type;
        return states
            .try_emplace(node.id, HostTensor(type.dtype, type.shape.Bind({})))
            .first->second;
      }
      const auto input = now.inputs.find(node.name);
      if (input == now.inputs.end())
        return absl::NotFoundError(
            absl::StrCat("the graph's input ", node.name, " has no value"));
      return input->second;
    };
    const auto see = [&](ValueId v, const HostTensor& value) -> absl::Status {
      if (options.cancel != nullptr && options.cancel->load())
        return absl::CancelledError("cancelled");
      const Node& node = graph.producer(v);
      if (graph.value(v).index == 0 && options.share)
        options.share(++done / all);
      if (node.op->kind != OpKind::kCompute) return absl::OkStatus();
      if (node.op->writes_state && v == node.outputs[0])
        states[StateOf(graph, node).id] = value;
      return visit(step, v, value);
    };
    WEFT_RETURN_IF_ERROR(InterpretEach(graph, now.symbols, source, see));
  }
  return absl::OkStatus();
}

}  // namespace weft::inline v0
