// Printers of graphs. All use the stable ids of the graph, never addresses, so
// that two dumps of one model are equal and a diff of two passes is short.
#ifndef WEFT_GRAPH_PRINT_H_
#define WEFT_GRAPH_PRINT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "graph/graph.h"

namespace weft::inline v0 {

struct PrintOptions {
  // Also list inputs, weights, states and constants as lines of their own.
  bool sources = true;
  // End lines with "# rule <- llama.cc:31".
  bool origins = true;
};

// A line per node:
//   %13: f32[T,64] = qmatmul(%12, blk.0.attn_q.weight)  # dequant_matmul <- ...
std::string PrintText(const Graph& graph, const PrintOptions& options = {});

// For Graphviz: boxes for ops, ellipses for sources; edges carry types.
std::string PrintDot(const Graph& graph);

// {"symbols": [...], "nodes": [...], "outputs": [...]}; see graph/README.md.
std::string PrintJson(const Graph& graph);

// `text` with quotes and control characters escaped, in double quotes, as JSON
// and DOT want it. What is no UTF-8 becomes U+FFFD.
std::string Quoted(absl::string_view text);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_PRINT_H_
