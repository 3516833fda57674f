// The formats that dumps are written in.
#ifndef WEFT_GRAPH_DUMP_FORMATS_H_
#define WEFT_GRAPH_DUMP_FORMATS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/dump/dump.h"

namespace weft::inline v0 {

// Of all stages; a page or a picture of one graph shows the last.
struct DumpFormat {
  absl::string_view name;     // "html"
  absl::string_view summary;  // what it is for, in a few words
  std::string (*write)(const Dump& dump);
};

// text, html, json, dot, mermaid, model-explorer.
absl::Span<const DumpFormat> DumpFormats();
// Null when there is none of that name.
const DumpFormat* FindDumpFormat(absl::string_view name);

// A line per node, for reading and for diff; see PrintText().
std::string WriteText(const Dump& dump);
// One page that needs nothing else: no network, no other file.
std::string WriteHtml(const Dump& dump);
// As graph/dump/schema.json says.
std::string WriteJson(const Dump& dump);
// For Graphviz, a cluster for each layer, those that are alike folded.
std::string WriteDot(const Dump& dump);
// For a README: layers that are alike folded.
std::string WriteMermaid(const Dump& dump);
// A graph collection of Google's Model Explorer.
std::string WriteModelExplorer(const Dump& dump);

struct TextOptions {  // What WriteText leaves out.
  // Also list inputs, weights, states and constants as lines of their own.
  bool sources = true;
  // End lines with "# rule <- llama.cc:31".
  bool origins = true;
};
// Of one stage.
std::string WriteText(const Dump& dump, const DumpStage& stage,
                      const TextOptions& options);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_DUMP_FORMATS_H_
