// The loop of a training run.
#ifndef WEFT_TOOLS_TRAIN_TRAINER_H_
#define WEFT_TOOLS_TRAIN_TRAINER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ops/optimizer.h"
#include "tools/train/batches.h"
#include "tools/train/checkpoint.h"
#include "tools/train/corpus.h"
#include "tools/train/curve.h"
#include "tools/train/train_model.h"
#include "tools/train/window_loss.h"

namespace weft::inline v0 {

struct TrainerOptions {
  int64_t windows = 8;   // of a run of the graph
  int64_t length = 256;  // tokens of each
  RateSchedule rate;     // and the number of steps
  AdamWOptions optimizer;
  uint64_t seed = 0;  // of the shuffle
  int64_t validate_every = 100;
  int64_t validation_windows = 64;
  std::string checkpoint;  // the file
  int64_t checkpoint_every = 500;
  std::string curve;       // stem of the curve's files; "": none
  bool recompute = false;  // see WindowLossOptions
  BackendOptions backend;
  double peak = 0;  // f32 operations in a second; 0: not known
};

// What a run takes, in bytes.
struct TrainerMemory {
  int64_t activations = 0;  // of a training step
  int64_t states = 0;       // weights, moments
  int64_t validation = 0;   // its executable
  int64_t copies = 0;       // of the states, for checkpoints and validation
  int64_t tokens = 0;
  int64_t mapped = 0;  // weights beside an adapter, in their file
  int64_t total() const {
    return activations + states + validation + copies + tokens + mapped;
  }
};

class Trainer {
 public:
  // `model` and `tokens` outlive the trainer. The errors of WindowLoss::Make
  // and ShuffledWindows::Make.
  static absl::StatusOr<std::unique_ptr<Trainer>> Make(
      const TrainModel& model, const CorpusTokens& tokens,
      const TrainerOptions& options);

  TrainerMemory memory() const;
  int64_t windows_per_epoch() const { return windows_.per_epoch(); }
  // Of a step: f32 operations, windows, tokens.
  int64_t operations() const {
    return training_->operations() * options_.optimizer.accumulate;
  }
  int64_t step_windows() const {
    return options_.windows * options_.optimizer.accumulate;
  }
  int64_t step_tokens() const { return step_windows() * options_.length; }

  // Ops of a step that no kernel computes, "gelu, tanh"; "" when all have one.
  std::string SlowOps() const { return training_->SlowOps(); }

  // Goes on from the checkpoint; its errors.
  absl::Status Resume();
  // All steps that are left, with a line of progress now and then. Saves a
  // checkpoint after the last one, and when `cancel` becomes true: Cancelled.
  // Aborted when the loss or the gradient is no finite number: what was saved
  // stays.
  absl::Status Run(const std::atomic<bool>& cancel);

  absl::Span<const CurvePoint> curve() const { return curve_; }
  // The values of a trained tensor; empty for one that is constant. Valid after
  // Run().
  absl::Span<const float> Values(absl::string_view name) const;

 private:
  Trainer(const TrainModel& model, const CorpusTokens& tokens,
          TrainerOptions options, ShuffledWindows windows);
  void Begin();
  std::vector<std::string> Settings() const;
  absl::Status Step();
  absl::StatusOr<float> Validate();
  absl::Status Save();
  void Report(double seconds, int64_t steps, double left);
  std::string Where() const;

  const TrainModel& model_;
  const CorpusTokens& tokens_;
  const TrainerOptions options_;
  ShuffledWindows windows_;
  FixedWindows validation_windows_;
  std::unique_ptr<WindowLoss> training_, validation_;
  // What Save() and Load() move; the validation's weights lie in it.
  std::vector<std::byte> states_;
  std::vector<CurvePoint> curve_;
  int64_t saved_ = -1;  // steps in the last checkpoint
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_TRAINER_H_
