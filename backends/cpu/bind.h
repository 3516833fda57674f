// Choosing kernels for the nodes of a graph.
#ifndef WEFT_BACKENDS_CPU_BIND_H_
#define WEFT_BACKENDS_CPU_BIND_H_

#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/cpu/kernel.h"

namespace weft::inline v0 {
namespace cpu {

// The first kernel of the list that runs the node, or null: then it runs on its
// scalar reference.
const Kernel* FindKernel(const KernelList& kernels, const Graph& graph,
                         const Node& node);

// The plan with the kernels' names and the memory that an executable of
// `threads` workers takes.
absl::StatusOr<BackendPlan> PlanForCpu(const Graph& graph,
                                       const KernelList& kernels,
                                       TargetMask target, int threads);

// A view of a value under `symbols`, its data at `base` (the root's memory;
// null while planning). Follows chains of views.
View MakeView(const Graph& graph, const Plan& plan, ValueId id,
              const SymbolValues& symbols, absl::Span<std::byte* const> bases);

// Strides of a state as the backend lays it out. [S, C, G, ...] is stored with
// heads before positions, so that the keys of one head follow each other.
void SetStateStrides(View& view);

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_BIND_H_
