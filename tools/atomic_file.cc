#include "tools/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr size_t kBufferBytes = 1 << 16;
constexpr mode_t kNewFileMode = 0666;  // less the umask

absl::Status CannotWrite(int error, const std::string& path) {
  const std::string what = absl::StrCat("cannot write ", path);
  // Absl's codes are about other uses of these.
  if (error == ENOTDIR)
    return absl::NotFoundError(
        absl::StrCat(what, ": a part of the path is no directory"));
  if (error == EROFS)
    return absl::PermissionDeniedError(
        absl::StrCat(what, ": the file system is read-only"));
  if (error == EFBIG)
    return absl::ResourceExhaustedError(
        absl::StrCat(what, ": the file would be too large"));
  return absl::ErrnoToStatus(error, what);
}

int OpenForWriting(const std::string& path, int flags) {
  int fd;
  do {
    fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, kNewFileMode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

// The file that a symbolic link leads to, so that the link stays.
std::string FollowLink(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_symlink(path, error)) return path;
  const auto target = std::filesystem::canonical(path, error);
  return error ? path : target.string();
}

// A name beside `path` that no other file has.
int CreateBeside(const std::string& path, std::string& temporary) {
  for (int i = 0; i < 100; ++i) {
    temporary = absl::StrCat(path, ".", getpid(), ".", i, ".tmp");
    const int fd = OpenForWriting(temporary, O_CREAT | O_EXCL);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

}  // namespace

absl::StatusOr<AtomicFile> AtomicFile::Create(const std::string& name) {
  if (name.empty() || name.find('\0') != name.npos)
    return absl::InvalidArgumentError("an output file needs a name");
  const std::string path = FollowLink(name);
  struct stat old;
  const bool exists = stat(path.c_str(), &old) == 0;
  if (exists && S_ISDIR(old.st_mode))
    return absl::FailedPreconditionError(
        absl::StrCat("cannot write ", name, ": it is a directory"));
  if (exists && !S_ISREG(old.st_mode)) {
    const int fd = OpenForWriting(path, 0);
    if (fd < 0) return CannotWrite(errno, name);
    return AtomicFile(path, "", fd);
  }
  // Renaming would replace a file that must not be written.
  if (exists && access(path.c_str(), W_OK) != 0)
    return CannotWrite(errno, name);
  std::string temporary;
  const int fd = CreateBeside(path, temporary);
  if (fd < 0) return CannotWrite(errno, name);
  if (exists) static_cast<void>(fchmod(fd, old.st_mode & 07777));
  return AtomicFile(path, std::move(temporary), fd);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")),
      fd_(std::exchange(other.fd_, -1)),
      buffer_(std::move(other.buffer_)),
      status_(std::move(other.status_)) {}

AtomicFile::~AtomicFile() {
  Close();
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status AtomicFile::Write(absl::string_view bytes) {
  absl::StrAppend(&buffer_, bytes);
  return buffer_.size() < kBufferBytes ? status_ : Flush();
}

absl::Status AtomicFile::WriteFloats(absl::Span<const float> values) {
  return Write({reinterpret_cast<const char*>(values.data()),
                values.size() * sizeof(float)});
}

absl::Status AtomicFile::Commit() {
  WEFT_RETURN_IF_ERROR(Flush());
  if (temporary_.empty()) return absl::OkStatus();
  if (fsync(fd_) != 0) return Fail(errno);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return Fail(errno);
  temporary_.clear();
  return absl::OkStatus();
}

absl::Status AtomicFile::Flush() {
  absl::string_view rest = buffer_;
  while (status_.ok() && !rest.empty()) {
    const ssize_t n = write(fd_, rest.data(), rest.size());
    if (n >= 0)
      rest.remove_prefix(static_cast<size_t>(n));
    else if (errno != EINTR)
      return Fail(errno);
  }
  buffer_.clear();
  return status_;
}

absl::Status AtomicFile::Fail(int error) {
  status_.Update(CannotWrite(error, path_));
  return status_;
}

void AtomicFile::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace weft::inline v0
