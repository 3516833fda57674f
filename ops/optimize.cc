#include "ops/optimize.h"

#include "graph/status_macros.h"
#include "ops/quantize.h"
#include "ops/rules/rules.h"

namespace weft::inline v0 {
namespace {

std::vector<Pass> Passes(bool fuse, Numerics numerics, FusionReport* report) {
  std::vector<Pass> passes;
  passes.push_back(FoldConstants());
  passes.push_back(CommonSubexpressions());
  if (fuse) passes.push_back(Rewrite("fuse", FusionRules(), report));
  if (fuse && numerics == Numerics::kFast) {
    passes.push_back(QuantizeActivations(report));
    // A name of its own, so that one can ask for the graph after it.
    passes.push_back(CommonSubexpressions("cse_quantized"));
    passes.push_back(Rewrite("fuse_quantize", QuantizeRules(), report));
  }
  passes.push_back(DeadCode());
  return passes;
}

}  // namespace

absl::StatusOr<FusionReport> Optimize(Graph& graph,
                                      const OptimizeOptions& options) {
  FusionReport report;
  WEFT_RETURN_IF_ERROR(graph.Finish());
  WEFT_RETURN_IF_ERROR(
      RunPasses(graph, Passes(options.fuse, options.numerics, &report),
                options.observer));
  if (options.check_expectations && options.fuse)
    WEFT_RETURN_IF_ERROR(CheckExpectations(graph, report));
  return report;
}

std::vector<std::string> PassNames(Numerics numerics) {
  std::vector<std::string> names;
  FusionReport unused;
  for (const Pass& pass : Passes(true, numerics, &unused))
    names.push_back(pass.name);
  return names;
}

}  // namespace weft::inline v0
