#include "tools/cold_start.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "tools/bench.h"
#include "tools/stopwatch.h"
#include "tools/text_table.h"

extern "C" char** environ;

namespace weft::inline v0 {
namespace {

struct Pipe {
  int read = -1, write = -1;
  ~Pipe() {
    for (const int fd : {read, write})
      if (fd >= 0) close(fd);
  }
  absl::Status Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
      return absl::ErrnoToStatus(errno, "cannot make a pipe");
    read = ends[0], write = ends[1];
    return absl::OkStatus();
  }
  void CloseWrite() {
    close(write);
    write = -1;
  }
};

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& command, int out,
                            int err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                   O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  std::vector<char*> args;
  for (const std::string& arg : command)
    args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  pid_t child = 0;
  const int error = posix_spawn(&child, command[0].c_str(), &actions, nullptr,
                                args.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return child;
  return absl::ErrnoToStatus(error, absl::StrCat("cannot run ", command[0]));
}

absl::StatusOr<int> WaitFor(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return absl::ErrnoToStatus(errno, "cannot wait for a program");
  return status;
}

// Whatever comes next, at most a piece of it; "" at the end.
std::string ReadSome(int fd) {
  char piece[4096];
  ssize_t n;
  do {
    n = read(fd, piece, sizeof piece);
  } while (n < 0 && errno == EINTR);
  return std::string(piece, n > 0 ? static_cast<size_t>(n) : 0);
}

absl::Status StartOnce(const std::vector<std::string>& command,
                       ColdStarts& starts) {
  Pipe out, err;
  WEFT_RETURN_IF_ERROR(out.Open());
  WEFT_RETURN_IF_ERROR(err.Open());
  const Stopwatch time;
  WEFT_ASSIGN_OR_RETURN(const pid_t child,
                        Spawn(command, out.write, err.write));
  out.CloseWrite();
  err.CloseWrite();
  static_cast<void>(ReadSome(out.read));
  const double first = time.Seconds();
  while (!ReadSome(out.read).empty()) continue;
  // A few lines: a pipe has room for them until here.
  std::string said;
  for (std::string more; !(more = ReadSome(err.read)).empty();) said += more;
  WEFT_ASSIGN_OR_RETURN(const int status, WaitFor(child));
  const double all = time.Seconds();
  if (status != 0)
    return absl::InternalError(absl::StrCat(
        command[0], " failed: ", absl::StripAsciiWhitespace(said)));
  starts.first.push_back(first);
  starts.all.push_back(all);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ColdStarts> MeasureColdStarts(
    const std::vector<std::string>& command, int times) {
  ColdStarts starts;
  ColdStarts warm_up;  // brings the program and the model's file into memory
  WEFT_RETURN_IF_ERROR(StartOnce(command, warm_up));
  for (int i = 0; i < times; ++i)
    WEFT_RETURN_IF_ERROR(StartOnce(command, starts));
  return starts;
}

absl::StatusOr<std::vector<std::string>> FirstTokenCommand(
    const std::string& model, const std::string& threads) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path program =
      fs::read_symlink("/proc/self/exe", error).parent_path() / "weft-run";
  if (!fs::is_regular_file(program, error))
    return absl::NotFoundError(absl::StrCat(
        "--cold_start starts ", program.string(), ", which is not there"));
  return std::vector<std::string>{program.string(), "--model=" + model,
                                  "--prompt=Once upon a time", "--max_tokens=1",
                                  "--threads=" + threads};
}

std::string ColdStartTable(const ColdStarts& starts) {
  std::vector<TableRow> rows = {{"from the start of a process", "times",
                                 "least ms", "median ms", "most ms"}};
  const auto add = [&rows](const char* what, const std::vector<double>& times) {
    const Spread spread = SpreadOf(times);
    rows.push_back(
        {what, absl::StrCat(times.size()), ShortNumber(1e3 * spread.least),
         ShortNumber(1e3 * spread.median), ShortNumber(1e3 * spread.most)});
  };
  add("to its first token", starts.first);
  add("to its end", starts.all);
  return TextTable(rows, 1);
}

}  // namespace weft::inline v0
