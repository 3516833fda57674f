// Texts about plans and ops, for graph-dump.
#ifndef WEFT_TOOLS_DESCRIBE_H_
#define WEFT_TOOLS_DESCRIBE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "backends/backend.h"
#include "graph/graph.h"

namespace weft::inline v0 {

// How full the arena is.
struct ArenaUse {
  int64_t bytes = 0;  // of all buffers that are needed during that step
  int step = 0;       // index into Plan::steps
};

// During the step that needs the most. The arena cannot be smaller; what it is
// larger is lost to gaps.
ArenaUse PeakOfArena(const Plan& plan);

// Memory by kind, then each step with its kernel and where its result lies.
std::string DescribePlan(const Graph& graph, const BackendPlan& plan);

// Every op with its kernels on `backend`, and the first sentence of its doc.
std::string DescribeOps(absl::Span<const OpDef* const> ops,
                        const Backend& backend);

// Every block format: sizes, layout, what its matmuls take activations in, and
// its kernels on each instruction set of the machine.
absl::StatusOr<std::string> DescribeFormats();

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DESCRIBE_H_
