// Graphs on the kernels of one instruction set; a part of diff.h.
#ifndef WEFT_TOOLS_DIFF_KERNELS_H_
#define WEFT_TOOLS_DIFF_KERNELS_H_

#include <string>

#include "absl/status/status.h"
#include "tools/diff_stages.h"

namespace weft::inline v0 {

// Runs the stage's graph on the target twice. The first time every step finds
// the operands that the reference had, so that what it gives is held to what
// the reference gave: buffers that somebody else writes to before they are
// read, and kernels that compute something else. The second time nothing is put
// in their way: what rounding comes to. `name` is "fused", say.
absl::Status RunKernels(const DiffSubject& subject, const DiffOptions& options,
                        DiffStage& stage, const std::string& name,
                        const std::string& target, DiffReport& report);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DIFF_KERNELS_H_
