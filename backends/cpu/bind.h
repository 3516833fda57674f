// Choosing kernels for the nodes of a graph.
#ifndef WEFT_BACKENDS_CPU_BIND_H_
#define WEFT_BACKENDS_CPU_BIND_H_

#include <vector>

#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/cpu/kernel.h"
#include "backends/cpu/kv_layout.h"

namespace weft::inline v0 {
namespace cpu {

// The first kernel of the list that runs the node, or null: then it runs on its
// scalar reference.
const Kernel* FindKernel(const KernelList& kernels, const Graph& graph,
                         const Node& node);

// A plan, and what only this backend wants to know of it.
struct CpuPlan {
  BackendPlan plan;                // with the kernels' names and all memory
  std::vector<StatePlace> states;  // by ValueId
  int64_t worker_scratch = 0;      // bytes, of each worker
  int64_t shared_scratch = 0;      // bytes
};

// The plan of an executable of `threads` workers.
absl::StatusOr<CpuPlan> PlanForCpu(const Graph& graph,
                                   const KernelList& kernels, TargetMask target,
                                   int threads);

// A state lies in tiles when its writer and all its readers can do with that:
// appended to, and read as keys (or as values) by fused attention only. A
// state that is an output, or that any other op reads, is row-major. One in
// tiles is a ring where all its readers see a window only and that is smaller.
std::vector<StatePlace> PlaceStates(const Graph& graph,
                                    const KernelList& kernels);

// A view of a value under `symbols`, its data at `bases` (the roots' memory;
// empty while planning). Follows chains of views.
View MakeView(const Graph& graph, const Plan& plan,
              absl::Span<const StatePlace> states, ValueId id,
              const SymbolValues& symbols, absl::Span<std::byte* const> bases);

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_BIND_H_
