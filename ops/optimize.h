// The pass pipeline that every model goes through.
#ifndef WEFT_OPS_OPTIMIZE_H_
#define WEFT_OPS_OPTIMIZE_H_

#include "absl/status/statusor.h"
#include "graph/graph.h"
#include "graph/passes.h"

namespace weft::inline v0 {

// How exact the arithmetic of quantised weights is.
enum class Numerics {
  kExact,  // f32 activations
  kFast,   // activations rounded to 8 bits: the pass quantize_activations
};

struct OptimizeOptions {
  // Fail when the graph's Expect()s do not hold. Off, the report still tells.
  bool check_expectations = true;
  // Off: leave the graph of primitive ops, for comparison.
  bool fuse = true;
  // Needs `fuse`.
  Numerics numerics = Numerics::kExact;
  // Called after each pass (and with "" before the first).
  PassObserver observer = nullptr;
};

// Folds constants, merges common subexpressions, fuses and removes dead code,
// verifying after each pass. Lossless but for Numerics::kFast: else only the
// order of sums changes.
absl::StatusOr<FusionReport> Optimize(Graph& graph,
                                      const OptimizeOptions& options = {});

// Names of the passes, in order.
std::vector<std::string> PassNames(Numerics numerics = Numerics::kExact);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_OPTIMIZE_H_
