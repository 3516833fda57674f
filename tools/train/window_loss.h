// A language model over whole windows, compiled: its loss, and a step of its
// optimiser.
#ifndef WEFT_TOOLS_TRAIN_WINDOW_LOSS_H_
#define WEFT_TOOLS_TRAIN_WINDOW_LOSS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "backends/backend.h"
#include "ops/optimizer.h"
#include "tools/train/train_model.h"

namespace weft::inline v0 {

struct WindowLossOptions {
  int64_t windows = 1;   // of a step
  int64_t length = 128;  // tokens of each
  // Keep of each layer its result alone and compute the rest again backwards.
  bool recompute = false;
  // With an optimiser what is trained is a state; unset: the loss alone.
  std::optional<AdamWOptions> optimizer;
  // All other weights, by name. They stay where they are and may change between
  // steps.
  std::function<absl::Span<const std::byte>(absl::string_view name)> weights;
  BackendOptions backend;
};

// A state and its place in what Save() writes.
struct StateRows {
  std::string name;
  std::vector<int64_t> dims;  // slowest first, without the slot
  size_t offset = 0, bytes = 0;
};

class WindowLoss {
 public:
  // Parameters are zero at first; see Load(). Unimplemented for an architecture
  // that cannot be trained, naming the node.
  static absl::StatusOr<std::unique_ptr<WindowLoss>> Make(
      const TrainModel& model, const WindowLossOptions& options);

  // i32[windows * length] each; a target below 0 does not count.
  absl::Span<int32_t> tokens() { return tokens_; }
  absl::Span<int32_t> targets() { return targets_; }
  // One run of the graph. With an optimiser it adds to the gradient, and when
  // `apply` is set (every `accumulate`-th time) it makes the step.
  absl::Status Run(float rate = 0, bool apply = true);
  float loss() const { return *loss_; }  // mean of the targets, in nats
  float gradient_norm() const { return *norm_; }

  absl::Span<const StateRows> states() const { return states_; }
  size_t state_bytes() const;
  // `bytes` has state_bytes().
  void Save(absl::Span<std::byte> bytes) const;
  void Load(absl::Span<const std::byte> bytes);

  const BackendPlan& plan() const { return executable_->plan(); }
  // Ops that run on the scalar reference, "gelu, tanh".
  std::string SlowOps() const;
  int64_t operations() const { return operations_; }  // of a run, f32

 private:
  WindowLoss() = default;
  absl::Status Bind(int64_t windows, int64_t length);
  absl::StatusOr<absl::Span<int32_t>> Indices(absl::string_view name);

  std::shared_ptr<const Graph> graph_;
  std::unique_ptr<Executable> executable_;
  std::vector<StateRows> states_;
  absl::Span<int32_t> tokens_, targets_;
  float* rate_ = nullptr;
  float* apply_ = nullptr;
  const float* loss_ = nullptr;
  const float* norm_ = nullptr;
  int64_t operations_ = 0;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_WINDOW_LOSS_H_
