#include "graph/dump/explain.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "graph/dump/names.h"
#include "graph/escape.h"

namespace weft::inline v0 {
namespace {

// The text with numbers that differ from layer to layer left out: "%12" and
// "blk.3." become "%" and "blk.".
std::string WithoutNumbers(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_number = absl::ascii_isdigit(text[i]) && i > 0 &&
                           (text[i - 1] == '%' || text[i - 1] == '.');
    if (!is_number) {
      out.push_back(text[i]);
      continue;
    }
    while (i + 1 < text.size() && absl::ascii_isdigit(text[i + 1])) ++i;
  }
  return out;
}

// Anchors that only differ in which nodes they are of.
struct AnchorGroup {
  const DumpAnchor* first = nullptr;
  int count = 0;
};

std::vector<AnchorGroup> GroupAnchors(const DumpRule& rule, bool matched) {
  std::vector<AnchorGroup> groups;
  std::map<std::pair<std::string, std::string>, size_t> index;
  for (const DumpAnchor& anchor : rule.anchors) {
    if (anchor.matched != matched) continue;
    const auto [it, fresh] = index.try_emplace(
        {anchor.where, WithoutNumbers(matched ? anchor.node : anchor.reason)},
        groups.size());
    if (fresh) groups.push_back({&anchor, 0});
    ++groups[it->second].count;
  }
  return groups;
}

std::string RuleText(const DumpRule& rule) {
  std::string out = absl::StrCat("rule ", rule.name, ": ", rule.matched, " of ",
                                 rule.anchors.size(), " matched");
  if (rule.expected >= 0)
    absl::StrAppend(&out,
                    rule.expected == rule.matched
                        ? ", as the model expects"
                        : absl::StrCat(", THE MODEL EXPECTS ", rule.expected));
  out += "\n";
  const auto append = [&out](absl::string_view answer, const AnchorGroup& g) {
    absl::StrAppend(&out, answer, g.first->value, " ", g.first->node, "\n");
    if (g.count > 1)
      absl::StrAppend(&out, "      and ", g.count - 1,
                      " more like it from that line\n");
  };
  for (const AnchorGroup& group : GroupAnchors(rule, true))
    append("  yes: %", group);
  for (const AnchorGroup& group : GroupAnchors(rule, false)) {
    const DumpAnchor& a = *group.first;
    append("  no: %", group);
    absl::StrAppend(&out, "      because ", a.reason, "\n");
    if (!a.hint.empty())
      absl::StrAppend(&out, "      to match: ", a.hint, "\n");
  }
  return out;
}

void ComplainOfRules(const Dump& dump, std::vector<std::string>& out) {
  for (const DumpRule& rule : dump.rules)
    if (rule.expected >= 0 && rule.expected != rule.matched)
      out.push_back(absl::StrCat("rule ", rule.name, " matched ", rule.matched,
                                 " times, the model expects ", rule.expected));
}

void ComplainOfDecoding(const Dump& dump, std::vector<std::string>& out) {
  const DumpStage& stage = dump.stages.back();
  const StageIndex index(dump, stage);
  for (const DumpUse& use : stage.nodes) {
    const DumpNode& node = dump.node(use);
    if (node.op != "dequant" || use.inputs.empty()) continue;
    const DumpNode& from = index.Producer(use.inputs[0]);
    if (from.kind == OpKind::kWeight)
      out.push_back(absl::StrCat(node.where, ": ", Printable(from.name),
                                 " is decoded as a whole (%", node.number(),
                                 ")"));
  }
}

void ComplainOfKernels(const Dump& dump, std::vector<std::string>& out) {
  for (const DumpStep& step : dump.plan.steps) {
    const DumpNode& node = dump.nodes[static_cast<size_t>(step.node)];
    if (!step.kernels.empty() && step.kernels[0].empty())
      out.push_back(absl::StrCat(node.where, ": ", node.op, " (%",
                                 node.number(), ") has no kernel for ",
                                 dump.plan.targets[0],
                                 " and runs on the slow reference"));
  }
}

}  // namespace

std::string Explain(const Dump& dump, absl::string_view rule) {
  std::string out;
  for (const DumpRule& r : dump.rules)
    if (rule.empty() || r.name == rule) out += RuleText(r);
  return out;
}

std::vector<std::string> Complaints(const Dump& dump) {
  std::vector<std::string> out;
  ComplainOfRules(dump, out);
  ComplainOfDecoding(dump, out);
  ComplainOfKernels(dump, out);
  return out;
}

}  // namespace weft::inline v0
