// Graphs against each other on the scalar references; a part of diff.h.
#ifndef WEFT_TOOLS_DIFF_STAGES_H_
#define WEFT_TOOLS_DIFF_STAGES_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tools/diff_graph.h"

namespace weft::inline v0 {

// Whether a pass changes numbers by design.
bool IsLossy(absl::string_view pass);

// Runs the stage, which gets its values, and holds it to the one before; null:
// to nothing. The divergence names the single application of the stage's pass
// that brings it, found by halving how many of them are done.
absl::Status RunStage(const DiffSubject& subject, const DiffOptions& options,
                      const DiffStage* before, DiffStage& stage,
                      DiffReport& report);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DIFF_STAGES_H_
