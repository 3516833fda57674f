// Output files that appear whole or not at all.
#ifndef WEFT_MODELS_ATOMIC_FILE_H_
#define WEFT_MODELS_ATOMIC_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

// Writes into a temporary file in the folder of `path`, which takes its name at
// Commit(). Without a Commit the temporary file goes and `path` is as it was.
// Where the file system can, the temporary file has no name before that, so
// that even a killed process leaves nothing behind; elsewhere it is
// "<path>.<process>.<n>.tmp". What is no regular file (/dev/null, a FIFO) is
// written to directly.
//
// Errors name `path`: NotFound (its folder), PermissionDenied,
// FailedPrecondition (a folder), ResourceExhausted (the disk is full).
class AtomicFile {
 public:
  static absl::StatusOr<AtomicFile> Create(const std::string& path);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  // Takes disk space for a file of that size now, where the file system can:
  // a disk that is too full is then an error before the work, not after it.
  absl::Status Reserve(uint64_t bytes);
  // Errors stick: they come again from every later call.
  absl::Status Write(absl::string_view bytes);
  // Little-endian IEEE 754, as on every machine that weft runs on.
  absl::Status WriteFloats(absl::Span<const float> values);
  // Zeros, as a hole that takes no disk space where the file system can.
  absl::Status WriteZeros(uint64_t bytes);
  // Makes what was written last (fsync, of the folder too) and gives it its
  // name.
  absl::Status Commit();

 private:
  AtomicFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}
  absl::Status Flush();
  absl::Status WriteThrough(absl::string_view rest);
  absl::Status TakeName();
  absl::Status SyncFolder();
  absl::Status Fail(int error);
  void Close();

  std::string path_;        // the name in messages, and the final one
  std::string temporary_;   // "" while the file has no name of its own
  bool is_direct_ = false;  // no regular file
  int fd_ = -1;
  std::string buffer_;
  absl::Status status_;
};

// FailedPrecondition naming both when they are the same file, under whatever
// names and links. An `output` that does not exist is no file's.
absl::Status CheckNotSameFile(const std::string& input,
                              const std::string& output);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_ATOMIC_FILE_H_
