// Names of instruction sets, and which of them this machine can run.
#ifndef WEFT_BACKENDS_CPU_TARGET_NAMES_H_
#define WEFT_BACKENDS_CPU_TARGET_NAMES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/cpu/kernel.h"

namespace weft::inline v0 {
namespace cpu {

// Instruction sets that are compiled in and that this machine can run, best
// first: "AMX" (AVX3_ZEN4 with tile registers), "AVX3_ZEN4", "AVX3_DL", "AVX3",
// "AVX2_VNNI" (AVX2 with AVX-VNNI), "AVX2", "SSE2"; "NEON_BF16", "NEON_DOTPROD",
// "NEON", ...
std::vector<std::string> RunnableTargets();

// The mask to take kernels from: the target of that name, or the best for "".
// InvalidArgument lists the names that this machine can run.
absl::StatusOr<TargetMask> ParseTarget(absl::string_view name);

// The name of the best target in `mask`, which is one of ParseTarget().
std::string TargetName(TargetMask mask);

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_TARGET_NAMES_H_
