// Watches one executable's steps for diff.h.
#ifndef WEFT_TOOLS_STEP_CHECK_H_
#define WEFT_TOOLS_STEP_CHECK_H_

#include <functional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tools/diff_stages.h"

namespace weft::inline v0 {

class StepCheck {
 public:
  // Of a run whose values are held to those of `stage`. Both outlive this.
  StepCheck(const DiffStage& stage, const BackendPlan& plan)
      : stage_(stage), graph_(*stage.graph.graph), plan_(plan) {}

  // The next calls are of that step of the subject.
  void Begin(size_t step, const SymbolValues& symbols);
  // A StepObserver.
  void See(size_t index, bool done,
           const std::function<HostTensor(ValueId)>& read);

  // When run().diverges, found() is the first divergence.
  const DiffRun& run() const { return run_; }
  const Divergence& found() const { return found_; }
  // The node of the divergence.
  NodeId node() const { return node_; }
  // The first error of a reference.
  const absl::Status& status() const { return status_; }

 private:
  using ReadFn = std::function<HostTensor(ValueId)>;
  const Node& NodeOf(size_t index) const {
    return graph_.node(plan_.steps[index].node);
  }
  // The value that was written last where `id` lies: itself, or what it views.
  ValueId Written(ValueId id) const;
  void CheckOperands(size_t index, const ReadFn& read);
  void CheckResult(size_t index, size_t output, const ReadFn& read);
  // What the reference gives for the operands that the kernel had.
  absl::StatusOr<HostTensor> Expected(const Node& node, size_t output,
                                      const ReadFn& read) const;
  void Report(Divergence::Kind kind, size_t index, const Difference& difference,
              double tolerance, std::string cause);
  std::string Overwriters(ValueId id, size_t until) const;

  const DiffStage& stage_;
  const Graph& graph_;
  const BackendPlan& plan_;
  size_t step_ = 0;
  SymbolValues symbols_;
  std::vector<HostTensor>
      operands_;        // of the step that runs; weights are empty
  double largest_ = 0;  // magnitude among them
  // Of values in the arena as they were written, and by which step of the plan.
  absl::flat_hash_map<ValueId, size_t> hashes_, writers_;
  DiffRun run_;
  Divergence found_;
  NodeId node_ = -1;
  absl::Status status_;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_STEP_CHECK_H_
