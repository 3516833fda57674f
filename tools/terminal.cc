#include "tools/terminal.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "models/utf8.h"

namespace weft::inline v0 {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr absl::string_view kReaderGone = "nobody reads standard output";

absl::string_view program_name = "weft";
std::atomic<bool> interrupted{false};

static_assert(std::atomic<bool>::is_always_lock_free,
              "a signal handler sets it");

void OnInterrupt(int) { interrupted.store(true, std::memory_order_relaxed); }

// U+0080 to U+009F: some terminals obey these as well.
bool IsC1Control(absl::string_view character) {
  return character.size() == 2 && character[0] == '\xC2' &&
         static_cast<unsigned char>(character[1]) < 0xA0;
}

bool IsControl(absl::string_view character) {
  const auto c = static_cast<unsigned char>(character[0]);
  return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F ||
         IsC1Control(character);
}

}  // namespace

void SetProgramName(absl::string_view name) { program_name = name; }
absl::string_view ProgramName() { return program_name; }

bool StdinIsTerminal() { return isatty(STDIN_FILENO) == 1; }
bool StdoutIsTerminal() { return isatty(STDOUT_FILENO) == 1; }
bool StderrIsTerminal() { return isatty(STDERR_FILENO) == 1; }

absl::Status Print(absl::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(STDOUT_FILENO, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EPIPE) {
      return absl::AbortedError(kReaderGone);
    } else if (errno == EAGAIN) {  // somebody made the pipe non-blocking
      pollfd wait = {STDOUT_FILENO, POLLOUT, 0};
      poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      return absl::ErrnoToStatus(errno, "cannot write to standard output");
    }
  }
  return absl::OkStatus();
}

bool IsReaderGone(const absl::Status& status) {
  return absl::IsAborted(status) && status.message() == kReaderGone;
}

std::string WithoutControls(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const absl::string_view character = text.substr(0, ReadUtf8(text).size);
    absl::StrAppend(&out,
                    IsControl(character) ? kReplacementCharacter : character);
    text.remove_prefix(character.size());
  }
  return out;
}

void Say(absl::string_view line) {
  const std::string text = absl::StrCat(line, "\n");
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void Warn(absl::string_view what) {
  Say(absl::StrCat(program_name, ": warning: ", what));
}

const std::atomic<bool>& CatchInterrupt() {
  struct sigaction action = {};
  action.sa_handler = OnInterrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // and no SA_RESTART
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  return interrupted;
}

void ForgetInterrupt() {
  interrupted.store(false, std::memory_order_relaxed);
  CatchInterrupt();
}

void Progress::Update(double share) {
  if (!StderrIsTerminal() || since_.Seconds() < next_) return;
  next_ = since_.Seconds() + kRedrawSeconds;
  shown_ = true;
  absl::FPrintF(stderr, "\r%s %3.0f %%", what_,
                100 * std::clamp(share, 0.0, 1.0));
  std::fflush(stderr);
}

void Progress::Clear() {
  if (!shown_) return;
  absl::FPrintF(stderr, "\r%s\r", std::string(what_.size() + 6, ' '));
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace weft::inline v0
