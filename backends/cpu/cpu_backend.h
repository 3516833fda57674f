// The CPU backend: Highway kernels chosen once per plan, one arena, a thread
// pool per executable.
#ifndef WEFT_BACKENDS_CPU_CPU_BACKEND_H_
#define WEFT_BACKENDS_CPU_CPU_BACKEND_H_

#include <memory>

#include "absl/status/statusor.h"
#include "backends/backend.h"

namespace weft::inline v0 {

// InvalidArgument for a target that is unknown or that this machine lacks.
absl::StatusOr<std::unique_ptr<Backend>> MakeCpuBackend(
    const BackendOptions& options);

}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_CPU_BACKEND_H_
