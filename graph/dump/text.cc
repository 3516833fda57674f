// Text: the dump that tests and diff read.
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/dump/formats.h"
#include "graph/dump/names.h"
#include "graph/escape.h"

namespace weft::inline v0 {
namespace {

std::string Results(const StageIndex& index, const DumpNode& node) {
  return absl::StrJoin(
      node.outputs, ", ", [&](std::string* s, const DumpValue& v) {
        absl::StrAppend(s, "%", v.number, ": ", v.type.ToString());
        const absl::string_view name = index.NameOf(v.number);
        if (!name.empty()) absl::StrAppend(s, " \"", Printable(name), "\"");
      });
}

std::string Operands(const StageIndex& index, const DumpUse& use,
                     const DumpNode& node) {
  if (!node.name.empty()) return Printable(node.name);
  std::string out = absl::StrJoin(use.inputs, ", ", [&](std::string* s, int v) {
    const DumpNode& from = index.Producer(v);
    s->append(from.name.empty() ? absl::StrCat("%", v) : Printable(from.name));
  });
  if (!node.attrs_text.empty())
    absl::StrAppend(&out, out.empty() ? "" : ", ", Printable(node.attrs_text));
  return out;
}

}  // namespace

std::string WriteText(const Dump& dump, const DumpStage& stage,
                      const TextOptions& options) {
  const StageIndex index(dump, stage);
  std::string out;
  for (const DumpUse& use : stage.nodes) {
    const DumpNode& node = dump.node(use);
    if (IsSource(node) && !options.sources) continue;
    absl::StrAppend(&out, Results(index, node), " = ", node.op, "(",
                    Operands(index, use, node), ")");
    const std::string origin = options.origins ? OriginOf(node) : "";
    absl::StrAppend(&out, origin.empty() ? "" : "  # ", origin, "\n");
  }
  for (const DumpOutput& output : stage.outputs)
    absl::StrAppend(&out, "output ", Printable(output.name), " = %",
                    output.value, "\n");
  return out;
}

std::string WriteText(const Dump& dump) {
  if (dump.stages.size() == 1)
    return WriteText(dump, dump.stages.back(), TextOptions());
  return absl::StrJoin(dump.stages, "\n",
                       [&dump](std::string* s, const DumpStage& stage) {
                         absl::StrAppend(s, "== ", stage.name, "\n",
                                         WriteText(dump, stage, TextOptions()));
                       });
}

}  // namespace weft::inline v0
