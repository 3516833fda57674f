// Reader of GGUF model files (versions 2 and 3, little-endian).
//
// Layout, from the format's description in ggml's docs/gguf.md:
//   "GGUF", u32 version, u64 n_tensors, u64 n_kv; n_kv key-values
//   {string key, u32 type, value}; n_tensors tensor infos {string name,
//   u32 n_dims, u64 dims[n_dims] (fastest first), u32 type, u64 offset};
//   padding to general.alignment (32 if absent); tensor data. A string is a
//   u64 length and its bytes; an array is u32 element type, u64 count, values.
//
// Errors have the form
//   <source>: <ERROR-ID> at byte <offset>: <field> is <value>; expected <rule>
// and sometimes a hint after another semicolon. What is quoted from the file is
// escaped and cut at 128 bytes. The ids are stable: gguf_internal.h lists them.
//
// Reading is linear in the metadata (data is not touched), and takes at most
// about twice the metadata's bytes of memory: values stay in the file and are
// decoded when they are asked for.
#ifndef WEFT_MODELS_GGUF_H_
#define WEFT_MODELS_GGUF_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/dtype.h"
#include "models/copy_watch.h"

namespace weft::inline v0 {

class FileMapping;

// GGUF's value types, with the file's numbers.
enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// "uint8", "string", "array", ...
absl::string_view Name(GgufType type);

// One tensor of the file: views that live as long as the GgufFile.
struct GgufTensor {
  absl::string_view name;  // 1 to 63 bytes of UTF-8 without control characters
  DType dtype = DType::kUnknown;
  // Slowest dimension first, as everywhere in weft (the file lists them fastest
  // first); 1 to 4 entries, each 0 or more; a file's n_dims 0 is {1}.
  absl::Span<const int64_t> dims;
  uint64_t bytes = 0;   // size of the data
  uint64_t offset = 0;  // of the data, from the start of its file
  // At a multiple of the file's alignment from the start of the file. Empty
  // when the file was opened with `header_only` and the data is cut off.
  absl::Span<const std::byte> data;
};

struct GgufOptions {  // What a reader takes and bounds.
  // Accept a file whose tensor data is missing or cut off (a warning instead
  // of an error); the tensors that do not lie whole in the file have no data.
  bool header_only = false;
  // Read the file into memory instead of mapping it: slower to open, but no
  // later change of the file is seen (see file_mapping.h). Only for Open.
  bool read_into_memory = false;
  // Over what is copied into memory (that, and Read): cancellation, progress, a
  // limit. Null: nobody looks.
  CopyWatch* watch = nullptr;
};

// A file's metadata and tensors, over one read-only mapping of one open file
// (or over caller-owned bytes). Immutable once made, so safe to read from any
// number of threads. Views stay valid as long as the object, also when it is
// moved; one that was moved from can only be assigned or destroyed.
class GgufFile {
 public:
  // Maps and parses the file. NotFound, PermissionDenied, FailedPrecondition
  // (no regular file), DataLoss (ends early), InvalidArgument, AlreadyExists
  // (duplicates), Unimplemented (versions, types, ranks that weft does not
  // know), ResourceExhausted (limits, memory), Cancelled (by the watch).
  static absl::StatusOr<GgufFile> Open(const std::string& path,
                                       const GgufOptions& options = {});
  // Parses `bytes`, which must outlive the result and need no alignment;
  // `source` names them in errors. The same errors but for those of files.
  static absl::StatusOr<GgufFile> Parse(absl::Span<const std::byte> bytes,
                                        std::string source,
                                        const GgufOptions& options = {});

  // An open file, from its first byte on; `source` names it in errors. The
  // descriptor stays the caller's and may be closed afterwards.
  static absl::StatusOr<GgufFile> OpenDescriptor(
      int fd, std::string source, const GgufOptions& options = {});
  // `size` bytes that `read` copies into memory of weft's own, in order, at
  // most 4 MiB in a call: from an archive, a network, a cipher. Its error
  // comes back as it is.
  using Reader =
      std::function<absl::Status(uint64_t offset, absl::Span<std::byte> into)>;
  static absl::StatusOr<GgufFile> Read(uint64_t size, const Reader& read,
                                       std::string source,
                                       const GgufOptions& options = {});

