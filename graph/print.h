// Graphs as text. All use numbers that stay through every pass and are the same
// for any compiler, never addresses, so that two dumps of one model are equal
// and a diff of two passes is short. Other formats: graph/dump/formats.h.
#ifndef WEFT_GRAPH_PRINT_H_
#define WEFT_GRAPH_PRINT_H_

#include <string>

#include "graph/dump/formats.h"
#include "graph/graph.h"

namespace weft::inline v0 {

// A line per node:
//   %13: f32[T,64] = qmatmul(%12, blk.0.attn_q.weight)  # dequant_matmul <- ...
std::string PrintText(const Graph& graph, const TextOptions& options = {});

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_PRINT_H_
