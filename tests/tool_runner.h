// Runs weft's programs as a user does.
#ifndef WEFT_TESTS_TOOL_RUNNER_H_
#define WEFT_TESTS_TOOL_RUNNER_H_

#include <string>
#include <vector>

namespace weft::inline v0 {

enum class StdoutTo {
  kCapture,
  kNobody,    // a pipe whose reader goes away after the first bytes
  kClosed,    // no standard output at all
  kFullDisk,  // /dev/full
};

struct ToolOptions {
  std::string input = {};  // standard input
  StdoutTo stdout_to = StdoutTo::kCapture;
  // Sends SIGINT when the first bytes of output have come.
  bool interrupt = false;
  // Sends SIGINT when standard error has this; "": never.
  std::string interrupt_at = {};
  // Largest file that it may write, in bytes; 0: no limit.
  long max_file_bytes = 0;
  // A signal to send after so much time; 0: none.
  int signal = 0;
  double signal_after_seconds = 0;
};

struct ToolResult {
  int exit_code = -1;  // -1 when a signal ended it
  int signal = 0;
  bool timed_out = false;  // it was killed
  long max_resident_kib = 0;
  std::string out, err;
};

// Runs a program of the build by its name, through the emulator that tests are
// run with.
ToolResult RunTool(const std::string& program,
                   const std::vector<std::string>& args,
                   const ToolOptions& options = {});

// Checks that it ended with 0.
void ExpectSuccess(const ToolResult& result);
// Checks that it ended with 1, no output, and one line "<program>: ..." that
// contains `what`.
void ExpectFailure(const ToolResult& result, const std::string& program,
                   const std::string& what);

// Number of line feeds.
int CountLines(const std::string& text);

// A path in a folder of this process, which goes when the process ends.
std::string ScratchPath(const std::string& name);
void WriteBytes(const std::string& path, const std::string& bytes);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_TOOL_RUNNER_H_
