#include "models/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr uint64_t kBufferBytes = 1 << 16;
constexpr off_t kMaxOffset = std::numeric_limits<off_t>::max();
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

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// The i-th name beside `path` to try for a temporary file.
std::string NameBeside(const std::string& path, int i) {
  return absl::StrCat(path, ".", getpid(), ".", i, ".tmp");
}
constexpr int kMaxTries = 100;

// The name of an open file, whether or not it has one in a folder.
std::string NameOfOpenFile(int fd) {
  return absl::StrCat("/proc/self/fd/", fd);
}

// A file without a name in the folder of `path`, or -1 where the system has no
// such thing or could not name it later.
int CreateNameless(const std::string& path) {
#ifdef O_TMPFILE
  const int fd = OpenForWriting(FolderOf(path), O_TMPFILE);
  if (fd < 0) return -1;
  if (access(NameOfOpenFile(fd).c_str(), F_OK) == 0) return fd;
  close(fd);
#endif
  return -1;
}

// A file under a name beside `path` that no other file has.
int CreateNamed(const std::string& path, std::string& temporary) {
  for (int i = 0; i < kMaxTries; ++i) {
    temporary = NameBeside(path, i);
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
    AtomicFile file(path, "", fd);
    file.is_direct_ = true;
    return file;
  }
  // Renaming would replace a file that must not be written. Somebody may have
  // removed it meanwhile.
  if (exists && access(path.c_str(), W_OK) != 0 && errno != ENOENT)
    return CannotWrite(errno, name);
  std::string temporary;
  int fd = CreateNameless(path);
  if (fd < 0) fd = CreateNamed(path, temporary);
  if (fd < 0) return CannotWrite(errno, name);
  if (exists) static_cast<void>(fchmod(fd, old.st_mode & 07777));
  return AtomicFile(path, std::move(temporary), fd);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")),
      is_direct_(other.is_direct_),
      fd_(std::exchange(other.fd_, -1)),
      buffer_(std::move(other.buffer_)),
      status_(std::move(other.status_)) {}

AtomicFile::~AtomicFile() {
  Close();
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status AtomicFile::Write(absl::string_view bytes) {
  if (bytes.size() >= kBufferBytes) {
    WEFT_RETURN_IF_ERROR(Flush());
    return WriteThrough(bytes);
  }
  absl::StrAppend(&buffer_, bytes);
  return buffer_.size() < kBufferBytes ? status_ : Flush();
}

absl::Status AtomicFile::WriteFloats(absl::Span<const float> values) {
  return Write({reinterpret_cast<const char*>(values.data()),
                values.size() * sizeof(float)});
}

absl::Status AtomicFile::WriteZeros(uint64_t bytes) {
  WEFT_RETURN_IF_ERROR(Flush());
  if (is_direct_) {
    const std::string zeros(kBufferBytes, '\0');
    for (; bytes > 0 && status_.ok(); bytes -= std::min(bytes, kBufferBytes))
      WEFT_RETURN_IF_ERROR(
          Write({zeros.data(), std::min(bytes, kBufferBytes)}));
    return status_;
  }
  const off_t at = lseek(fd_, 0, SEEK_CUR);
  if (at < 0) return Fail(errno);
  if (bytes > static_cast<uint64_t>(kMaxOffset - at)) return Fail(EFBIG);
  const off_t end = at + static_cast<off_t>(bytes);
  // Lengthened at once: a hole at the end is part of the file too.
  if (ftruncate(fd_, end) != 0 || lseek(fd_, end, SEEK_SET) < 0)
    return Fail(errno);
  return status_;
}

absl::Status AtomicFile::Reserve(uint64_t bytes) {
#ifdef FALLOC_FL_KEEP_SIZE
  if (is_direct_ || !status_.ok()) return status_;
  if (bytes > static_cast<uint64_t>(kMaxOffset)) return Fail(EFBIG);
  int error;
  do {
    error =
        fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0
            ? 0
            : errno;
  } while (error == EINTR);
  // Any other error means that the file system cannot: writing will tell.
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return Fail(error);
#else
  static_cast<void>(bytes);
#endif
  return status_;
}

absl::Status AtomicFile::Commit() {
  WEFT_RETURN_IF_ERROR(Flush());
  if (is_direct_) return absl::OkStatus();
  if (fsync(fd_) != 0) return Fail(errno);
  WEFT_RETURN_IF_ERROR(TakeName());
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return Fail(errno);
  temporary_.clear();
  return SyncFolder();
}

// Renaming needs a name to rename: linking cannot replace a file.
absl::Status AtomicFile::TakeName() {
  for (int i = 0; temporary_.empty(); ++i) {
    const std::string name = NameBeside(path_, i);
    if (linkat(AT_FDCWD, NameOfOpenFile(fd_).c_str(), AT_FDCWD, name.c_str(),
               AT_SYMLINK_FOLLOW) == 0)
      temporary_ = name;
    else if (errno != EEXIST || i == kMaxTries)
      return Fail(errno);
  }
  return status_;
}

// So that the new name survives a power failure as well.
absl::Status AtomicFile::SyncFolder() {
  const int folder =
      open(FolderOf(path_).c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  if (folder < 0) return status_;  // may be written to, not read
  const int error = fsync(folder) == 0 ? 0 : errno;
  close(folder);
  // EINVAL: a file system that does not sync folders.
  return error == 0 || error == EINVAL ? status_ : Fail(error);
}

absl::Status AtomicFile::Flush() {
  const absl::Status status = WriteThrough(buffer_);
  buffer_.clear();
  return status;
}

absl::Status AtomicFile::WriteThrough(absl::string_view rest) {
  while (status_.ok() && !rest.empty()) {
    const ssize_t n = write(fd_, rest.data(), rest.size());
    if (n >= 0)
      rest.remove_prefix(static_cast<size_t>(n));
    else if (errno != EINTR)
      return Fail(errno);
  }
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

absl::Status CheckNotSameFile(const std::string& input,
                              const std::string& output) {
  std::error_code error;
  if (!std::filesystem::equivalent(input, output, error) || error)
    return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("cannot write ", output,
                                                    ": it is the same file as ",
                                                    input, ", which is read"));
}

}  // namespace weft::inline v0
