#include "ops/optimize.h"

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "ops/pack.h"
#include "ops/quantize.h"
#include "ops/rules/rules.h"

namespace weft::inline v0 {
namespace {

std::vector<Pass> AllPasses(const OptimizeOptions& options,
                            FusionReport* report) {
  std::vector<Pass> passes;
  passes.push_back(FoldConstants());
  passes.push_back(CommonSubexpressions());
  if (options.fuse)
    passes.push_back(Rewrite("fuse",
                             options.fusion_rules.has_value()
                                 ? *options.fusion_rules
                                 : FusionRules(),
                             report, options.allow));
  if (options.fuse && options.numerics == Numerics::kFast) {
    passes.push_back(QuantizeActivations(report, options.allow));
    // A name of its own, so that one can ask for the graph after it.
    passes.push_back(CommonSubexpressions("cse_quantized"));
    passes.push_back(
        Rewrite("fuse_quantize", QuantizeRules(), report, options.allow));
  }
  passes.push_back(DeadCode());
  if (options.fuse && options.pack_weights)
    passes.push_back(PackWeights(options.pack_halves));
  return passes;
}

// Those that the options ask for. NotFound when the last one does not exist.
absl::StatusOr<std::vector<Pass>> Passes(const OptimizeOptions& options,
                                         FusionReport* report) {
  std::vector<Pass> passes = AllPasses(options, report);
  if (options.last_pass.empty()) return passes;
  if (options.last_pass == kNoPass) return std::vector<Pass>();
  const auto last = absl::c_find_if(
      passes, [&](const Pass& p) { return p.name == options.last_pass; });
  if (last == passes.end())
    return absl::NotFoundError(
        absl::StrCat("no pass is named ", options.last_pass));
  passes.erase(last + 1, passes.end());
  return passes;
}

}  // namespace

absl::StatusOr<FusionReport> Optimize(Graph& graph,
                                      const OptimizeOptions& options) {
  FusionReport report;
  WEFT_RETURN_IF_ERROR(graph.Finish());
  WEFT_ASSIGN_OR_RETURN(const std::vector<Pass> passes,
                        Passes(options, &report));
  WEFT_RETURN_IF_ERROR(RunPasses(graph, passes, options.observer));
  if (options.check_expectations && options.fuse && options.last_pass.empty())
    WEFT_RETURN_IF_ERROR(CheckExpectations(graph, report));
  return report;
}

std::vector<std::string> PassNames(Numerics numerics, bool pack_weights) {
  std::vector<std::string> names;
  FusionReport unused;
  for (const Pass& pass :
       AllPasses({.numerics = numerics, .pack_weights = pack_weights}, &unused))
    names.push_back(pass.name);
  return names;
}

}  // namespace weft::inline v0
