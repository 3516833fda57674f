#include "tests/tool_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace weft::inline v0 {
namespace {

// Far above what any of these takes, even under an emulator.
constexpr std::chrono::seconds kTimeout(600);

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) == 0) read = ends[0], write = ends[1];
  }
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void CloseRead() { Close(read); }
  void CloseWrite() { Close(write); }
  static void Close(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
};

class Tool {
 public:
  explicit Tool(const ToolOptions& options) : options_(options) {}

  ToolResult Run(const std::vector<std::string>& command) {
    const pid_t child = fork();
    if (child == 0) Execute(command);
    pid_ = child;
    in_.CloseRead();
    out_.CloseWrite();
    err_.CloseWrite();
    Send();
    Receive();
    Wait();
    return result_;
  }

 private:
  // In the child: never returns.
  [[noreturn]] void Execute(const std::vector<std::string>& command) {
    std::vector<char*> argv;
    for (const std::string& word : command)
      argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    dup2(in_.read, STDIN_FILENO);
    dup2(err_.write, STDERR_FILENO);
    if (options_.stdout_to == StdoutTo::kClosed)
      close(STDOUT_FILENO);
    else if (options_.stdout_to == StdoutTo::kFullDisk)
      dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
    else
      dup2(out_.write, STDOUT_FILENO);
    if (options_.max_file_bytes > 0) {
      const auto bytes = static_cast<rlim_t>(options_.max_file_bytes);
      const rlimit limit = {bytes, bytes};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    std::signal(SIGPIPE, SIG_DFL);
    execv(argv[0], argv.data());
    _exit(127);
  }

  // Inputs are shorter than a pipe's buffer.
  void Send() {
    std::signal(SIGPIPE, SIG_IGN);
    static_cast<void>(
        !write(in_.write, options_.input.data(), options_.input.size()));
    in_.CloseWrite();
  }

  void Receive() {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now(), deadline = start + kTimeout;
    const std::chrono::duration<double> wait(options_.signal_after_seconds);
    bool signalled = options_.signal == 0;
    while (out_.read >= 0 || err_.read >= 0) {
      pollfd fds[] = {{out_.read, POLLIN, 0}, {err_.read, POLLIN, 0}};
      poll(fds, 2, signalled ? 100 : 1);
      if (!signalled && Clock::now() - start >= wait) {
        kill(pid_, options_.signal);
        signalled = true;
      }
      if (fds[0].revents != 0) ReadSome(out_, result_.out);
      if (fds[1].revents != 0) ReadSome(err_, result_.err);
      if (!result_.out.empty()) FirstOutput();
      if (!options_.interrupt_at.empty() && !interrupted_ &&
          absl::StrContains(result_.err, options_.interrupt_at)) {
        kill(pid_, SIGINT);
        interrupted_ = true;
      }
      if (Clock::now() > deadline) {
        result_.timed_out = true;
        kill(pid_, SIGKILL);
        return;
      }
    }
  }

  static void ReadSome(Pipe& from, std::string& to) {
    char chunk[4096];
    const ssize_t n = read(from.read, chunk, sizeof(chunk));
    if (n > 0)
      to.append(chunk, static_cast<size_t>(n));
    else
      from.CloseRead();
  }

  void FirstOutput() {
    if (options_.stdout_to == StdoutTo::kNobody) out_.CloseRead();
    if (options_.interrupt && !interrupted_) kill(pid_, SIGINT);
    interrupted_ = true;
  }

  void Wait() {
    int status = 0;
    rusage usage = {};
    wait4(pid_, &status, 0, &usage);
    result_.max_resident_kib = usage.ru_maxrss;
    if (WIFEXITED(status)) result_.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
  }

  const ToolOptions& options_;
  Pipe in_, out_, err_;
  pid_t pid_ = -1;
  bool interrupted_ = false;
  ToolResult result_;
};

}  // namespace

ToolResult RunTool(const std::string& program,
                   const std::vector<std::string>& args,
                   const ToolOptions& options) {
  std::vector<std::string> command =
      absl::StrSplit(WEFT_EMULATOR, ' ', absl::SkipEmpty());
  command.push_back(absl::StrCat(WEFT_BIN_DIR, "/", program));
  command.insert(command.end(), args.begin(), args.end());
  return Tool(options).Run(command);
}

void ExpectSuccess(const ToolResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.signal, 0);
  EXPECT_FALSE(result.timed_out);
}

void ExpectFailure(const ToolResult& result, const std::string& program,
                   const std::string& what) {
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(CountLines(result.err), 1) << result.err;
  EXPECT_TRUE(absl::StartsWith(result.err, program + ": ")) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, what)) << what << result.err;
}

int CountLines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

std::string ScratchPath(const std::string& name) {
  struct Folder {
    std::string path = absl::StrCat(testing::TempDir(), "weft-", getpid());
    Folder() { std::filesystem::create_directory(path); }
    ~Folder() { std::filesystem::remove_all(path); }
  };
  static const Folder folder;
  return absl::StrCat(folder.path, "/", name);
}

void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace weft::inline v0
