// What runs a compiled graph. Nothing above this interface knows a concrete
// backend.
#ifndef WEFT_BACKENDS_BACKEND_H_
#define WEFT_BACKENDS_BACKEND_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "backends/host.h"
#include "backends/probe.h"
#include "backends/profile.h"
#include "graph/graph.h"
#include "graph/plan.h"

namespace weft::inline v0 {

struct BackendOptions {  // How a backend runs what it compiles.
  // Threads of each executable, the caller's included; 0 = one per core.
  int threads = 0;
  // Highest instruction set to use, by its name in Targets(); "" = the best
  // that the machine has.
  std::string target;
  // Bytes that an executable may take, as MemoryUse counts them: Compile()
  // gives ResourceExhausted before it takes more. 0: no limit.
  int64_t max_bytes = 0;
  // The host's threads instead of weft's own, `threads` of them at once; it
  // outlives the executables.
  HostExecutor* executor = nullptr;
  HostMemory memory = {};
};

// Bytes of the weight of that node, in its dtype's layout, row-major. They must
// stay where they are for as long as the executable lives.
using WeightSource =
    std::function<absl::StatusOr<absl::Span<const std::byte>>(const Node&)>;

// Memory of one executable, in bytes. Weights are the caller's and not counted.
struct MemoryUse {
  int64_t arena = 0;    // activations
  int64_t state = 0;    // KV caches and the like
  int64_t scratch = 0;  // per-thread buffers of kernels
  int64_t total() const { return arena + state + scratch; }
};

// One step of a plan and the kernel that runs it.
struct PlannedStep {
  NodeId node;
  std::string kernel;         // "qmatmul.q8_0", or "reference"
  bool on_reference = false;  // no kernel: runs on the scalar reference
};

// No limit to how far sequences can be taken back.
inline constexpr int64_t kNoRewindLimit = INT64_MAX;

// What Compile() would do, without weights and without taking memory.
struct BackendPlan {
  Plan plan;
  std::vector<PlannedStep> steps;
  MemoryUse memory;
  std::string target;  // the instruction set chosen
  // Caches of attention that sees a window only are rings: after a sequence was
  // written up to some position, steps can begin up to so many positions before
  // it and see what they would have seen; at least a step's largest number of
  // tokens.
  int64_t rewind = kNoRewindLimit;
};

// The values of a graph as they lie in memory at some moment of a run.
struct ObservedValues {
  // A copy; states in the layout that the graph gives them.
  std::function<HostTensor(ValueId)> read;
  // Where the value lies, to look at without a copy or, after the step that
  // makes it, to put another one there; empty where its rows do not follow each
  // other as the graph has them.
  std::function<absl::Span<std::byte>(ValueId)> memory;
};

// Sees a run from inside, to find faults: called before and after each planned
// step (an index into BackendPlan::steps) on the thread that runs.
using StepObserver =
    std::function<void(size_t step, bool done, const ObservedValues& values)>;

// A graph bound to memory, kernels and threads. One step at a time: not
// thread-safe, but any number of executables may run at once.
class Executable {
 public:
  virtual ~Executable() = default;

  // Where the caller writes an input before a step: room for every symbol at
  // its bound, rows packed by the step's actual dims. Stable for the life of
  // the executable. NotFound when the graph has no such input.
  virtual absl::StatusOr<absl::Span<std::byte>> Input(
      absl::string_view name) = 0;
  // Where a step leaves an output, likewise; valid until the next step.
  virtual absl::StatusOr<absl::Span<const std::byte>> Output(
      absl::string_view name) = 0;

  // Runs one step with these values of the symbols (OutOfRange when one is
  // below 1 or above its bound). `cancel`, when given, is polled between
  // nodes and every few milliseconds within them, except for nodes that run on
  // the reference: there between the nodes of its expansion only. Cancelled if
  // it is true: what outputs hold is then not defined, nor are the rows of
  // states that the step writes. OutOfRange when an input holds an index
  // outside its table; the executable stays usable. No allocation.
  virtual absl::Status Run(const SymbolValues& symbols,
                           const std::atomic<bool>* cancel = nullptr) = 0;

  // From the next Run() on, adds the times of planned steps to `profile`, whose
  // `steps` and `threads` this sets; null, as at first, stops. `profile`
  // outlives its use. Results do not change. Costs two looks at a clock for
  // each planned step and chunk of it; when off, one comparison. Unimplemented
  // where a backend cannot.
  virtual absl::Status SetProfile(Profile* profile);

  // From the next Run() on, calls `observer`; null, as at first, stops. Results
  // change only by what it writes; when off, costs one comparison for each
  // planned step. Unimplemented where a backend cannot.
  virtual absl::Status SetObserver(StepObserver observer);

  // Zeroes every state.
  virtual void ResetStates() = 0;

  // States of one sequence: index `slot` of each state's first dim. Of caches
  // (what `append` writes) the first `positions` positions, of others all.
  //
  // Bytes that SaveSlot writes: for each state, in the order of the graph, its
  // rows in row-major order, whatever their layout in memory is.
  virtual int64_t SlotBytes(int64_t positions) const = 0;
  // `out` has SlotBytes(positions) bytes; so has `in`. Any bytes are safe to
  // load, however wrong they are.
  virtual void SaveSlot(int64_t slot, int64_t positions,
                        absl::Span<std::byte> out) const = 0;
  virtual void LoadSlot(int64_t slot, int64_t positions,
                        absl::Span<const std::byte> in) = 0;
  // Both sequences go on from these positions, each for itself. Caches may
  // share the memory of what they have in common, until one of them is written.
  virtual void CopySlot(int64_t from, int64_t to, int64_t positions) = 0;
  // To be called before each step that appends to positions [begin, end) of a
  // slot, once CopySlot() was: they get memory of their own. No allocation.
  virtual void PrepareAppend(int64_t slot, int64_t begin, int64_t end) = 0;

  virtual const BackendPlan& plan() const = 0;
};

class Backend {  // Compiles graphs for one kind of machine.
 public:
  virtual ~Backend() = default;

  virtual absl::string_view name() const = 0;
  // Instruction sets that this machine can run, best first.
  virtual std::vector<std::string> Targets() const = 0;
  // Kernels that exist for an op on the chosen target, by name.
  virtual std::vector<std::string> KernelsOf(const OpDef& op) const = 0;
  // Whether products with packed rows of f16 and bf16 (graph/packed.h) are
  // faster than those with a file's; of formats in blocks they are.
  virtual bool PacksHalves() const { return false; }

  virtual absl::StatusOr<BackendPlan> Plan(const Graph& graph) const = 0;
  // `graph` is optimized and finished; it is kept alive by the executable.
  virtual absl::StatusOr<std::unique_ptr<Executable>> Compile(
      std::shared_ptr<const Graph> graph,
      const WeightSource& weights) const = 0;

  // A probe of this machine over `bytes` of memory, which it takes and writes
  // at once. ResourceExhausted when they cannot be had, InvalidArgument when
  // they are too few to measure by, Unimplemented where a backend has no probe.
  virtual absl::StatusOr<std::unique_ptr<Probe>> MakeProbe(int64_t bytes) const;
};

// "cpu" or "reference". NotFound lists the names; InvalidArgument for a target
// that does not exist or that the machine cannot run.
absl::StatusOr<std::unique_ptr<Backend>> MakeBackend(
    absl::string_view name, const BackendOptions& options = {});

// Names that MakeBackend knows.
std::vector<std::string> BackendNames();

}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_BACKEND_H_
