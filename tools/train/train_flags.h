// The flags of weft-train and what is made from them.
#ifndef WEFT_TOOLS_TRAIN_TRAIN_FLAGS_H_
#define WEFT_TOOLS_TRAIN_TRAIN_FLAGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/cli.h"
#include "tools/mixture.h"
#include "tools/synth_shapes.h"
#include "tools/train/train_model.h"
#include "tools/train/trainer.h"

namespace weft::inline v0 {

struct TrainJob {
  std::string corpus, separator;
  std::string out;
  std::string init, vocab;  // GGUF files; "": none
  std::string name;         // "": as it is
  Mixture mixture;          // of the matrices written
  SynthModel shape;         // of a new model
  bool tied = true;
  NewAdapterOptions adapter;  // rank 0: none
  double validation = 0;      // share of the documents
  bool resume = false, probe = true;
  bool context_given = false;
  TrainerOptions training;  // without the schedule
  int threads = 1;
};

// Checks that outputs can be written, and are no inputs, too.
absl::StatusOr<TrainJob> TrainJobFromFlags(const Arguments& args);

// The schedule, once it is known what an epoch is.
RateSchedule ScheduleFromFlags(int64_t windows_per_epoch, int64_t step_windows);

// The groups of --help.
std::vector<FlagGroup> TrainFlagGroups();

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_TRAIN_FLAGS_H_
