// The parts of the GGUF reader; for models/gguf*.cc and their tests only.
//
// Error sites, by section; the ids are stable and each stands at one place.
//
//   header (gguf_header.cc)
//     H1 empty file              H2 file shorter than the header
//     H3 magic is not "GGUF"     H4 version 0      H5 version 1
//     H6 version above 3         H7 big-endian file
//     H8 n_tensors, H9 n_kv: more than the file can hold
//   key-values (gguf_metadata.cc, gguf_values.cc)
//     K1 empty key               K2 key too long   K3 key cut off
//     K4 NUL in a key            K5 control or non-ASCII byte in a key
//     K6 value type cut off      K7 duplicate key  K9 unknown value type
//     K10 scalar cut off         K11 string cut off
//     K13 bool byte              K14 array of arrays
//     K15 element type cut off   K16 unknown element type
//     K17 array longer than the file               K18 count cut off
//     K19 string array longer than the file        K20 its element cut off
//     K21 bool byte in an array  K22 alignment 0   K23 no power of two
//     K25 alignment too large    K26 alignment of another type
//     K28 more keys than can be indexed
//   tensor table (gguf_tensor_info.cc, gguf_table.cc)
//     T1 empty name   T2 name too long   T3 control character or bad UTF-8
//     T4 duplicate name                  T5 more tensors than can be indexed
//     T6 entry cut off                   T7 more than 4 dimensions
//     T9 dimension over 2^63-1           T10 element count overflows
//     T13 byte size overflows            T14 padded size overflows
//     T16 total size overflows           T17 row is no multiple of the block
//     T19 unknown type                   T21 offset not aligned
//     H10 table shorter than n_tensors   H12 table longer than n_tensors
//   data (gguf_layout.cc)
//     T22 tensors overlap                T25 offset wraps
//     D1 data cut off                    D2 no data
//     warnings: T23 gap between tensors  T26 order differs from the table's
//               D3 data missing (header_only)     D4 bytes after the data
//   described data (gguf.cc)
//     X1 bytes that a tensor of that shape does not have
//   getters (gguf_getters.cc)
//     G1 no such key    G2 other type     G3 no array    G4 element type
//     G5 value does not fit               G6 element does not fit
//     G7 float64 out of float32's range
//
// What is accepted though another reader refuses it: alignments 1 to 4 (gguf.md
// asks for multiples of 8, ggml only for a power of two), data in any order and
// with gaps (ggml wants the table's order, packed), n_dims 0, unused zero
// dimensions, any bytes as padding or string values.
// What is refused though ggml accepts it: bool bytes other than 0 and 1, keys
// that are not printable ASCII, tensor names with control characters (they
// would reach terminals) or bad UTF-8, alignments above 64 KiB. Like ggml, and
// unlike gguf.md, tensor names of 64 bytes are refused.
#ifndef WEFT_MODELS_GGUF_INTERNAL_H_
#define WEFT_MODELS_GGUF_INTERNAL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/byte_reader.h"
#include "models/file_mapping.h"
#include "models/gguf.h"
#include "models/input_error.h"
#include "models/name_index.h"

namespace weft::inline v0 {

// The bytes that are read and their name in errors.
struct GgufInput {
  absl::Span<const std::byte> bytes;
  absl::string_view source;

  absl::Status Error(absl::StatusCode code, const InputError& error) const {
    return MakeInputError(code, source, error);
  }
  // The error of a `field` of `need` bytes that starts where `reader` is and
  // runs past the end.
  absl::Status CutOff(absl::string_view id, const ByteReader& reader,
                      std::string field, uint64_t need) const;
  // Where a view into `bytes` begins.
  uint64_t PositionOf(absl::string_view view) const {
    return static_cast<uint64_t>(view.data() -
                                 reinterpret_cast<const char*>(bytes.data()));
  }
};

// ---- header ----

inline constexpr uint64_t kGgufHeaderBytes = 24;
inline constexpr uint64_t kMinKeyValueBytes = 14;  // 8 + 1, 4, 1
// 8 + 1, 4, 8, 4, 8. An entry without dims is 8 bytes shorter, but it has data
// of at least one alignment.
inline constexpr uint64_t kMinTensorInfoBytes = 33;
inline constexpr uint64_t kMinStringBytes = 8;

struct GgufHeader {
  uint32_t version = 0;
  uint64_t n_tensors = 0;
  uint64_t n_kv = 0;
};
absl::StatusOr<GgufHeader> ReadGgufHeader(const GgufInput& in,
                                          ByteReader& reader);

// ---- key-values ----

// Where the bytes of a value are; no array is ever copied to be parsed.
struct GgufValue {
  GgufType type = GgufType::kUint8;
  GgufType element = GgufType::kUint8;  // that of the array, or `type`
  uint64_t count = 1;
  uint64_t at = 0;  // of the first element
};

// A key while it is read.
struct GgufKeyAt {
  uint64_t number = 0;  // its place in the file
  absl::string_view name;