  // One file out of several: the metadata of the first, the tensors of all, in
  // order. AlreadyExists (SPLIT-5) for a tensor that two of them have.
  static absl::StatusOr<GgufFile> Join(std::vector<GgufFile> parts);
  // What is stored in another format, described as GGUF: `header` is all of a
  // file up to its data (see MakeGgufHeader), data[i] the bytes of its tensor
  // i, which `owner` keeps, `copied` bytes of it copies; it is read from
  // `files`, the first of which names it. InvalidArgument (GGUF-X1) for data of
  // another size.
  static absl::StatusOr<GgufFile> Describe(
      std::string header, absl::Span<const absl::Span<const std::byte>> data,
      std::vector<std::string> files, std::vector<std::string> warnings,
      std::shared_ptr<const void> owner, uint64_t copied);

  GgufFile(GgufFile&&) noexcept;
  GgufFile& operator=(GgufFile&&) noexcept;
  ~GgufFile();

  const std::string& source() const;  // the path, or the name given to Parse
  // The paths of all files that it is read from; none after Parse.
  absl::Span<const std::string> files() const;
  // Private memory that copies of the files take, in bytes: their sizes, or 0
  // when they are mapped or the caller's.
  uint64_t copied_bytes() const;
  uint32_t version() const;
  uint32_t alignment() const;  // of tensor data, in bytes; a power of two
  absl::Span<const GgufTensor> tensors() const;  // in the order of the file
  // Null when there is none of that name.
  const GgufTensor* FindTensor(absl::string_view name) const;
  // Things that were odd but usable, one line each.
  absl::Span<const std::string> warnings() const;
  absl::Span<const absl::string_view> keys() const;  // in the order of the file

  bool Has(absl::string_view key) const;
  // The value's type; NotFound when absent.
  absl::StatusOr<GgufType> TypeOf(absl::string_view key) const;

  // Typed getters. NotFound when the key is absent, InvalidArgument naming the
  // key and both types when it has another type. Integers accept any integer
  // type, floats float32 and float64; OutOfRange when the value does not fit.
  absl::StatusOr<uint32_t> GetUint32(absl::string_view key) const;
  absl::StatusOr<int64_t> GetInt64(absl::string_view key) const;
  absl::StatusOr<float> GetFloat(absl::string_view key) const;
  absl::StatusOr<bool> GetBool(absl::string_view key) const;
  absl::StatusOr<absl::string_view> GetString(absl::string_view key) const;

  // Arrays. The strings are views into the file. Errors as above; exactly the
  // element type asked for, except that GetInt32s accepts any integer type
  // (OutOfRange naming the element when a value does not fit).
  absl::StatusOr<std::vector<absl::string_view>> GetStrings(
      absl::string_view key) const;
  absl::StatusOr<std::vector<float>> GetFloats(absl::string_view key) const;
  absl::StatusOr<std::vector<int32_t>> GetInt32s(absl::string_view key) const;
  absl::StatusOr<std::vector<bool>> GetBools(absl::string_view key) const;
  // Element type and count of an array; InvalidArgument when it is no array.
  struct ArrayInfo {
    GgufType element;
    uint64_t count;
  };
  absl::StatusOr<ArrayInfo> GetArrayInfo(absl::string_view key) const;
  // The value as it stands in the file, its u32 type first; NotFound.
  absl::StatusOr<absl::string_view> GetRaw(absl::string_view key) const;

  // Where the value of `key` begins, or that element of an array; for errors.
  // None when it is absent, or the file is described out of another format.
  std::optional<uint64_t> OffsetOf(absl::string_view key,
                                   uint64_t element = 0) const;
  // Where the entry of a tensor of this object begins in the tensor table.
  // None as above, and when it is in the table of another part than the first.
  std::optional<uint64_t> OffsetOf(const GgufTensor& tensor) const;

  // Says that the tensor's data is not needed for now, so that the system may
  // take back the memory that holds it. The data stays readable. Thread-safe.
  void Release(absl::Span<const std::byte> data) const;

 private:
  struct Contents;  // gguf_internal.h
  explicit GgufFile(std::unique_ptr<Contents> contents);
  static absl::StatusOr<GgufFile> FromMapping(
      absl::StatusOr<FileMapping> mapping, std::string source,
      const GgufOptions& options);
  std::unique_ptr<Contents> contents_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GGUF_H_
