// Reader of safetensors files.
//
// Layout, from the format's description at huggingface.co/docs/safetensors:
//   u64 n, little-endian; n bytes of JSON, an object that maps each tensor's
//   name to {"dtype": "F16", "shape": [..], "data_offsets": [begin, end]} and
//   may map "__metadata__" to strings; then data, without gaps. Offsets count
//   from the end of the JSON; shapes have the slowest dimension first.
//
// Errors have the form "<source>: <ID> at byte <n>: <what> is <found>; expected
// <rule>":
//   ST-1  shorter than its header (DataLoss)
//   ST-2  a header longer than 100 MB, the format's limit (ResourceExhausted)
//   ST-3  a header that is no JSON object; AlreadyExists for a repeated name
//   ST-4  an entry without dtype, shape or data_offsets, or of other types
//   ST-5  an unknown dtype (Unimplemented)
//   ST-6  a dimension below 0, more than 8, or sizes that overflow
//   ST-7  data_offsets that are not the tensor's size, or run backwards
//   ST-8  data that overlap another tensor's, or leave a gap
//   ST-9  data that end before or after the file does (DataLoss, or
//         InvalidArgument for what is too much)
// InvalidArgument where nothing else is said.
#ifndef WEFT_MODELS_SAFETENSORS_FILE_H_
#define WEFT_MODELS_SAFETENSORS_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "graph/dtype.h"
#include "models/file_mapping.h"

namespace weft::inline v0 {

struct SafeTensor {
  std::string name;
  std::string type;                  // "BF16"
  DType dtype = DType::kUnknown;     // where weft has that type
  std::vector<int64_t> dims;         // slowest first
  absl::Span<const std::byte> data;  // empty when header_only and cut off
};

// One file, mapped. Views stay valid as long as the object, also when moved.
class SafetensorsFile {
 public:
  struct Options {
    bool header_only = false;  // accept a file that ends within its data
    bool read_into_memory = false;
    CopyWatch* watch = nullptr;  // over that copy
  };
  // The errors above and those of FileMapping::Open.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path,
                                              const Options& options);

  const std::string& source() const { return source_; }
  absl::Span<const SafeTensor> tensors() const { return tensors_; }
  uint64_t copied_bytes() const {
    return mapping_.is_file() ? 0 : mapping_.bytes().size();
  }

 private:
  SafetensorsFile(FileMapping mapping, std::string source)
      : mapping_(std::move(mapping)), source_(std::move(source)) {}
  absl::Status Parse(const Options& options);
  absl::Status CheckOrder(uint64_t data_at, const Options& options);

  // Where a tensor's data lie, from the start of the data.
  struct Extent {
    uint64_t begin = 0, end = 0;
  };

  FileMapping mapping_;
  std::string source_;
  std::vector<SafeTensor> tensors_;
  std::vector<Extent> extents_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAFETENSORS_FILE_H_
