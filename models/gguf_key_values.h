// The metadata of a GGUF file that is to be written.
#ifndef WEFT_MODELS_GGUF_KEY_VALUES_H_
#define WEFT_MODELS_GGUF_KEY_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// Key-values in order. Setting a key that exists changes it where it stands;
// others come at the end. What was copied from a file stays as it was, byte for
// byte, also where weft would not write it like that. Keys are not checked
// before they are written.
class GgufKeyValues {
 public:
  // All of a file's, in its order.
  static absl::StatusOr<GgufKeyValues> CopyOf(const GgufFile& file);
  // One of a file's; NotFound.
  absl::Status Copy(const GgufFile& file, absl::string_view key);

  void SetUint32(absl::string_view key, uint32_t value);
  void SetFloat(absl::string_view key, float value);
  void SetBool(absl::string_view key, bool value);
  void SetString(absl::string_view key, absl::string_view value);
  void SetStrings(absl::string_view key, absl::Span<const std::string> values);
  void SetFloats(absl::string_view key, absl::Span<const float> values);
  void SetInt32s(absl::string_view key, absl::Span<const int32_t> values);
  void SetUint8s(absl::string_view key, absl::Span<const uint8_t> values);
  // All of another's, in its order.
  void SetAll(const GgufKeyValues& other);
  // Nothing happens when there is none.
  void Remove(absl::string_view key);

  size_t size() const { return items_.size(); }
  // The value where it is a uint32.
  std::optional<uint32_t> GetUint32(absl::string_view key) const;
  // Appends what stands between the header and the tensor table.
  void AppendTo(std::string& bytes) const;

 private:
  struct Item {
    std::string key;
    std::string value;  // as in the file: u32 type, then the value
  };
  void Set(absl::string_view key, std::string value);

  std::vector<Item> items_;
  std::map<std::string, size_t, std::less<>> index_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GGUF_KEY_VALUES_H_
