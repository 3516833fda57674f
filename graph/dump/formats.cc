#include "graph/dump/formats.h"

namespace weft::inline v0 {

absl::Span<const DumpFormat> DumpFormats() {
  static constexpr DumpFormat kFormats[] = {
      {"text", "a line per node, for reading and for diff", WriteText},
      {"html", "one page to look around in, needs nothing else", WriteHtml},
      {"json", "everything, as graph/dump/schema.json says", WriteJson},
      {"dot", "for Graphviz, a cluster per layer", WriteDot},
      {"mermaid", "for READMEs, layers that are alike folded", WriteMermaid},
      {"model-explorer", "for Google's Model Explorer", WriteModelExplorer},
  };
  return kFormats;
}

const DumpFormat* FindDumpFormat(absl::string_view name) {
  for (const DumpFormat& format : DumpFormats())
    if (format.name == name) return &format;
  return nullptr;
}

}  // namespace weft::inline v0
