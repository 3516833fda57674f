// Profiles and traces as files.
#ifndef WEFT_TOOLS_PROFILE_FILE_H_
#define WEFT_TOOLS_PROFILE_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "backends/backend.h"
#include "graph/dump/dump.h"
#include "graph/graph.h"
#include "tools/profile_summary.h"
#include "tools/roofline.h"

namespace weft::inline v0 {

struct NamedProfile {
  std::string name;  // "decode 64, 2 threads"
  const ProfileSummary* summary = nullptr;
  Limits limits;
};

// {"format": "weft-profile", "version": 1, "model", "target", "profiles":
// [{"name", "threads", "runs", "seconds", "nodes": [{"number", "op", "node",
// "kernel", "seconds", "slowest", "mean", "busy" by thread, "bytes",
// "operations", "limit"}]}]}. Times and work are of all runs.
std::string ProfileJson(absl::string_view model, absl::string_view target,
                        absl::Span<const NamedProfile> profiles);

// Adds the profiles of such a file to a dump that has a plan. InvalidArgument
// naming `path` where it is none, or of another graph.
absl::Status ReadProfile(const std::string& path, Dump& dump);

// What was traced of one plan's runs, in the format of Chrome and Perfetto:
// a row for each thread, a slice for each step and chunk.
std::string TraceJson(const Graph& graph, const BackendPlan& plan,
                      absl::Span<const TraceEvent> events);

// Writes a file that appears when it is complete.
absl::Status WriteWhole(const std::string& path, absl::string_view text);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_PROFILE_FILE_H_
