#include "models/file_mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "graph/status_macros.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

// Error sites of this file:
//   FILE-1  path with a NUL              FILE-5  mmap failed
//   FILE-2  open failed                  FILE-6  read failed
//   FILE-3  not a regular file           FILE-7  shrank while it was read
//   FILE-4  size unknown                 FILE-8  larger than the address space
//   FILE-9  the same of a reader's size
//   FILE-10 larger than max_bytes allows (copy_watch.cc)

// What is wrong with the file as a whole: "<path>: <id>: <what>; expected
// <expected>".
std::string AboutFile(absl::string_view path, absl::string_view id,
                      absl::string_view what, absl::string_view expected) {
  return absl::StrCat(path, ": ", id, ": ", what, "; expected ", expected);
}

absl::Status SystemError(int error, const std::string& text) {
  // A path below a file ("model.gguf/x") is a missing file like any other.
  if (error == ENOTDIR) return absl::NotFoundError(text);
  return absl::ErrnoToStatus(error, text);
}

absl::Status NotRegular(const std::string& path, absl::string_view kind) {
  return absl::FailedPreconditionError(AboutFile(
      path, "FILE-3", absl::StrCat("it is ", kind), "a regular file"));
}

absl::Status TooLarge(const std::string& name, absl::string_view id,
                      uint64_t size) {
  return absl::ResourceExhaustedError(
      AboutFile(name, id, absl::StrCat("its size is ", size),
                "less than the address space"));
}

absl::string_view KindOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode)) return "a character device";
  if (S_ISBLK(mode)) return "a block device";
  return "of an unknown kind";
}

absl::StatusOr<int> OpenForReading(const std::string& path) {
  if (path.find('\0') != std::string::npos)
    return absl::InvalidArgumentError(AboutFile(
        QuoteInput(path), "FILE-1", "the path has a NUL", "none in a path"));
  // O_NONBLOCK: opening a FIFO would otherwise wait for a writer.
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  int fd = -1;
  do {
    fd = open(path.c_str(), kFlags);
  } while (fd < 0 && errno == EINTR);
  if (fd >= 0) return fd;
  if (errno == ENXIO) return NotRegular(path, "a socket or an absent device");
  return SystemError(errno, AboutFile(path, "FILE-2", "it cannot be opened",
                                      "a file that can be read"));
}

absl::StatusOr<size_t> RegularFileSize(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0)
    return SystemError(errno, AboutFile(path, "FILE-4", "its size is unknown",
                                        "a file that can be read"));
  if (!S_ISREG(info.st_mode)) return NotRegular(path, KindOf(info.st_mode));
  const uint64_t size = static_cast<uint64_t>(info.st_size);
  if (size > static_cast<uint64_t>(std::numeric_limits<ptrdiff_t>::max()))
    return TooLarge(path, "FILE-8", size);
  return static_cast<size_t>(size);
}

absl::Status NotMapped(int error, size_t size, const std::string& path) {
  return SystemError(
      error, AboutFile(path, "FILE-5", "the system does not map it",
                       absl::StrCat(
                           size, " bytes of memory map",
                           error == ENODEV ? " (use read_into_memory)" : "")));
}

// `fd` may be -1 with MAP_ANONYMOUS in `flags`.
absl::StatusOr<std::byte*> Map(int fd, size_t size, int protection, int flags,
                               const std::string& path) {
  void* at = mmap(nullptr, size, protection, MAP_PRIVATE | flags, fd, 0);
  if (at != MAP_FAILED) return static_cast<std::byte*>(at);
  return NotMapped(errno, size, path);
}

