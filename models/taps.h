// Taps: values of a graph that are observed while it runs.
#ifndef WEFT_MODELS_TAPS_H_
#define WEFT_MODELS_TAPS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "graph/graph.h"
#include "graph/rewrite.h"

namespace weft::inline v0 {

struct Tap {  // A value and the name to ask for it.
  std::string name;
  ValueId value = -1;
};

// Every value that a graph before any pass computes from more than weights,
// but states: by the name that the model gave it ("layer.3"); else by the
// weight that it is the product, sum or gathering of ("blk.3.attn_q",
// "blk.3.attn_q.bias"); else by its number and op ("%53.softmax"). Names that
// come more than once have "#2" and so on behind them.
std::vector<Tap> TapsOf(const Graph& graph);

// Makes the values whose names match one of the patterns (see glob.h) outputs
// of the graph, under these names. Fusions that would swallow them do not take
// place then; the FusionReport says so. NotFound for a pattern that nothing
// matches, with names that there are.
absl::StatusOr<std::vector<Tap>> AddTaps(Graph& graph,
                                         absl::Span<const std::string> globs);

// What taps cost: a line for each rule that matched less often than without
// them, and the reasons. "" when they cost no fusion.
std::string TapCosts(const FusionReport& without, const FusionReport& with);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_TAPS_H_
