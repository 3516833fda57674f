// A stage with each run of like layers drawn once, for formats that lay the
// graph out on paper.
#ifndef WEFT_GRAPH_DUMP_FOLDED_H_
#define WEFT_GRAPH_DUMP_FOLDED_H_

#include <string>
#include <vector>

#include "graph/dump/dump.h"
#include "graph/dump/names.h"

namespace weft::inline v0 {

// What stands for a layer or for several.
struct FoldedLayer {
  const DumpFold* fold = nullptr;
  std::string title;                  // "blk.1 to blk.78 (x 78)"
  std::vector<const DumpUse*> nodes;  // of the first of them
};

struct FoldedEdge {
  int from = 0, to = 0;  // indices into Dump::nodes
  int value = 0;         // number
  // Goes round to the next of the folded layers.
  bool repeats = false;
};

struct FoldedStage {
  std::vector<FoldedLayer> layers;
  std::vector<const DumpUse*> rest;  // nodes of no layer
  std::vector<FoldedEdge> edges;
  std::vector<const DumpUse*> last;  // nodes that outputs come from
};

// Weights, states and inputs with several readers are left out; SourcesOf()
// tells them with their readers.
FoldedStage FoldStage(const Dump& dump, const DumpStage& stage);

// Names of the weights and states that a node reads, the part that is the same
// in every layer, with their types: "attn_q.weight q4_k[64,64]".
std::vector<std::string> SourcesOf(const Dump& dump, const StageIndex& index,
                                   const DumpUse& use);

// Whether the node is drawn by itself.
bool IsDrawn(const DumpNode& node);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_DUMP_FOLDED_H_
