// How long work goes on after it was cancelled: weft-bench --cancel.
#ifndef WEFT_TOOLS_CANCEL_BENCH_H_
#define WEFT_TOOLS_CANCEL_BENCH_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/engine.h"

namespace weft::inline v0 {

struct CancelOptions {
  std::string path;        // of the model
  int times = 100;         // that each kind of work is cancelled
  int64_t prompt = 512;    // tokens of a prefill and of an embedded text
  int64_t generate = 64;   // tokens of a decode
  uint64_t seed = 1;       // of tokens and moments
  SessionOptions session;  // pack_weights: packing is cancelled too
  // Called now and then with the share that is done.
  std::function<void(double share)> progress;
};

// One kind of work.
struct CancelTest {
  std::string name;
  // From when another thread set the flag, at a random moment of the work, to
  // when the function had returned Cancelled. Fewer than the times asked for
  // where the work is too short to be met in it.
  std::vector<double> seconds;
};

// Loading (pages of the mapping that are touched, a copy that is read, weights
// that are packed), prefills, decodes and embeddings; an encoder has only the
// last.
absl::StatusOr<std::vector<CancelTest>> MeasureCancel(
    const CancelOptions& options);

// A line for each, in milliseconds.
std::string CancelTable(absl::Span<const CancelTest> tests);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_CANCEL_BENCH_H_
