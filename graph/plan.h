// The memory plan: which steps run in which order, and where every value lies.
#ifndef WEFT_GRAPH_PLAN_H_
#define WEFT_GRAPH_PLAN_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/graph.h"

namespace weft::inline v0 {

enum class Storage {  // Where a value lies.
  kNone,      // the value was erased
  kArena,     // `offset` into the arena
  kWeight,    // mapped from the model
  kConstant,  // in the graph
  kState,     // the backend's, kept between steps
  kAlias,     // the memory of `alias_of`: a view, an in-place result, a state
};

struct Placement {  // That of one value.
  Storage storage = Storage::kNone;
  int64_t offset = 0;     // bytes, of kArena
  int64_t bytes = 0;      // at the bounds of all symbols
  ValueId alias_of = -1;  // of kAlias: the value whose memory it is (a chain)
  // An alias that is read with its own dims and strides: a view by its node's
  // op. False for in-place results and states, which lie as their source does.
  bool is_view = false;
  // Steps (indices into Plan::steps) from the first write to the last read of
  // the memory, aliases included; only of kArena.
  int first = 0;
  int last = 0;
};

// One plan serves every step, whatever its symbols' values: sizes are those of
// the bounds.
struct Plan {
  std::vector<NodeId> steps;      // compute nodes to run, views left out
  std::vector<Placement> values;  // by ValueId
  int64_t arena_bytes = 0;
  int64_t weight_bytes = 0;
  int64_t state_bytes = 0;  // in the logical layout; a backend may pad

  // The value whose storage is not kAlias, at the end of `id`'s chain.
  ValueId Root(ValueId id) const;
};

// Cache line and widest vector: kernels may assume it of every arena buffer.
inline constexpr int64_t kArenaAlignment = 64;

// The next multiple of it.
constexpr int64_t AlignUp(int64_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

struct PlanOptions {  // What kernels can read, and how memory is used.
  // Whether the kernel of `node` can read its input number `input` with strides
  // (its fastest dimension still contiguous). Null: no kernel can, and views
  // other than reshapes are copied.
  std::function<bool(const Node& node, int input)> reads_strided = nullptr;
  // Off: every result has memory of its own (for debugging).
  bool reuse = true;
};

// Lifetimes, views, in-place results and offsets in one arena. Inputs
// keep their memory, so that a caller may repeat a step; outputs are valid
// until the next step.
absl::StatusOr<Plan> MakePlan(const Graph& graph,
                              const PlanOptions& options = {});

// Checks a plan without using how it was made: no two values that are needed
// at the same time share a byte, unless one is an alias of the other. Internal
// error naming both.
absl::Status CheckPlan(const Graph& graph, const Plan& plan);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_PLAN_H_
