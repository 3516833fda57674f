// What differs between two graphs.
#ifndef WEFT_GRAPH_DUMP_DIFF_H_
#define WEFT_GRAPH_DUMP_DIFF_H_

#include <string>
#include <vector>

#include "graph/dump/dump.h"

namespace weft::inline v0 {

// One difference; the same one in several layers is one.
struct DumpDifference {
  enum class Kind { kAdded, kRemoved, kChanged };
  Kind kind;
  // "qmatmul of attn_q.weight at llama.cc:97"; the layer is in `layers`.
  std::string node;
  std::string what;  // "type q4_k[64,64] -> q6_k[64,64]"; of kChanged
  std::vector<std::string> layers;  // "blk.3"; empty: of none
};

// Of the two last stages. Nodes of one dump's stages are the same when they
// have the same number (`same_numbers`); those of different dumps, when they
// are the same in turn of their op, line and weights in their layer.
std::vector<DumpDifference> Diff(const Dump& before, const DumpStage& a,
                                 const Dump& after, const DumpStage& b,
                                 bool same_numbers);

// A line each: "+" added, "-" removed, "~" changed; "" when there are none.
std::string DiffText(const std::vector<DumpDifference>& differences);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_DUMP_DIFF_H_
