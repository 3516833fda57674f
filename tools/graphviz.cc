#include "tools/graphviz.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"

extern "C" char** environ;

namespace weft::inline v0 {
namespace {

constexpr char kHowToGet[] =
    "pictures need Graphviz's program dot, which is not installed: \"apt "
    "install graphviz\" (Debian, Ubuntu), \"brew install graphviz\" (macOS); "
    "or "
    "take --format=html, which needs nothing, or --format=dot and lay it out "
    "elsewhere";

// A file without a name that goes when it is closed.
absl::StatusOr<int> TemporaryFile() {
  char name[] = "/tmp/weft-dot-XXXXXX";
  const int fd = mkostemp(name, O_CLOEXEC);
  if (fd < 0)
    return absl::ErrnoToStatus(errno, "cannot make a temporary file in /tmp");
  unlink(name);
  return fd;
}

absl::Status WriteAll(int fd, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "cannot write to /tmp");
    text.remove_prefix(static_cast<size_t>(n));
  }
  lseek(fd, 0, SEEK_SET);
  return absl::OkStatus();
}

std::string ReadAll(int fd) {
  std::string out;
  lseek(fd, 0, SEEK_SET);
  char chunk[1 << 16];
  for (ssize_t n; (n = read(fd, chunk, sizeof chunk)) > 0;)
    out.append(chunk, static_cast<size_t>(n));
  return out;
}

// Runs `dot` on three files and waits for it; its exit status.
absl::StatusOr<int> Spawn(const std::string& format, int in, int out, int err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  std::string program = "dot", flag = absl::StrCat("-T", format);
  std::vector<char*> args = {program.data(), flag.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, program.c_str(), &actions, nullptr,
                                 args.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) return absl::NotFoundError(kHowToGet);
  if (error != 0) return absl::ErrnoToStatus(error, "cannot run dot");
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return absl::ErrnoToStatus(errno, "cannot wait for dot");
  // What a shell says for a program that does not exist.
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    return absl::NotFoundError(kHowToGet);
  return status;
}

}  // namespace

absl::StatusOr<std::string> RunGraphviz(absl::string_view format,
                                        absl::string_view dot) {
  int fds[3] = {-1, -1, -1};
  const absl::Cleanup close_all = [&fds] {
    for (const int fd : fds)
      if (fd >= 0) close(fd);
  };
  for (int& fd : fds) {
    WEFT_ASSIGN_OR_RETURN(fd, TemporaryFile());
  }
  WEFT_RETURN_IF_ERROR(WriteAll(fds[0], dot));
  WEFT_ASSIGN_OR_RETURN(const int status,
                        Spawn(std::string(format), fds[0], fds[1], fds[2]));
  if (status != 0)
    return absl::InternalError(absl::StrCat(
        "dot -T", format, " failed: ",
        absl::StripAsciiWhitespace(ReadAll(fds[2]).substr(0, 400))));
  return ReadAll(fds[1]);
}

}  // namespace weft::inline v0
