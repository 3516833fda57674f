// The flags --tap and --tap_out, and what they collect.
#ifndef WEFT_TOOLS_TAP_RECORDER_H_
#define WEFT_TOOLS_TAP_RECORDER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "graph/host_tensor.h"
#include "models/engine.h"
#include "tools/npz.h"

namespace weft::inline v0 {

// Collects the values of a session's taps over its steps. Where the slowest
// dimension is that of the step's tokens (or rows of logits) and no other one
// is, the steps follow each other in one array "name"; else each step has its
// own, "name@0", "name@1" and so on.
class TapRecorder {
 public:
  // The recorder that the flags ask for, none without them; the file is created
  // now, so that a name that cannot be written is known before the work.
  // InvalidArgument for one flag without the other.
  static absl::StatusOr<std::optional<TapRecorder>> FromFlags();
  static std::vector<std::string> Globs();

  // Takes the session's taps from now on; says what they cost. This outlives
  // the session's use.
  void Attach(Session& session);
  absl::Status Write();

 private:
  struct Column {
    bool joined = false;  // in one array
    HostTensor all;       // joined: so far
    std::vector<HostTensor> steps;
  };
  explicit TapRecorder(NpzWriter file) : file_(std::move(file)) {}
  absl::Status Add(absl::string_view name, HostTensor value);

  NpzWriter file_;
  std::map<std::string, Column, std::less<>> columns_;
  uint64_t bytes_ = 0;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TAP_RECORDER_H_
