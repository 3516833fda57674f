// Output files that appear whole or not at all.
#ifndef WEFT_TOOLS_ATOMIC_FILE_H_
#define WEFT_TOOLS_ATOMIC_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

// Writes into a temporary file beside `path`, which takes its name at Commit().
// Without a Commit the temporary file goes and `path` is as it was. What is no
// regular file (/dev/null, a FIFO) is written to directly.
//
// Errors name `path`: NotFound (its folder), PermissionDenied,
// FailedPrecondition (a folder), ResourceExhausted (the disk is full).
class AtomicFile {
 public:
  static absl::StatusOr<AtomicFile> Create(const std::string& path);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  // Errors stick: they come again from every later call.
  absl::Status Write(absl::string_view bytes);
  // Little-endian IEEE 754, as on every machine that weft runs on.
  absl::Status WriteFloats(absl::Span<const float> values);
  // Makes what was written last (fsync) and gives it its name.
  absl::Status Commit();

 private:
  AtomicFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}
  absl::Status Flush();
  absl::Status Fail(int error);
  void Close();

  std::string path_;       // the name in messages, and the final one
  std::string temporary_;  // "" when written to directly
  int fd_ = -1;
  std::string buffer_;
  absl::Status status_;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_ATOMIC_FILE_H_
