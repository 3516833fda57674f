// A llama-like model as a bare graph, for tests of plans and printers.
#ifndef WEFT_TESTS_LLAMA_GRAPH_H_
#define WEFT_TESTS_LLAMA_GRAPH_H_

#include <cstdint>

#include "graph/graph.h"

namespace weft::inline v0 {

struct LlamaGraphOptions {
  int64_t layers = 2;
  int64_t width = 64;
  int64_t heads = 4;
  int64_t groups = 2;
  int64_t hidden = 96;
  int64_t vocab = 100;
  int64_t context = 32;
  int64_t tokens = 8;  // the bound of T
  DType weights = DType::kQ8_0;
  DType kv = DType::kF16;
};

// Builds it into `graph`, output "logits" f32[R, vocab] included. Lines of its
// nodes are those of llama_graph.cc.
void BuildLlamaGraph(Graph& graph, const LlamaGraphOptions& options = {});

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_LLAMA_GRAPH_H_
