// The CPU backend: Highway kernels chosen once per plan, one arena, a thread
// pool per executable.
#ifndef WEFT_BACKENDS_CPU_CPU_BACKEND_H_
#define WEFT_BACKENDS_CPU_CPU_BACKEND_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/cpu/kernel.h"

namespace weft::inline v0 {

// InvalidArgument for a target that is unknown or that this machine lacks.
absl::StatusOr<std::unique_ptr<Backend>> MakeCpuBackend(
    const BackendOptions& options);

// How tests plant faults: called with the kernels before any is chosen, and
// with each plan that is made.
struct CpuHooks {
  std::function<void(cpu::KernelList&)> kernels = nullptr;
  std::function<void(const Graph&, Plan&)> plan = nullptr;
};
absl::StatusOr<std::unique_ptr<Backend>> MakeHookedCpuBackend(
    const BackendOptions& options, const CpuHooks& hooks);

}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_CPU_BACKEND_H_
