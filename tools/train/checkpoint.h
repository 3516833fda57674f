// Training runs that were broken off: all that going on takes, in a GGUF file.
#ifndef WEFT_TOOLS_TRAIN_CHECKPOINT_H_
#define WEFT_TOOLS_TRAIN_CHECKPOINT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/gguf_key_values.h"
#include "tools/train/curve.h"
#include "tools/train/window_loss.h"

namespace weft::inline v0 {

// Beside the model's own metadata (so that it runs like any model):
//   train.settings   strings "name=value": what the run's numbers depend on
//   train.step       steps done; the place in the shuffle follows from it
//   train.curve      tensor f32 [steps, 5], see CurvePoint
//   every state      tensor f32 of its name: weights, adamw.m.*, adamw.v.*
struct CheckpointContents {
  std::vector<std::string> settings;
  std::vector<CurvePoint> curve;  // one for each step done
};

// Writes it whole or not at all; `states` lie in `bytes` as WindowLoss::Save
// puts them.
absl::Status WriteCheckpoint(const std::string& path,
                             const GgufKeyValues& model,
                             const CheckpointContents& contents,
                             absl::Span<const StateRows> states,
                             absl::Span<const std::byte> bytes);

// Reads it into `bytes`; the curve. FailedPrecondition naming the first setting
// that differs from `settings` or the first state that is missing or of another
// shape; the errors of GgufFile::Open.
absl::StatusOr<std::vector<CurvePoint>> ReadCheckpoint(
    const std::string& path, const std::vector<std::string>& settings,
    absl::Span<const StateRows> states, absl::Span<std::byte> bytes);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_CHECKPOINT_H_
