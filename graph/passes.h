// Passes and the pipeline that runs them.
#ifndef WEFT_GRAPH_PASSES_H_
#define WEFT_GRAPH_PASSES_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/graph.h"
#include "graph/rewrite.h"

namespace weft::inline v0 {

// A named transformation of a graph; `run` returns whether it changed it.
struct Pass {
  std::string name;
  std::function<absl::StatusOr<bool>(Graph&)> run;
};

// Replaces nodes that compute what an earlier node computes (same op, inputs
// in either order where that does not matter, and attributes). Writers of state
// are never merged.
Pass CommonSubexpressions(std::string name = "cse");
// Removes nodes that no output and no state depends on.
Pass DeadCode();
// Evaluates, by their references, nodes whose inputs are all constants. Results
// above 1 MiB are left alone: they would cost more memory than they save time.
Pass FoldConstants();
// Applies the rules, where `allow` lets them, and appends their reports.
Pass Rewrite(std::string name, std::vector<Rule> rules, FusionReport* report,
             RewriteFilter allow = nullptr);

// Called with the name of the pass that has just run; "" before the first.
using PassObserver = std::function<void(absl::string_view pass, const Graph&)>;

// Runs the passes in order. After each that changed something the verifier
// re-infers every node; a failure names the pass.
absl::Status RunPasses(Graph& graph, absl::Span<const Pass> passes,
                       const PassObserver& observer = nullptr);

// Checks Graph::Expect against the report. FailedPrecondition that lists every
// anchor of the rule that did not match, and why.
absl::Status CheckExpectations(const Graph& graph, const FusionReport& report);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_PASSES_H_
