// Graph collections of Google's Model Explorer: one graph per stage; layers are
// namespaces, which it folds and unfolds.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "graph/dump/formats.h"
#include "graph/dump/json_text.h"
#include "graph/dump/names.h"
#include "graph/escape.h"

namespace weft::inline v0 {
namespace {

std::string Attribute(absl::string_view key, absl::string_view value) {
  return absl::StrCat("{\"key\": ", Quoted(key), ", \"value\": ", Quoted(value),
                      "}");
}

// What is shown beside a node, without what is empty.
std::string Attributes(const DumpNode& node) {
  std::vector<std::string> out;
  const auto add = [&out](absl::string_view key, absl::string_view value) {
    if (!value.empty()) out.push_back(Attribute(key, value));
  };
  for (const auto& [key, value] : node.attrs) add(key, value);
  add("tensor", node.name);
  add("made by", node.made_by);
  add("source line", node.where);
  return absl::StrCat("[", absl::StrJoin(out, ", "), "]");
}

// "blk/3": a slash separates namespaces.
std::string Namespace(const Dump& dump, const DumpUse& use) {
  if (use.layer < 0) return "";
  const DumpLayer& layer = dump.layers[static_cast<size_t>(use.layer)];
  return absl::StrCat(absl::StrReplaceAll(layer.prefix, {{".", "/"}}), "/",
                      layer.index);
}

std::string Edges(const StageIndex& index, const Dump& dump,
                  const DumpUse& use) {
  std::vector<std::string> edges;
  for (size_t i = 0; i < use.inputs.size(); ++i) {
    const StageIndex::Found& from = index.Find(use.inputs[i]);
    const DumpNode& node = dump.node(*from.use);
    edges.push_back(absl::StrCat("{\"sourceNodeId\": \"", node.number(),
                                 "\", \"sourceNodeOutputId\": \"",
                                 from.value - node.outputs.data(),
                                 "\", \"targetNodeInputId\": \"", i, "\"}"));
  }
  return absl::StrCat("[", absl::StrJoin(edges, ", "), "]");
}

std::string NodeJson(const Dump& dump, const StageIndex& index,
                     const DumpUse& use) {
  const DumpNode& node = dump.node(use);
  std::vector<std::string> outputs;
  for (size_t i = 0; i < node.outputs.size(); ++i)
    outputs.push_back(absl::StrCat(
        "{\"id\": \"", i, "\", \"attrs\": [",
        Attribute("tensor_shape", node.outputs[i].type.ToString()), "]}"));
  return absl::StrCat(
      "{\"id\": \"", node.number(), "\", \"label\": ", Quoted(node.op),
      ", \"namespace\": ", Quoted(Namespace(dump, use)),
      ", \"attrs\": ", Attributes(node),
      ", \"incomingEdges\": ", Edges(index, dump, use),
      ", \"outputsMetadata\": [", absl::StrJoin(outputs, ", "), "]}");
}

std::string GraphJson(const Dump& dump, const DumpStage& stage) {
  const StageIndex index(dump, stage);
  std::vector<std::string> nodes;
  for (const DumpUse& use : stage.nodes)
    nodes.push_back(NodeJson(dump, index, use));
  for (size_t i = 0; i < stage.outputs.size(); ++i) {
    const StageIndex::Found& from = index.Find(stage.outputs[i].value);
    nodes.push_back(absl::StrCat(
        "{\"id\": \"output ", i,
        "\", \"label\": ", Quoted(stage.outputs[i].name),
        ", \"namespace\": \"\", "
        "\"incomingEdges\": [{\"sourceNodeId\": \"",
        dump.node(*from.use).number(), "\", \"sourceNodeOutputId\": \"",
        from.value - dump.node(*from.use).outputs.data(),
        "\", \"targetNodeInputId\": \"0\"}]}"));
  }
  return absl::StrCat("{\"id\": ", Quoted(stage.name), ", \"nodes\": [\n",
                      absl::StrJoin(nodes, ",\n"), "\n]}");
}

}  // namespace

std::string WriteModelExplorer(const Dump& dump) {
  const auto graph = [&dump](const DumpStage& s) { return GraphJson(dump, s); };
  return absl::StrCat(
      "{\"label\": ", Quoted(dump.title.empty() ? "weft" : dump.title),
      ", \"graphs\": ", JsonLines(dump.stages, graph), "}\n");
}

}  // namespace weft::inline v0
