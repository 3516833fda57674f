// What a step costs: the bytes that it must read and write, and the operations
// of its matrix products and attention, from the graph alone. Time divided into
// these and a machine's limits (backends/probe.h) tell how good a kernel is.
#ifndef WEFT_OPS_WORK_H_
#define WEFT_OPS_WORK_H_

#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "graph/graph.h"

namespace weft::inline v0 {

// What multiplies are done in, which decides how fast a machine can do them:
// that of the activations, since weights are decoded to match.
enum class Arithmetic { kF32, kBf16, kInt8 };
inline constexpr int kNumArithmetics = 3;
absl::string_view Name(Arithmetic a);  // "f32", "bf16", "int8"

// Steps of one sequence that follow each other and differ in nothing else.
struct StepSize {
  SymbolValues symbols;        // "T" tokens, "R" rows of logits
  int64_t first_position = 0;  // of the first step's first token
  int64_t steps = 1;
};

// Each tensor counts once for each node that touches it, as if nothing stayed
// in a cache between nodes.
struct Work {
  int64_t weight_bytes = 0;      // read, as stored; of a table the rows taken
  int64_t state_bytes = 0;       // read from states: the KV cache
  int64_t activation_bytes = 0;  // all else: results, rows written to states
  // By Arithmetic: 2 for each multiply-add of matrix products and of attention
  // over the keys that a query sees. Nothing else is counted.
  std::array<int64_t, kNumArithmetics> operations{};

  int64_t bytes() const {
    return weight_bytes + state_bytes + activation_bytes;
  }
  int64_t total_operations() const;
  Work& operator+=(const Work& other);
  Work& operator*=(int64_t times);
};

// Of one node of an optimized graph, in all steps of `size`. Reading a state
// with anything but attention counts all of it.
Work WorkOf(const Graph& graph, const Node& node, const StepSize& size);

// Of all nodes, but a weight that several of them read counts once per step.
Work WorkOfSteps(const Graph& graph, const StepSize& size);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_WORK_H_