  std::string Label() const;  // for errors
};

// Reads and checks the type and the value that follow `key`.
absl::StatusOr<GgufValue> ReadGgufValue(const GgufInput& in,
                                        const GgufKeyAt& key,
                                        ByteReader& reader);

// Bytes of a value of fixed size; 0 for strings and arrays.
uint64_t GgufFixedSize(GgufType type);

// The value of `key`, a view into `in` that was parsed before.
GgufValue GgufValueOfParsedKey(const GgufInput& in, absl::string_view key);
// Its bytes, the type first.
absl::string_view RawGgufValueOfParsedKey(const GgufInput& in,
                                          absl::string_view key);

struct GgufMetadata {
  std::vector<absl::string_view> keys;  // in the order of the file
  NameIndex<absl::string_view> index{&keys};
  uint32_t alignment = 32;

  GgufMetadata() = default;
  GgufMetadata(const GgufMetadata&) = delete;  // `index` points to `keys`
  GgufMetadata& operator=(const GgufMetadata&) = delete;
};
absl::Status ReadGgufMetadata(const GgufInput& in, uint64_t n_kv,
                              ByteReader& reader, GgufMetadata& metadata);

// ---- tensor table ----

// One entry of the table, checked on its own.
struct GgufTensorInfo {
  absl::string_view name;
  DType dtype = DType::kUnknown;
  int n_dims = 0;                 // 1 to 4
  std::array<int64_t, 4> dims{};  // slowest first
  uint64_t bytes = 0;
  uint64_t padded_bytes = 0;  // `bytes` rounded up to the alignment
  uint64_t offset = 0;        // from the start of the data section

  absl::Span<const int64_t> Dims() const {
    return absl::MakeConstSpan(dims).first(static_cast<size_t>(n_dims));
  }
};
struct GgufTableShape {
  uint64_t n_tensors = 0;
  uint32_t alignment = 0;
};
absl::StatusOr<GgufTensorInfo> ReadGgufTensorInfo(const GgufInput& in,
                                                  const GgufTableShape& shape,
                                                  uint64_t index,
                                                  ByteReader& reader);

inline absl::string_view IndexName(const GgufTensor& tensor) {
  return tensor.name;
}

struct GgufTable {
  std::vector<GgufTensor> tensors;  // in the order of the file
  std::vector<int64_t> dims;        // what their `dims` point into
  NameIndex<GgufTensor> index{&tensors};

  GgufTable() = default;
  GgufTable(const GgufTable&) = delete;  // views into itself
  GgufTable& operator=(const GgufTable&) = delete;
};
// Offsets are left as the file has them, and `data` empty.
absl::Status ReadGgufTable(const GgufInput& in, const GgufTableShape& shape,
                           ByteReader& reader, GgufTable& table);

// ---- data ----

struct GgufLayout {
  uint64_t table_end = 0;  // position after the tensor table
  uint32_t alignment = 0;
  bool header_only = false;
};
// Makes offsets absolute, checks that no two tensors share bytes, and sets
// `data` of each tensor that lies whole in the file.
absl::Status PlaceGgufTensors(const GgufInput& in, const GgufLayout& layout,
                              std::vector<GgufTensor>& tensors,
                              std::vector<std::string>& warnings);

struct GgufFile::Contents {
  std::string source;
  std::vector<std::string> files;
  std::optional<FileMapping> mapping;  // none over a caller's bytes
  std::vector<GgufFile> others;        // that tensors were joined from
  std::string header_bytes;            // of Describe()
  std::shared_ptr<const void> owner;   // of its data
  uint64_t copied = 0;                 // bytes of copies of files
  absl::Span<const std::byte> bytes;
  GgufHeader header;
  GgufMetadata metadata;
  GgufTable table;
  std::vector<std::string> warnings;

  GgufInput input() const { return {bytes, source}; }
  // Fills everything from `bytes`.
  absl::Status Parse(const GgufOptions& options);
  // NotFound; FindArray also InvalidArgument when it is no array.
  absl::StatusOr<GgufValue> Find(absl::string_view key) const;
  absl::StatusOr<GgufValue> FindArray(absl::string_view key) const;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GGUF_INTERNAL_H_
