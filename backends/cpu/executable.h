// A graph bound to kernels, memory and threads.
#ifndef WEFT_BACKENDS_CPU_EXECUTABLE_H_
#define WEFT_BACKENDS_CPU_EXECUTABLE_H_

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "backends/backend.h"
#include "backends/cpu/bind.h"
#include "backends/cpu/kernel.h"
#include "backends/cpu/slot_pages.h"
#include "backends/cpu/slot_states.h"
#include "backends/cpu/step_timer.h"
#include "backends/cpu/worker_pool.h"
#include "graph/host_tensor.h"

namespace weft::inline v0 {
namespace cpu {

class CpuExecutable : public Executable {
 public:
  CpuExecutable(std::shared_ptr<const Graph> graph, CpuPlan plan, int threads,
                const BackendOptions& options);

  // Takes memory, finds the weights and binds kernels. ResourceExhausted when
  // memory cannot be had, or is more than the options allow.
  absl::Status Bind(const KernelList& kernels, const WeightSource& weights);

  absl::StatusOr<absl::Span<std::byte>> Input(absl::string_view name) override;
  absl::StatusOr<absl::Span<const std::byte>> Output(
      absl::string_view name) override;
  absl::Status Run(const SymbolValues& symbols,
                   const std::atomic<bool>* cancel) override;
  absl::Status SetProfile(Profile* profile) override;
  absl::Status SetObserver(StepObserver observer) override;
  void ResetStates() override;
  int64_t SlotBytes(int64_t positions) const override;
  void SaveSlot(int64_t slot, int64_t positions,
                absl::Span<std::byte> out) const override;
  void LoadSlot(int64_t slot, int64_t positions,
                absl::Span<const std::byte> in) override;
  void CopySlot(int64_t from, int64_t to, int64_t positions) override;
  void PrepareAppend(int64_t slot, int64_t begin, int64_t end) override;
  const BackendPlan& plan() const override { return plan_; }

 private:
  struct FreeDeleter {
    HostMemory memory;
    size_t bytes;
    void operator()(std::byte* p) const;
  };
  using Memory = std::unique_ptr<std::byte[], FreeDeleter>;

  // One node's kernel and the bundle that it is called with.
  struct BoundStep {
    const Node* node = nullptr;
    Kernel kernel;  // run == nullptr: the scalar reference
    KernelParams params;
    size_t first_in = 0, n_in = 0;  // in step_views_
    size_t first_out = 0, n_out = 0;
    int64_t tasks = 0;   // under the current symbols
    int64_t chunks = 0;  // 1: run on the calling thread
    // The next step that multiplies weights with one token, and the last step
    // between whose work depends on data (attention); null: there is none.
    const BoundStep* next = nullptr;
    const BoundStep* between = nullptr;
  };

  // What a worker reads first in a step.
  struct FirstRead {
    const std::byte* at = nullptr;
    size_t bytes = 0;
  };

  absl::StatusOr<Memory> Allocate(int64_t bytes) const;
  absl::Status BindSources(const WeightSource& weights);
  void BindStates();
  void BindPages();
  absl::Status CheckSymbols(const SymbolValues& symbols) const;
  // Recomputes views and splits for new symbol values; no allocation.
  void Resize(const SymbolValues& symbols);
  // Sets the steps' next and between, and reads_.
  void FindNext();
  // Tells the workers what they will read first in step.next.
  void SetNext(const BoundStep& step);
  KernelArgs ArgsOf(const BoundStep& step);
  // Returns the number of workers that could take part in it.
  int RunStep(BoundStep& step);
  // One stage of a step's kernel in `chunks` pieces; returns the same.
  int RunTasks(const KernelArgs& args,
               void (*run)(const KernelArgs&, int64_t, int64_t), int64_t tasks,
               int64_t chunks);
  View ViewOf(ValueId id, const SymbolValues& symbols) const;
  // Calls the observer.
  void Observe(size_t step, bool done, const SymbolValues& symbols) const;
  absl::Status RunOnReference(const BoundStep& step,
                              const SymbolValues& symbols);

  std::shared_ptr<const Graph> graph_;
  BackendPlan plan_;
  std::vector<StatePlace> state_places_;  // by ValueId
  int64_t worker_scratch_;            // bytes of each worker's
  int64_t max_bytes_;
  HostMemory memory_;
  const AskOrder ask_order_;  // KernelArgs::ask_order
  const size_t next_bytes_;  // of FirstRead, at most
  WorkerPool pool_;
  Memory arena_, states_;
  Memory scratch_;                      // each worker's, then what they share
  std::vector<std::byte*> bases_;       // by ValueId: memory of roots
  std::vector<SlotState> slot_states_;  // those with a dim of slots
  std::optional<SlotPages> pages_;      // of those with View::pages
  std::vector<BoundStep> steps_;
  std::vector<FirstRead> reads_;  // [step][worker], of those that are a `next`
  std::vector<View> step_views_;
  std::vector<ValueId> step_values_;  // whose views those are
  std::vector<Dim> symbols_;
  std::vector<int64_t> current_;  // values of symbols_ that views are made for
  bool sized_ = false;            // views are made at all
  std::unique_ptr<StepTimer> timer_;           // while there is a profile
  StepObserver observer_;                      // null: nobody watches
  const std::atomic<bool>* cancel_ = nullptr;  // of the current run
  std::atomic<bool> skipped_{false};           // some of a step, for that
  std::atomic<int64_t> bad_index_{kNoBadIndex};
  static constexpr int64_t kNoBadIndex = INT64_MIN;
};

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_EXECUTABLE_H_
