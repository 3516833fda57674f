// Writer of GGUF model files (version 3, little-endian); gguf.h has the layout.
#ifndef WEFT_MODELS_GGUF_WRITER_H_
#define WEFT_MODELS_GGUF_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "graph/dtype.h"
#include "models/atomic_file.h"
#include "models/gguf_key_values.h"

namespace weft::inline v0 {

// A tensor of a file that is to be written.
struct NewGgufTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> dims;  // slowest first; 1 to 4
};

// Streams a file to disk: what it takes in memory is the metadata. The file
// appears at Commit(), whole (see atomic_file.h). Data follow each other in the
// order of the tensors, each padded to general.alignment (32 where the
// key-values have none), as ggml wants it. Errors of writing stick.
class GgufWriter {
 public:
  // Begins the file. InvalidArgument and the like for a header that GgufFile
  // would refuse, with its error ids (names, duplicates, shapes, alignment);
  // the errors of AtomicFile::Create.
  static absl::StatusOr<GgufWriter> Create(
      const std::string& path, const GgufKeyValues& key_values,
      absl::Span<const NewGgufTensor> tensors);

  uint64_t file_bytes() const { return file_bytes_; }
  // Takes the disk space now: ResourceExhausted before the work, not after it.
  absl::Status Reserve() { return file_.Reserve(file_bytes_); }

  // The next bytes of the data, in pieces of any size. FailedPrecondition when
  // they would run over the end of the tensor that they begin in.
  absl::Status Write(absl::Span<const std::byte> data);
  // The same for zeros, which take no disk space where the file system can.
  absl::Status WriteZeros(uint64_t bytes);

  // FailedPrecondition when data are missing.
  absl::Status Commit();

 private:
  struct Part {
    std::string name;
    uint64_t bytes;
  };
  explicit GgufWriter(AtomicFile file) : file_(std::move(file)) {}
  absl::Status Take(uint64_t bytes);
  absl::Status FinishTensors();

  AtomicFile file_;
  std::string path_;
  std::vector<Part> parts_;  // the tensors' data
  size_t next_ = 0;          // the part that is written
  uint64_t done_ = 0;        // bytes of it
  uint64_t alignment_ = 0;
  uint64_t file_bytes_ = 0;
};

// The bytes of a file up to the start of its tensors' data; the same errors.
// `source` names the file in them.
absl::StatusOr<std::string> MakeGgufHeader(
    const GgufKeyValues& key_values, absl::Span<const NewGgufTensor> tensors,
    const std::string& source);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GGUF_WRITER_H_
