// Profiles by kernel and by layer.
#ifndef WEFT_TOOLS_PROFILE_SUMMARY_H_
#define WEFT_TOOLS_PROFILE_SUMMARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "backends/backend.h"
#include "backends/profile.h"
#include "graph/graph.h"
#include "ops/work.h"

namespace weft::inline v0 {

// Planned steps that have something in common, over all runs of a profile.
struct ProfileRow {
  std::string name;          // a kernel; a layer's number, or "rest"; a node
  int number = 0;            // of a node: Graph::number()
  std::string op;            // of a node
  std::string kernel;        // of a node, or "" on the reference
  std::vector<double> busy;  // of a node: seconds in the kernel, by thread
  int64_t steps = 0;         // of the plan
  StepProfile time;
  Work work;
};

struct ProfileSummary {
  int threads = 0;
  int64_t runs = 0;                 // of the whole plan
  double elapsed = 0;               // seconds of all runs, in steps
  double wall = 0;                  // and with what the engine does around them
  std::vector<ProfileRow> kernels;  // that which took longest first
  std::vector<ProfileRow> layers;   // in order, what belongs to none last
  std::vector<ProfileRow> nodes;    // in the order of the plan
};

// `runs` says what the runs of the profile were: repeated as a whole
// `repetitions` times.
ProfileSummary Summarize(const Profile& profile, const Graph& graph,
                         const BackendPlan& plan,
                         absl::Span<const StepSize> runs, int64_t repetitions);

// The layer of each planned step, -1 for those outside of all (embedding,
// output): that of its weights or states ("blk.3.attn_q.weight"), else the
// last one of what it reads.
std::vector<int64_t> LayersOf(const Graph& graph, const BackendPlan& plan);

// The same of every value of a graph, by ValueId; -1 for erased ones.
std::vector<int64_t> LayersOfValues(const Graph& graph);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_PROFILE_SUMMARY_H_
