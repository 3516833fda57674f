// A model file's graph for graph-dump, with the flags --context, --batch,
// --slots and --kv, which are defined here.
#ifndef WEFT_TOOLS_DUMP_MODEL_H_
#define WEFT_TOOLS_DUMP_MODEL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "graph/dump/dump.h"
#include "graph/graph.h"
#include "graph/rewrite.h"
#include "models/engine.h"
#include "models/gguf.h"
#include "ops/optimize.h"

namespace weft::inline v0 {

struct DumpedModel {
  std::string path;
  Numerics numerics = Numerics::kFast;
  bool pack_weights = false;
  std::unique_ptr<Graph> graph;  // optimized
  FusionReport report;
  Dump dump;                       // all stages, rules and facts
  std::vector<BackendPlan> plans;  // of PlanDump(): by target, chosen first
};

// Reads the headers alone, builds the graph with the adapters and runs the
// passes, pack_weights only where it is asked for.
absl::StatusOr<DumpedModel> LoadDump(const std::string& path, Numerics numerics,
                                     bool pack_weights,
                                     const std::vector<AdapterOptions>& lora);

// Plans the graph for every target and adds that to the dump.
absl::Status PlanDump(DumpedModel& model);

// Memory, kernels, steps; the largest context that fits `memory` unless that is
// ""; with `probe` the speed that this machine's limits allow.
absl::StatusOr<std::string> PlanText(DumpedModel& model,
                                     const std::string& memory, bool probe);

// Times of a prefill and of a decode of --model, which it runs.
absl::StatusOr<std::string> ProfileModel(Numerics numerics, bool probe);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DUMP_MODEL_H_
