// Standard output and error, and Ctrl-C.
#ifndef WEFT_TOOLS_TERMINAL_H_
#define WEFT_TOOLS_TERMINAL_H_

#include <atomic>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tools/stopwatch.h"

namespace weft::inline v0 {

// The program's name, for messages. Keeps the view.
void SetProgramName(absl::string_view name);
absl::string_view ProgramName();

bool StdinIsTerminal();
bool StdoutIsTerminal();
bool StderrIsTerminal();

// Writes all of `text` to standard output, now. An error of IsReaderGone() when
// nobody reads any more (`| head`): a program ends quietly then.
absl::Status Print(absl::string_view text);
bool IsReaderGone(const absl::Status& status);

// `text` with control characters other than tab and line feed replaced by
// U+FFFD: what a model says must not move the cursor or change its colour.
std::string WithoutControls(absl::string_view text);

// A line to standard error; failures are ignored.
void Say(absl::string_view line);
// "<program>: warning: <what>".
void Warn(absl::string_view what);

// From the first call on, Ctrl-C sets the flag that this returns instead of
// ending the program; a second Ctrl-C ends it. Blocking reads are interrupted.
const std::atomic<bool>& CatchInterrupt();
// Clears the flag: the next Ctrl-C sets it again instead of ending the program.
void ForgetInterrupt();

// "loading  45 %" on standard error, rewritten in place: only on a terminal,
// and only for what takes longer than a moment. Erased when it goes.
class Progress {
 public:
  // `what` is kept as a view.
  explicit Progress(absl::string_view what) : what_(what) {}
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Update(double share);  // from 0 to 1
  void Clear();

 private:
  absl::string_view what_;
  Stopwatch since_;
  double next_ = 0.3;  // when to draw, in seconds
  bool shown_ = false;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TERMINAL_H_
