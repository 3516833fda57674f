#include "models/taps.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "graph/hash.h"
#include "models/glob.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

// Weights, and what is computed from them alone: by ValueId, the weight's name
// or "" for other values.
class WeightNames {
 public:
  explicit WeightNames(const Graph& graph)
      : names_(static_cast<size_t>(graph.num_values())),
        from_weights_(names_.size()) {
    for (const NodeId id : graph.order()) {
      const Node& node = graph.node(id);
      const OpKind kind = node.op->kind;
      const bool is = kind == OpKind::kWeight || kind == OpKind::kConstant ||
                      (kind == OpKind::kCompute && !node.inputs.empty() &&
                       absl::c_all_of(node.inputs, [this](ValueId in) {
                         return IsFromWeights(in);
                       }));
      for (const ValueId v : node.outputs) {
        from_weights_[static_cast<size_t>(v)] = is;
        if (is) names_[static_cast<size_t>(v)] = NameOf(node);
      }
    }
  }

  bool IsFromWeights(ValueId v) const {
    return from_weights_[static_cast<size_t>(v)];
  }
  // Of the first weight that the node reads; "" for none.
  std::string NameOf(const Node& node) const {
    if (node.op->kind == OpKind::kWeight)
      return std::string(absl::StripSuffix(node.name, ".weight"));
    for (const ValueId in : node.inputs)
      if (IsFromWeights(in)) return names_[static_cast<size_t>(in)];
    return "";
  }

 private:
  std::vector<std::string> names_;
  std::vector<bool> from_weights_;
};

// Some of the names, to choose others after their example.
std::string Examples(const std::vector<Tap>& all) {
  constexpr size_t kShown = 12;
  std::string out;
  for (size_t i = 0; i < std::min(all.size(), kShown); ++i)
    absl::StrAppend(&out, i == 0 ? "" : ", ", all[i].name);
  return all.size() > kShown
             ? absl::StrCat(out, " and ", all.size() - kShown, " more")
             : out;
}

}  // namespace

std::vector<Tap> TapsOf(const Graph& graph) {
  const WeightNames weights(graph);
  HashMap<std::string, int> times;
  std::vector<Tap> taps;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind != OpKind::kCompute || node.op->writes_state ||
        weights.IsFromWeights(node.outputs[0]))
      continue;
    for (const ValueId v : node.outputs) {
      std::string name = graph.value(v).name;
      if (name.empty()) name = weights.NameOf(node);
      if (name.empty())
        name = absl::StrCat("%", graph.number(v), ".", node.op->name);
      if (const int time = ++times[name]; time > 1)
        absl::StrAppend(&name, "#", time);
      taps.push_back({std::move(name), v});
    }
  }
  return taps;
}

absl::StatusOr<std::vector<Tap>> AddTaps(Graph& graph,
                                         absl::Span<const std::string> globs) {
  const std::vector<Tap> all = TapsOf(graph);
  std::vector<Tap> taps;
  HashSet<ValueId> taken;
  for (const std::string& glob : globs) {
    bool found = false;
    for (const Tap& tap : all) {
      if (!Matches(glob, tap.name)) continue;
      found = true;
      if (!taken.insert(tap.value).second) continue;
      graph.Output(tap.name, Value(&graph, tap.value), Where());
      taps.push_back(tap);
    }
    if (!found)
      return absl::NotFoundError(absl::StrCat("no value of the model matches ",
                                              QuoteInput(glob), "; there are ",
                                              Examples(all)));
  }
  return taps;
}

std::string TapCosts(const FusionReport& without, const FusionReport& with) {
  std::string out;
  for (const RuleReport& rule : with.rules) {
    const int before = without.Count(rule.rule);
    if (rule.matched() >= before) continue;
    absl::StrAppend(&out, "rule ", rule.rule, " matches ", rule.matched(),
                    " times and not ", before, "\n");
    for (const AnchorReport& anchor : rule.anchors)
      if (!anchor.matched)
        absl::StrAppend(&out, "  not %", anchor.number, " ", anchor.anchor,
                        ": ", anchor.reason, "\n");
  }
  return out;
}

}  // namespace weft::inline v0
