// Makes a Dump of a graph while passes run on it.
#ifndef WEFT_GRAPH_DUMP_RECORDER_H_
#define WEFT_GRAPH_DUMP_RECORDER_H_

#include <string>
#include <vector>

#include "graph/dump/dump.h"
#include "graph/graph.h"
#include "graph/hash.h"
#include "graph/passes.h"
#include "graph/rewrite.h"

namespace weft::inline v0 {

// Records the graph after each pass. A pass that changed nothing is a stage
// too, equal to the one before.
class DumpRecorder {
 public:
  // What a pipeline calls after each pass; this outlives it.
  PassObserver observer() {
    return [this](absl::string_view pass, const Graph& graph) {
      Record(pass, graph);
    };
  }
  // A stage of the graph as it is now; "" as its name means "as built".
  void Record(absl::string_view stage, const Graph& graph);
  // What was recorded, with layers and folds. Leaves nothing behind.
  Dump Take();

 private:
  int IndexOf(const Graph& graph, const Node& node);

  Dump dump_;
  HashMap<NodeId, int> index_;  // into dump_.nodes
};

// The graph as it is, as a single stage.
Dump DumpOf(const Graph& graph, absl::string_view stage = "");

// What rules matched, what not and why, and what the model expected.
void AddRules(const Graph& graph, const FusionReport& report, Dump& dump);

// The name of the stage before any pass.
inline constexpr char kAsBuilt[] = "as built";

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_DUMP_RECORDER_H_
