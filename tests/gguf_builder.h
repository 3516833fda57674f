// Writes GGUF files in memory, valid ones and broken ones.
#ifndef WEFT_TESTS_GGUF_BUILDER_H_
#define WEFT_TESTS_GGUF_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// The little-endian bytes of numbers and of GGUF strings, one after another.
template <class T>
std::string LittleEndian(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));  // as on every host we test on
  return bytes;
}
std::string GgufString(absl::string_view text);

// One key-value as it will be written; `length` overrides the key's own.
struct GgufKeySpec {
  std::string key;
  uint32_t type = 0;
  std::string payload;  // all that follows the type
  std::optional<uint64_t> length = {};
};

// One entry of the tensor table and its data. What is not set is derived.
struct GgufTensorSpec {
  std::string name;
  std::vector<uint64_t> dims;  // as in the file: fastest first
  uint32_t type = 0;
  std::string data;
  std::optional<uint64_t> length = {};  // of the name
  std::optional<uint32_t> n_dims = {};
  std::optional<uint64_t> offset = {};
};

// A file to be. Tests change a field and build it again, which re-packs what
// follows; the optional fields change a number "in place".
struct GgufSpec {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> n_tensors = {};
  std::optional<uint64_t> n_kv = {};
  std::vector<GgufKeySpec> keys;
  std::vector<GgufTensorSpec> tensors;
  uint64_t alignment = 32;  // of the layout; the key is not added
  char padding = '\0';
  std::string tail;  // after the last tensor

  template <class T>
  GgufSpec& Scalar(absl::string_view key, GgufType type, T value) {
    return Add(key, type, LittleEndian(value));
  }
  GgufSpec& String(absl::string_view key, absl::string_view value);
  template <class T>
  GgufSpec& Array(absl::string_view key, GgufType element,
                  std::vector<T> values) {
    std::string bytes;
    for (const T value : values) bytes += LittleEndian(value);
    return AddArray(key, element, values.size(), bytes);
  }
  GgufSpec& Strings(absl::string_view key, std::vector<std::string> values);
  // `dims` as in the file, fastest first; zeros as data.
  GgufSpec& Tensor(absl::string_view name, DType type,
                   std::vector<uint64_t> dims);

  GgufKeySpec& Key(absl::string_view name);  // must exist

  // Where the value of a key (of an array: that element), or the entry of a
  // tensor, begins in the file; one of that name must exist.
  uint64_t OffsetOf(absl::string_view name, size_t element = 0) const;

  std::string Metadata() const;  // the file up to the end of the tensor table
  std::string Build() const;

 private:
  GgufSpec& Add(absl::string_view key, GgufType type, std::string payload);
  GgufSpec& AddArray(absl::string_view key, GgufType element, uint64_t count,
                     absl::string_view bytes);
};

// A valid file of about 1 kB: 13 scalar keys, an array of each type, 3 tensors,
// each with data of its own that fills its padding.
GgufSpec SmallGguf();

// The small file after a change.
std::string ChangedGguf(absl::FunctionRef<void(GgufSpec&)> change);

absl::Span<const std::byte> AsBytes(absl::string_view file);

// Whether `text` contains `part`: EXPECT_PRED2(Says, message, "n_kv").
bool Says(absl::string_view text, absl::string_view part);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_GGUF_BUILDER_H_
