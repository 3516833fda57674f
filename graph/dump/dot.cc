// Graphviz: one cluster per layer, like layers drawn once.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "graph/dump/folded.h"
#include "graph/dump/formats.h"
#include "graph/escape.h"

namespace weft::inline v0 {
namespace {

// A string of DOT. Its own backslash sequences mean things in labels, so that
// a backslash is two; \l ends a line that is set flush left.
std::string DotString(absl::string_view printable) {
  return absl::StrCat(
      "\"",
      absl::StrReplaceAll(printable,
                          {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}),
      "\"");
}

std::string NodeLine(const Dump& dump, const StageIndex& index,
                     const DumpUse& use, absl::string_view indent) {
  const DumpNode& node = dump.node(use);
  std::vector<std::string> lines = {node.op};
  for (const DumpValue& v : node.outputs) lines.push_back(v.type.ToString());
  for (std::string& source : SourcesOf(dump, index, use))
    lines.push_back(std::move(source));
  return absl::StrCat(
      indent, "n", node.number(),
      " [label=", DotString(absl::StrJoin(lines, "\n")),
      node.is_view ? ", style=\"rounded,dashed\"" : "", ", tooltip=",
      DotString(absl::StrCat("%", node.number(), " ",
                             Printable(node.attrs_text), " ", OriginOf(node))),
      "];\n");
}

void AddLayer(const Dump& dump, const StageIndex& index,
              const FoldedLayer& layer, size_t number, std::string& out) {
  std::string title = layer.title;
  if (!layer.fold->differs.empty())
    absl::StrAppend(&title, "\ndiffers in: ",
                    absl::StrJoin(layer.fold->differs, ", ",
                                  [](std::string* s, const std::string& what) {
                                    s->append(Printable(what));
                                  }));
  absl::StrAppend(&out, "  subgraph cluster_", number,
                  " {\n    label=", DotString(title),
                  ";\n    style=\"rounded,filled\";",
                  " color=\"#b8c2cc\"; fillcolor=\"#f5f7f9\";\n",
                  layer.fold->count > 1 ? "    peripheries=2;\n" : "");
  for (const DumpUse* use : layer.nodes)
    out += NodeLine(dump, index, *use, "    ");
  out += "  }\n";
}

std::string Digraph(const Dump& dump, const DumpStage& stage) {
  const StageIndex index(dump, stage);
  const FoldedStage folded = FoldStage(dump, stage);
  std::string out = absl::StrCat(
      "digraph weft {\n  graph [fontname=\"Helvetica\", fontsize=11, "
      "labeljust=l, ranksep=0.3, nodesep=0.25];\n"
      "  node [shape=box, style=rounded, fontname=\"Helvetica\", fontsize=10, "
      "margin=\"0.12,0.05\", height=0.3];\n"
      "  edge [fontname=\"Helvetica\", fontsize=8, color=\"#5b6770\", "
      "arrowsize=0.6];\n");
  for (const DumpUse* use : folded.rest)
    out += NodeLine(dump, index, *use, "  ");
  for (size_t i = 0; i < folded.layers.size(); ++i)
    AddLayer(dump, index, folded.layers[i], i, out);
  const auto number = [&dump](int node) {
    return dump.nodes[static_cast<size_t>(node)].number();
  };
  for (const FoldedEdge& edge : folded.edges)
    absl::StrAppend(&out, "  n", number(edge.from), " -> n", number(edge.to),
                    edge.repeats ? " [style=dashed, constraint=false, "
                                   "label=\"next layer\"]"
                                 : "",
                    ";\n");
  for (size_t i = 0; i < stage.outputs.size(); ++i)
    absl::StrAppend(&out, "  out", i,
                    " [label=", DotString(Printable(stage.outputs[i].name)),
                    ", shape=ellipse, style=bold];\n  n",
                    dump.node(*folded.last[i]).number(), " -> out", i, ";\n");
  return out + "}\n";
}

}  // namespace

std::string WriteDot(const Dump& dump) {
  if (dump.stages.size() == 1) return Digraph(dump, dump.stages[0]);
  return absl::StrJoin(
      dump.stages, "\n", [&dump](std::string* s, const DumpStage& stage) {
        absl::StrAppend(s, "// ", stage.name, "\n", Digraph(dump, stage));
      });
}

}  // namespace weft::inline v0
