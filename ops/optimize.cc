#include "ops/optimize.h"

#include "graph/status_macros.h"
#include "ops/rules/rules.h"

namespace weft::inline v0 {
namespace {

std::vector<Pass> Passes(bool fuse, FusionReport* report) {
  std::vector<Pass> passes;
  passes.push_back(FoldConstants());
  passes.push_back(CommonSubexpressions());
  if (fuse) passes.push_back(Rewrite("fuse", FusionRules(), report));
  passes.push_back(DeadCode());
  return passes;
}

}  // namespace

absl::StatusOr<FusionReport> Optimize(Graph& graph,
                                      const OptimizeOptions& options) {
  FusionReport report;
  WEFT_RETURN_IF_ERROR(graph.Finish());
  WEFT_RETURN_IF_ERROR(RunPasses(graph, Passes(options.fuse, &report),
                                 options.observer));
  if (options.check_expectations && options.fuse)
    WEFT_RETURN_IF_ERROR(CheckExpectations(graph, report));
  return report;
}

std::vector<std::string> PassNames() {
  std::vector<std::string> names;
  FusionReport unused;
  for (const Pass& pass : Passes(true, &unused)) names.push_back(pass.name);
  return names;
}

}  // namespace weft::inline v0
