// How fast a model would be on this machine, without its weights.
#ifndef WEFT_TOOLS_PREDICT_H_
#define WEFT_TOOLS_PREDICT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "backends/backend.h"
#include "backends/dump_plan.h"
#include "graph/graph.h"

namespace weft::inline v0 {

struct Prediction {
  std::vector<double> seconds;  // of a step of each size
  int64_t layers_run = 0;
  int64_t layers = 0;
};

// Runs layers of an optimized graph with made-up weights: all of them where
// their weights fit `budget` bytes, else enough to have every kind of node that
// there is, and as many as fit. What was left out takes as long as the nodes
// like it. Errors of the backend; ResourceExhausted where memory cannot be had.
absl::StatusOr<Prediction> PredictSpeed(const Graph& graph,
                                        absl::Span<const DumpSize> sizes,
                                        const BackendOptions& options,
                                        int64_t budget);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_PREDICT_H_
