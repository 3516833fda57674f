// Dumps of graphs with what they cost: all that a program needs to show the
// graph of its own model.
//
//   absl::StatusOr<weft::Dump> dump = weft::OptimizeAndDump(graph, {});
//   file << weft::WriteHtml(*dump);    // or any other of graph/dump/formats.h
#ifndef WEFT_BACKENDS_DUMP_PLAN_H_
#define WEFT_BACKENDS_DUMP_PLAN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "backends/backend.h"
#include "backends/profile.h"
#include "graph/dump/dump.h"
#include "graph/graph.h"
#include "ops/optimize.h"
#include "ops/work.h"

namespace weft::inline v0 {

struct DumpOptions {  // What OptimizeAndDump does and shows.
  std::string title;
  Numerics numerics = Numerics::kFast;
  std::string backend = "cpu";
  BackendOptions backend_options = {};  // the target that is planned for
};

// Runs the passes on a complete graph, and dumps it as built and after each of
// them, with rules, plan, kernels by target and work. What the model expects of
// rules is not checked but in the dump. Errors of Optimize and Backend::Plan.
absl::StatusOr<Dump> OptimizeAndDump(Graph& graph, const DumpOptions& options);

// Of one machine and number of threads; 0: not known.
struct DumpLimits {
  double bytes_per_second = 0;
  double operations_per_second[kNumArithmetics] = {};  // by Arithmetic
};

// A kind of step whose work is shown.
struct DumpSize {
  std::string name;  // "decode"
  StepSize size;
};

// A decode of one token in the last position of the context, and a prefill of
// as many as T's bound is. None where the graph has no symbol "T".
std::vector<DumpSize> UsualSizes(const Graph& graph);

// The optimized graph planned for every instruction set that the backend has on
// this machine, the chosen one first. Errors of Backend::Plan.
absl::StatusOr<std::vector<BackendPlan>> PlanForTargets(
    const Graph& graph, absl::string_view backend,
    const BackendOptions& options);

// Fills `dump`, which is of this graph, with its plan: steps, kernels by
// target, buffers and work. `plans` is not empty.
void AddPlan(const Graph& graph, absl::Span<const BackendPlan> plans,
             absl::Span<const DumpSize> sizes, const DumpLimits& limits,
             Dump& dump);

// Adds measured times to a dump that has a plan: `profile` of runs that each
// did `work_size`, an entry of DumpPlan::work_sizes or "" for none.
// InvalidArgument where it has another number of steps than the plan.
absl::Status AddProfile(const Profile& profile, absl::string_view name,
                        absl::string_view work_size, Dump& dump);

}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_DUMP_PLAN_H_