// The file, so that the system can map it in large pages where its cache has
// them: whole ones, asked for. Small pages cost a third of the bandwidth of one
// thread (Linux 6.18, ext4; other systems ignore it).
absl::StatusOr<std::byte*> MapFile(int fd, size_t size,
                                   const std::string& path) {
  constexpr size_t kLargePage = size_t{2} << 20;
  if (size < kLargePage) return Map(fd, size, PROT_READ, 0, path);
  // A reservation with room to align in; what is over goes back.
  const size_t room = size + kLargePage;
  WEFT_ASSIGN_OR_RETURN(std::byte * reserved,
                        Map(-1, room, PROT_NONE, MAP_ANONYMOUS, path));
  const auto address = reinterpret_cast<uintptr_t>(reserved);
  const size_t skip = (kLargePage - address % kLargePage) % kLargePage;
  std::byte* const at = reserved + skip;
  if (mmap(at, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
    const int error = errno;
    munmap(reserved, room);
    return NotMapped(error, size, path);
  }
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t end = (skip + size + page - 1) / page * page;
  if (skip > 0) munmap(reserved, skip);
  if (end < room) munmap(reserved + end, room - end);
  static_cast<void>(madvise(at, size, MADV_HUGEPAGE));
  return at;
}

// What is copied between two looks at the watch: a few milliseconds.
constexpr uint64_t kPiece = 4 << 20;

// Memory for a copy. Anonymous pages, not new[]: the same alignment, the same
// release, and a refusal is a Status. Large ones where the system has them:
// they are faster to take, to read and to give back.
absl::StatusOr<std::byte*> MapCopy(size_t size, const std::string& name) {
  WEFT_ASSIGN_OR_RETURN(std::byte * at, Map(-1, size, PROT_READ | PROT_WRITE,
                                            MAP_ANONYMOUS, name));
  static_cast<void>(madvise(at, size, MADV_HUGEPAGE));
  return at;
}

absl::Status ReadAll(int fd, std::byte* out, size_t size,
                     const std::string& path, CopyWatch& watch) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = pread(fd, out + done, std::min(kPiece, size - done),
                            static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return SystemError(
          errno, FormatInputError(path, {.id = "FILE-6",
                                         .at = done,
                                         .field = "reading",
                                         .value = "refused by the system",
                                         .expected = "bytes of the file"}));
    if (n == 0)
      return MakeInputError(absl::StatusCode::kDataLoss, path,
                            {.id = "FILE-7",
                             .at = done,
                             .field = "end of the file",
                             .value = absl::StrCat(done),
                             .expected = absl::StrCat(size),
                             .hint = "it shrank while it was read"});
    done += static_cast<size_t>(n);
    WEFT_RETURN_IF_ERROR(watch.Add(static_cast<uint64_t>(n)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FileMapping> FileMapping::Open(const std::string& path,
                                              const Options& options) {
  WEFT_ASSIGN_OR_RETURN(const int fd, OpenForReading(path));
  // The mapping holds the file open by itself.
  const absl::Cleanup close_file = [fd] { close(fd); };
  return OpenDescriptor(fd, path, options);
}

absl::StatusOr<FileMapping> FileMapping::OpenDescriptor(
    int fd, const std::string& path, const Options& options) {
  WEFT_ASSIGN_OR_RETURN(const size_t size, RegularFileSize(fd, path));
  if (size == 0) return FileMapping({}, false);  // mmap refuses a length of 0
  if (!options.read_into_memory) {
    WEFT_ASSIGN_OR_RETURN(std::byte * at, MapFile(fd, size, path));
    return FileMapping({at, size}, true);
  }
  CopyWatch unwatched({});
  CopyWatch& watch = options.watch == nullptr ? unwatched : *options.watch;
  WEFT_RETURN_IF_ERROR(watch.Begin(path, size));
  WEFT_ASSIGN_OR_RETURN(std::byte * at, MapCopy(size, path));
  FileMapping copy({at, size}, false);
  WEFT_RETURN_IF_ERROR(ReadAll(fd, at, size, path, watch));
  // Only a guard against our own bugs: a failure changes nothing.
  static_cast<void>(mprotect(at, size, PROT_READ));
  return copy;
}

absl::StatusOr<FileMapping> FileMapping::Fill(uint64_t size, const Reader& read,
                                              const std::string& name,
                                              CopyWatch* watch) {
  if (size > static_cast<uint64_t>(std::numeric_limits<ptrdiff_t>::max()))
    return TooLarge(name, "FILE-9", size);
  if (size == 0) return FileMapping({}, false);
  if (watch != nullptr) WEFT_RETURN_IF_ERROR(watch->Begin(name, size));
  WEFT_ASSIGN_OR_RETURN(std::byte * at,
                        MapCopy(static_cast<size_t>(size), name));
  FileMapping copy({at, static_cast<size_t>(size)}, false);
  // Pieces, so that the host can refuse between them.
  for (uint64_t done = 0; done < size; done += kPiece) {
    const uint64_t n = std::min(kPiece, size - done);
    WEFT_RETURN_IF_ERROR(read(done, {at + done, static_cast<size_t>(n)}));
    if (watch != nullptr) WEFT_RETURN_IF_ERROR(watch->Add(n));
  }
  static_cast<void>(mprotect(at, static_cast<size_t>(size), PROT_READ));
  return copy;
}

FileMapping::FileMapping(FileMapping&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})), is_file_(other.is_file_) {}

FileMapping& FileMapping::operator=(FileMapping&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(is_file_, other.is_file_);
  return *this;
}

void FileMapping::Release(absl::Span<const std::byte> part) const {
  if (!is_file_ || part.empty()) return;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(part.data());
  const uintptr_t first = (begin + page - 1) & ~(page - 1);
  const uintptr_t end = (begin + part.size()) & ~(page - 1);
  // A hint: a failure changes nothing.
  if (first < end)
    static_cast<void>(
        madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED));
}

FileMapping::~FileMapping() {
  if (!bytes_.empty())
    munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace weft::inline v0
