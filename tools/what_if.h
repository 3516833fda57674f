// What a model would take and how fast it would be, from its header.
#ifndef WEFT_TOOLS_WHAT_IF_H_
#define WEFT_TOOLS_WHAT_IF_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "backends/backend.h"
#include "graph/graph.h"
#include "tools/roofline.h"

namespace weft::inline v0 {

// "8G", "500MiB", "1000000": units are powers of 1024. InvalidArgument naming
// the flag.
absl::StatusOr<int64_t> ParseBytes(absl::string_view flag,
                                   absl::string_view text);

// All that must be in memory, mapped weights too.
int64_t TotalBytes(const BackendPlan& plan);

// The largest context of at most `most` positions for which `total`, the bytes
// that a context takes (never less for a larger one), is at most `memory`; 0
// when not even one position fits. Errors of `total`.
absl::StatusOr<int64_t> LargestContext(
    int64_t memory, int64_t most,
    const std::function<absl::StatusOr<int64_t>(int64_t context)>& total);

// Kernels by op: a line for each with its steps and the targets that have it.
std::string KernelsByTarget(const Graph& graph,
                            absl::Span<const BackendPlan> plans);

// Weights that run without a kernel of their format on the first target, with
// what they take; "" when there are none.
std::string SlowTensors(const Graph& graph, const BackendPlan& plan);

// Seconds of a step, each node taking as long as the machine's limits allow it
// at best.
double PredictSeconds(const Graph& graph, const BackendPlan& plan,
                      const StepSize& size, const Limits& limits);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_WHAT_IF_H_
