#include "tools/read_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {
namespace {

// Appends what there is, up to some KiB. The number of bytes; 0 at the end.
// Cancelled when a signal came in between.
absl::StatusOr<size_t> ReadSome(int fd, const std::string& name,
                                std::string& out) {
  constexpr size_t kChunk = 1 << 14;
  if (out.size() > Tokenizer::kMaxTextBytes)
    return absl::ResourceExhaustedError(
        absl::StrCat(name, " is too long: texts may have ",
                     Tokenizer::kMaxTextBytes, " bytes"));
  char chunk[kChunk];
  const ssize_t n = read(fd, chunk, kChunk);
  if (n < 0 && errno == EINTR) return absl::CancelledError("interrupted");
  if (n < 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", name));
  out.append(chunk, static_cast<size_t>(n));
  return static_cast<size_t>(n);
}

constexpr char kStdinName[] = "standard input";

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  const bool is_stdin = path == "-";
  const int fd =
      is_stdin ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const std::string name = is_stdin ? kStdinName : path;
  if (fd < 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", name));
  const absl::Cleanup closer = [fd] { close(fd); };
  std::string text;
  for (size_t n = 1; n > 0;) {
    WEFT_ASSIGN_OR_RETURN(n, ReadSome(fd, name, text));
  }
  return text;
}

absl::StatusOr<bool> LineReader::Next(std::string& line) {
  size_t end = buffer_.find('\n');
  while (end == buffer_.npos && !at_end_) {
    const size_t searched = buffer_.size();
    const absl::StatusOr<size_t> n =
        ReadSome(STDIN_FILENO, kStdinName, buffer_);
    if (absl::IsCancelled(n.status())) return false;
    WEFT_RETURN_IF_ERROR(n.status());
    at_end_ = *n == 0;
    end = buffer_.find('\n', searched);
  }
  if (end == buffer_.npos && buffer_.empty()) return false;
  line = buffer_.substr(0, end);
  buffer_.erase(0, end == buffer_.npos ? end : end + 1);
  return true;
}

}  // namespace weft::inline v0
