#include "graph/rewrite.h"

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "graph/match.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

// Applies one rule to every anchor, in order, and reports each.
absl::StatusOr<bool> ApplyRule(Graph& graph, const Rule& rule,
                               RuleReport& report, const RewriteFilter& allow) {
  bool changed = false;
  std::vector<AnchorReport> misses;
  // A copy, since rewriting edits the order. What a rule emits is not tried
  // again by the same rule: rules make ops that are no part of their pattern.
  const std::vector<NodeId> order(graph.order().begin(), graph.order().end());
  for (const NodeId id : order) {
    if (!graph.alive(id) || graph.node(id).op != rule.anchor()) continue;
    AnchorReport anchor;
    anchor.value = graph.node(id).outputs[0];
    anchor.number = graph.number(anchor.value);
    anchor.where = graph.node(id).where.ToString();
    anchor.anchor = graph.Describe(graph.node(id));
    if (allow && !allow(rule.name(), graph.node(id))) {
      anchor.reason = "it is switched off here";
      misses.push_back(std::move(anchor));
      continue;
    }
    Matcher matcher(graph, rule);
    WEFT_ASSIGN_OR_RETURN(anchor.matched, matcher.TryAnchor(id));
    anchor.reason = matcher.reason();
    changed |= anchor.matched;
    anchor.hint = matcher.hint();
    if (anchor.matched) anchor.reason = anchor.hint = "";
    (anchor.matched ? report.anchors : misses).push_back(std::move(anchor));
  }
  absl::c_move(misses, std::back_inserter(report.anchors));
  return changed;
}

}  // namespace

int RuleReport::matched() const {
  return static_cast<int>(
      absl::c_count_if(anchors, [](const auto& a) { return a.matched; }));
}

const RuleReport* FusionReport::Find(absl::string_view rule) const {
  for (const RuleReport& r : rules)
    if (r.rule == rule) return &r;
  return nullptr;
}

int FusionReport::Count(absl::string_view rule) const {
  const RuleReport* found = Find(rule);
  return found == nullptr ? 0 : found->matched();
}

std::string FusionReport::Summary() const {
  std::string out;
  for (const RuleReport& r : rules)
    if (!r.anchors.empty())
      absl::StrAppend(&out, r.rule, ": ", r.matched(), " of ", r.anchors.size(),
                      " matched\n");
  return out;
}

std::string FusionReport::Explain(absl::string_view rule) const {
  std::string out;
  for (const RuleReport& r : rules) {
    if (!rule.empty() && r.rule != rule) continue;
    absl::StrAppend(&out, "rule ", r.rule, ": ", r.matched(), " of ",
                    r.anchors.size(), " matched\n");
    for (const AnchorReport& a : r.anchors)
      absl::StrAppend(&out, "  %", a.number, " ", a.anchor, "\n    ",
                      a.matched ? "matched" : absl::StrCat("no: ", a.reason),
                      "\n");
  }
  return out;
}

absl::StatusOr<bool> ApplyRules(Graph& graph, absl::Span<const Rule> rules,
                                FusionReport* report,
                                const RewriteFilter& allow) {
  bool changed = false;
  for (const Rule& rule : rules) {
    RuleReport& rule_report = report->rules.emplace_back();
    rule_report.rule = std::string(rule.name());
    WEFT_ASSIGN_OR_RETURN(const bool applied,
                          ApplyRule(graph, rule, rule_report, allow));
    changed |= applied;
    if (applied) WEFT_RETURN_IF_ERROR(graph.Sort());
  }
  return changed;
}

}  // namespace weft::inline v0
