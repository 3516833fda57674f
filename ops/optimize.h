// The pass pipeline that every model goes through.
#ifndef WEFT_OPS_OPTIMIZE_H_
#define WEFT_OPS_OPTIMIZE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/graph.h"
#include "graph/passes.h"

namespace weft::inline v0 {

// How exact the arithmetic of quantised weights is.
enum class Numerics {
  kExact,  // f32 activations
  kFast,   // activations rounded to 8 bits: the pass quantize_activations
};

struct OptimizeOptions {  // Which passes run.
  // Fail when the graph's Expect()s do not hold. Off, the report still tells.
  bool check_expectations = true;
  // Off: leave the graph of primitive ops, for comparison.
  bool fuse = true;
  // Needs `fuse`.
  Numerics numerics = Numerics::kExact;
  // The pass pack_weights. Needs `fuse`.
  bool pack_weights = false;
  // That pass takes f16 and bf16 too: what Backend::PacksHalves() says.
  bool pack_halves = false;
  // Called after each pass (and with "" before the first).
  PassObserver observer = nullptr;
  // Stop after the pass of this name; "" runs all, kNoPass none.
  std::string last_pass = "";
  // Where rules, those of quantize_activations too, may be applied; null:
  // everywhere.
  RewriteFilter allow = nullptr;
  // Instead of FusionRules(): more rules for ops of the caller's own, or fewer.
  std::optional<std::vector<Rule>> fusion_rules = std::nullopt;
};

// OptimizeOptions::last_pass for a graph as it was built.
inline constexpr char kNoPass[] = "as built";

// Folds constants, merges common subexpressions, fuses, removes dead code and
// packs weights, verifying after each pass. Lossless but for Numerics::kFast:
// else only the order of sums changes.
absl::StatusOr<FusionReport> Optimize(Graph& graph,
                                      const OptimizeOptions& options = {});

// Names of the passes, in order.
std::vector<std::string> PassNames(Numerics numerics = Numerics::kExact,
                                   bool pack_weights = false);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_OPTIMIZE_H_
