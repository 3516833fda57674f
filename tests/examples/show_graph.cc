// Shows the graph of a program's own model: writes a page to the file that is
// named on the command line, or the text of the graph to standard output.
#include <fstream>
#include <iostream>

#include <weft/backends/dump_plan.h>
#include <weft/graph/dump/formats.h>
#include <weft/ops/ops.h>

namespace {

// Three layers of a feed-forward network.
void Build(weft::Graph& g) {
  weft::Value x =
      g.Input("x", weft::DType::kF32, {weft::Dim::Symbol("T", 512), 64});
  for (int i = 0; i < 3; ++i) {
    const std::string layer = "blk." + std::to_string(i);
    const auto weight = [&](const char* name, int64_t rows, int64_t columns) {
      return g.Weight(layer + name, weft::DType::kQ8_0, {rows, columns});
    };
    const weft::Value norm = g.Weight(layer + ".norm", weft::DType::kF32, {64});
    const weft::Value h = RmsNorm(x, 1e-5) * norm;
    const weft::Value gate = Linear(h, weight(".gate", 192, 64));
    const weft::Value up = Linear(h, weight(".up", 192, 64));
    x = x + Linear(SwiGlu(gate, up), weight(".down", 64, 192));
  }
  g.Output("y", x);
}

}  // namespace

int main(int argc, char** argv) {
  weft::Graph graph;
  Build(graph);
  const absl::StatusOr<weft::Dump> dump =
      weft::OptimizeAndDump(graph, {.title = "Feed-forward"});
  if (!dump.ok()) {
    std::cerr << dump.status() << "\n";
    return 1;
  }
  if (argc > 1)
    std::ofstream(argv[1]) << weft::WriteHtml(*dump);
  else
    std::cout << weft::WriteText(*dump, dump->stages.back(), {});
  return 0;
}
