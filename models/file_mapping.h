// A whole file as read-only bytes.
#ifndef WEFT_MODELS_FILE_MAPPING_H_
#define WEFT_MODELS_FILE_MAPPING_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/copy_watch.h"

namespace weft::inline v0 {

// One mapping of one open file (POSIX). The bytes start at a page boundary and
// stay valid, wherever the object is moved to, until it is destroyed. A file
// that is renamed, replaced or deleted after Open does not change them.
// Reading from several threads is safe.
//
// Limit of mmap: the pages of a mapped file are the file. If another program
// writes into it, the bytes change; if it cuts the file short, touching a page
// past the new end raises SIGBUS, which no library can turn into a Status
// without taking the process's signal handlers. Where that can happen, use
// `read_into_memory`, which no later change of the file can reach.
class FileMapping {
 public:
  struct Options {  // How a file is opened.
    // Copy the file into private memory when it is opened.
    bool read_into_memory = false;
    // Over that copy; null: nobody looks.
    CopyWatch* watch = nullptr;
  };

  // NotFound, PermissionDenied, FailedPrecondition ("not a regular file", for
  // directories, FIFOs, sockets and devices), InvalidArgument (a path with a
  // NUL), DataLoss (the file shrank while it was read), ResourceExhausted, and
  // the errors of the watch. Never blocks on a FIFO.
  static absl::StatusOr<FileMapping> Open(const std::string& path,
                                          const Options& options);
  static absl::StatusOr<FileMapping> Open(const std::string& path) {
    return Open(path, Options());
  }

  // The same of a file that is open already, from its first byte whatever its
  // position is; `name` stands for it in errors. The descriptor stays the
  // caller's and may be closed afterwards.
  static absl::StatusOr<FileMapping> OpenDescriptor(int fd,
                                                    const std::string& name,
                                                    const Options& options);
  // `size` bytes that `read` fills in, piece by piece from the first on. An
  // error of `read` comes back as it is; ResourceExhausted, and the errors of
  // the watch, which may be null.
  using Reader =
      std::function<absl::Status(uint64_t offset, absl::Span<std::byte> into)>;
  static absl::StatusOr<FileMapping> Fill(uint64_t size, const Reader& read,
                                          const std::string& name,
                                          CopyWatch* watch = nullptr);

  FileMapping(FileMapping&& other) noexcept;
  FileMapping& operator=(FileMapping&& other) noexcept;
  ~FileMapping();

  absl::Span<const std::byte> bytes() const { return bytes_; }
  // Whether its pages are the file's; else they are private memory.
  bool is_file() const { return is_file_; }

  // Gives back the memory of the whole pages within `part` of the bytes; they
  // are read from the file again when they are touched. Nothing happens to a
  // file that was read into memory.
  void Release(absl::Span<const std::byte> part) const;

 private:
  FileMapping(absl::Span<const std::byte> bytes, bool is_file)
      : bytes_(bytes), is_file_(is_file) {}

  absl::Span<const std::byte> bytes_;  // empty: nothing to unmap
  bool is_file_ = false;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_FILE_MAPPING_H_
