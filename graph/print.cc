#include "graph/print.h"

#include "graph/dump/recorder.h"

namespace weft::inline v0 {

std::string PrintText(const Graph& graph, const TextOptions& options) {
  const Dump dump = DumpOf(graph);
  return WriteText(dump, dump.stages[0], options);
}

}  // namespace weft::inline v0
