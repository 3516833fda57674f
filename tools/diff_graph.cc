#include "tools/diff_graph.h"

#include <cstring>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "backends/backend.h"
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

}  // namespace

absl::StatusOr<HostTensor> WeightRows(const TensorType& type,
                                      absl::Span<const std::byte> bytes,
                                      int64_t begin, int64_t end) {
  Dims dims = type.shape.Bind({});
  const int64_t rows = dims.empty() ? 1 : dims[0];
  if (!dims.empty()) dims[0] = end - begin;
  HostTensor tensor(type.dtype, std::move(dims));
  const size_t size = tensor.bytes.size();
  const size_t row = size / static_cast<size_t>(end - begin);
  if (bytes.size() < row * static_cast<size_t>(rows))
    return absl::InvalidArgumentError(
        absl::StrCat("has ", bytes.size(), " bytes, ", type.ToString(),
                     " needs ", row * static_cast<size_t>(rows)));
  const std::byte* from = bytes.data() + row * static_cast<size_t>(begin);
  if (IsPacked(type.dtype))
    PackRows(RowsType(type.dtype), from, end - begin, static_cast<int64_t>(row),
             tensor.bytes.data());
  else
    std::memcpy(tensor.bytes.data(), from, size);
  return tensor;
}

absl::StatusOr<HostTensor> WeightTensor(const Graph& graph, const Node& node,
                                        const WeightSource& weights) {
  const TensorType& type = graph.value(node.outputs[0]).type;
  WEFT_ASSIGN_OR_RETURN(const auto bytes, weights(node));
  const int64_t rows = type.shape.rank() == 0 ? 1 : type.shape.dim(0).bound();
  absl::StatusOr<HostTensor> tensor = WeightRows(type, bytes, 0, rows);
  if (tensor.ok()) return tensor;
  return absl::Status(
      tensor.status().code(),
      absl::StrCat("weight ", node.name, " ", tensor.status().message()));
}

WeightSource SourceFor(const DiffGraph& diff, const DiffSubject& subject) {
  using Copies = absl::flat_hash_map<NodeId, HostTensor>;
  return [graph = diff.graph, weights = subject.weights,
          copies = std::make_shared<Copies>()](
             const Node& node) -> absl::StatusOr<absl::Span<const std::byte>> {
    if (!IsPacked(graph->value(node.outputs[0]).type.dtype))
      return weights(node);
    auto known = copies->find(node.id);
    if (known == copies->end()) {
      WEFT_ASSIGN_OR_RETURN(HostTensor copy,
                            WeightTensor(*graph, node, weights));
      known = copies->emplace(node.id, std::move(copy)).first;
    }
    return absl::MakeConstSpan(known->second.bytes);
  };
}

namespace {

// One graph is for all targets: one that has no kernel for what another one
// packs runs that on its reference.
absl::StatusOr<bool> AnyPacksHalves(const std::vector<std::string>& targets) {
  if (targets.empty()) {
    WEFT_ASSIGN_OR_RETURN(const auto best, MakeBackend("cpu"));
    return best->PacksHalves();
  }
  for (const std::string& target : targets) {
    WEFT_ASSIGN_OR_RETURN(const auto one,
                          MakeBackend("cpu", {.target = target}));
    if (one->PacksHalves()) return true;
  }
  return false;
}

}  // namespace

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
  WEFT_ASSIGN_OR_RETURN(optimize.pack_halves, AnyPacksHalves(options.targets));
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

std::string DiffStage::name() const {
  return absl::StrCat(pass == kNoPass ? "" : "after ", pass, ", reference");
}

void Count(const Graph& graph, const Node& node, size_t step,
           const Difference& difference, DiffRun& run) {
  ++run.values;
  if (run.values > 1 && difference.nmse <= run.worst.nmse) return;
  run.worst = difference;
  run.worst_value = ShortNodeText(graph, node);
  run.worst_step = step;
}

}  // namespace weft::inline v0
