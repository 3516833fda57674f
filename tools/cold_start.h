// From the start of a process to its first token: weft-bench --cold_start.
#ifndef WEFT_TOOLS_COLD_START_H_
#define WEFT_TOOLS_COLD_START_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace weft::inline v0 {

// Seconds of each start of a program.
struct ColdStarts {
  std::vector<double> first;  // to its first byte of output
  std::vector<double> all;    // to its end
};

// Starts `command`, a program's path and its arguments, `times` times one after
// the other, with nothing to read. InternalError with what it said where it
// does not end with 0.
absl::StatusOr<ColdStarts> MeasureColdStarts(
    const std::vector<std::string>& command, int times);

// weft-run, which lies beside this program, with a prompt and one token to
// generate. NotFound.
absl::StatusOr<std::vector<std::string>> FirstTokenCommand(
    const std::string& model, const std::string& threads);

// In milliseconds.
std::string ColdStartTable(const ColdStarts& starts);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_COLD_START_H_
