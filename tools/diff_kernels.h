// Graphs on the kernels of one instruction set; a part of diff.h.
#ifndef WEFT_TOOLS_DIFF_KERNELS_H_
#define WEFT_TOOLS_DIFF_KERNELS_H_

#include <string>

#include "absl/status/status.h"
#include "tools/diff_stages.h"

namespace weft::inline v0 {

// Runs the stage's graph on the target and watches every step: buffers that
// somebody else writes to before they are read, and kernels that give something
// else than their op's reference. `name` is "fused", say.
absl::Status RunKernels(const DiffSubject& subject, const DiffOptions& options,
                        const DiffStage& stage, const std::string& name,
                        const std::string& target, DiffReport& report);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DIFF_KERNELS_H_
