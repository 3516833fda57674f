#include "graph/dump/recorder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/dump/layers.h"

namespace weft::inline v0 {
namespace {

DumpNode Describe(const Graph& graph, const Node& node) {
  DumpNode out;
  out.op = std::string(node.op->name);
  out.kind = node.op->kind;
  out.is_view = node.op->view != ViewKind::kNone;
  out.name = node.name;
  for (const ValueId v : node.outputs)
    out.outputs.push_back({graph.number(v), graph.value(v).type});
  for (const auto& [name, value] : node.attrs)
    out.attrs.emplace_back(std::string(name), value.ToString());
  out.attrs_text = node.attrs.ToString();
  out.where = node.where.ToString();
  out.made_by = std::string(node.made_by);
  return out;
}

// Numbers nodes by their place among all, in the order of their own numbers.
void SortNodes(Dump& dump) {
  std::vector<int> order(dump.nodes.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  const auto number = [&dump](int i) {
    return dump.nodes[static_cast<size_t>(i)].number();
  };
  std::sort(order.begin(), order.end(),
            [&](int a, int b) { return number(a) < number(b); });
  std::vector<int> place(order.size());
  std::vector<DumpNode> sorted;
  for (const int i : order) {
    place[static_cast<size_t>(i)] = static_cast<int>(sorted.size());
    sorted.push_back(std::move(dump.nodes[static_cast<size_t>(i)]));
  }
  dump.nodes = std::move(sorted);
  for (DumpStage& stage : dump.stages)
    for (DumpUse& use : stage.nodes)
      use.node = place[static_cast<size_t>(use.node)];
}

}  // namespace

int DumpRecorder::IndexOf(const Graph& graph, const Node& node) {
  const auto [it, fresh] =
      index_.try_emplace(node.id, static_cast<int>(dump_.nodes.size()));
  if (fresh) dump_.nodes.push_back(Describe(graph, node));
  return it->second;
}

void DumpRecorder::Record(absl::string_view stage, const Graph& graph) {
  DumpStage& out = dump_.stages.emplace_back();
  out.name = stage.empty() ? kAsBuilt : std::string(stage);
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    DumpUse& use = out.nodes.emplace_back();
    use.node = IndexOf(graph, node);
    for (const ValueId v : node.inputs) use.inputs.push_back(graph.number(v));
    for (const ValueId v : node.outputs)
      if (const std::string& name = graph.value(v).name; !name.empty())
        out.names.emplace_back(graph.number(v), name);
  }
  for (const Graph::NamedValue& output : graph.outputs())
    out.outputs.push_back({output.name, graph.number(output.value)});
  dump_.symbols = graph.Symbols();
}

Dump DumpRecorder::Take() {
  SortNodes(dump_);
  FindLayers(dump_);
  index_.clear();
  return std::exchange(dump_, Dump());
}

Dump DumpOf(const Graph& graph, absl::string_view stage) {
  DumpRecorder recorder;
  recorder.Record(stage, graph);
  return recorder.Take();
}

void AddRules(const Graph& graph, const FusionReport& report, Dump& dump) {
  for (const RuleReport& rule : report.rules) {
    DumpRule& out = dump.rules.emplace_back();
    out.name = rule.rule;
    out.matched = rule.matched();
    for (const Expectation& want : graph.expectations())
      if (want.rule == rule.rule) out.expected = want.count;
    for (const AnchorReport& anchor : rule.anchors)
      out.anchors.push_back({anchor.number, anchor.anchor, anchor.where,
                             anchor.matched, anchor.reason, anchor.hint});
  }
}

}  // namespace weft::inline v0
