// Graphs on the scalar references; a part of diff.h.
#ifndef WEFT_TOOLS_DIFF_REFERENCE_H_
#define WEFT_TOOLS_DIFF_REFERENCE_H_

#include <cstddef>
#include <functional>

#include "absl/status/status.h"
#include "tools/diff_graph.h"

namespace weft::inline v0 {

// Sees each value that is computed from more than weights, and is in `values`
// by then. An error of its ends the run.
using ValueVisitor =
    std::function<absl::Status(size_t step, ValueId, const HostTensor&)>;

// Runs all steps; what they compute goes to `values`. A node that `known` has
// too, for operands that are the same bit for bit, is not computed again; null:
// all are. Cancelled; errors of references and weights.
absl::Status RunOnReferences(const DiffSubject& subject,
                             const DiffOptions& options, const DiffGraph& graph,
                             const DiffStage* known, StepValues& values,
                             const ValueVisitor& visit);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DIFF_REFERENCE_H_
