// Watches one executable's steps for diff.h, and gives each the operands that
// the reference had: a kernel that is right gives its results, and no error of
// one step is seen at another.
#ifndef WEFT_TOOLS_STEP_CHECK_H_
#define WEFT_TOOLS_STEP_CHECK_H_

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tools/diff_stages.h"

namespace weft::inline v0 {

class StepCheck {
 public:
  // Of a run whose values are held to those of `stage`. Both outlive this.
  StepCheck(DiffStage& stage, const BackendPlan& plan)
      : stage_(stage), graph_(*stage.graph.graph), plan_(plan) {}

  // The next calls are of that step of the subject.
  void Begin(size_t step, const SymbolValues& symbols);
  // A StepObserver.
  void See(size_t index, bool done, const ObservedValues& values);

  // When run().diverges, found() is the first divergence.
  const DiffRun& run() const { return run_; }
  const Divergence& found() const { return found_; }
  // The node of the divergence.
  NodeId node() const { return node_; }
  // The first error of a reference.
  const absl::Status& status() const { return status_; }

 private:
  const Node& NodeOf(size_t index) const {
    return graph_.node(plan_.steps[index].node);
  }
  // The value that was written last where `id` lies: itself, or what it views.
  ValueId Written(ValueId id) const;
  bool FromWeights(ValueId v) const {
    return stage_.graph.from_weights[static_cast<size_t>(v)];
  }
  // Of more than weights: what the reference gave, empty where it gave none.
  const HostTensor& Wanted(ValueId v) const {
    return stage_.values[step_][static_cast<size_t>(v)];
  }
  void CheckOperands(size_t index, const ObservedValues& values);
  void CheckResult(size_t index, size_t output, const ObservedValues& values);
  // What the reference gives for the operands that the kernel had.
  absl::StatusOr<HostTensor> Expected(const Node& node, size_t output,
                                      const ObservedValues& values) const;
  void Report(Divergence::Kind kind, size_t index, const Difference& difference,
              double tolerance, std::string cause);
  std::string Overwriters(ValueId id, size_t until) const;

  DiffStage& stage_;
  const Graph& graph_;
  const BackendPlan& plan_;
  size_t step_ = 0;
  SymbolValues symbols_;
  std::vector<HostTensor>
      operands_;        // of the step that runs; what weights give is empty
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
