#ifndef WEFT_TOOLS_READ_FILE_H_
#define WEFT_TOOLS_READ_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace weft::inline v0 {

// The bytes of a text file, or of standard input for "-". Errors name `path`;
// ResourceExhausted for more than a tokenizer takes.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

// Lines of standard input, without their ends.
class LineReader {
 public:
  // False at the end of the input, and when `interrupted` (see
  // CatchInterrupt) comes in between.
  absl::StatusOr<bool> Next(std::string& line);

 private:
  std::string buffer_;  // read and not returned yet
  bool at_end_ = false;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_READ_FILE_H_
