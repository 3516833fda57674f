// Mermaid flowcharts, which GitHub and GitLab draw inside Markdown.
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "graph/dump/folded.h"
#include "graph/dump/formats.h"
#include "graph/escape.h"

namespace weft::inline v0 {
namespace {

// Mermaid has no backslash escapes but HTML's entities, with # for &.
std::string MermaidString(absl::string_view printable) {
  return absl::StrCat("\"",
                      absl::StrReplaceAll(printable, {{"#", "#35;"},
                                                      {"\"", "#quot;"},
                                                      {"<", "#lt;"},
                                                      {">", "#gt;"},
                                                      {"\n", "<br/>"}}),
                      "\"");
}

std::string NodeLine(const Dump& dump, const StageIndex& index,
                     const DumpUse& use, absl::string_view indent) {
  const DumpNode& node = dump.node(use);
  std::string label =
      absl::StrCat(node.op, "\n", node.outputs[0].type.ToString());
  for (const std::string& source : SourcesOf(dump, index, use))
    absl::StrAppend(&label, "\n", source);
  return absl::StrCat(indent, "n", node.number(), "[", MermaidString(label),
                      "]\n");
}

std::string Flowchart(const Dump& dump, const DumpStage& stage) {
  const StageIndex index(dump, stage);
  const FoldedStage folded = FoldStage(dump, stage);
  std::string out = "flowchart TD\n";
  for (const DumpUse* use : folded.rest)
    out += NodeLine(dump, index, *use, "  ");
  for (size_t i = 0; i < folded.layers.size(); ++i) {
    absl::StrAppend(&out, "  subgraph layer", i, "[",
                    MermaidString(folded.layers[i].title), "]\n");
    for (const DumpUse* use : folded.layers[i].nodes)
      out += NodeLine(dump, index, *use, "    ");
    out += "  end\n";
  }
  const auto number = [&dump](int node) {
    return dump.nodes[static_cast<size_t>(node)].number();
  };
  for (const FoldedEdge& edge : folded.edges)
    absl::StrAppend(&out, "  n", number(edge.from),
                    edge.repeats ? " -. next layer .-> n" : " --> n",
                    number(edge.to), "\n");
  for (size_t i = 0; i < stage.outputs.size(); ++i)
    absl::StrAppend(&out, "  n", dump.node(*folded.last[i]).number(),
                    " --> out", i, "([",
                    MermaidString(Printable(stage.outputs[i].name)), "])\n");
  return out;
}

}  // namespace

std::string WriteMermaid(const Dump& dump) {
  return absl::StrJoin(dump.stages, "\n",
                       [&dump](std::string* s, const DumpStage& stage) {
                         if (dump.stages.size() > 1)
                           absl::StrAppend(s, "%% ", stage.name, "\n");
                         s->append(Flowchart(dump, stage));
                       });
}

}  // namespace weft::inline v0
