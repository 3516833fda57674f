#include "models/byte_reader.h"

#include "absl/strings/string_view.h"

namespace weft::inline v0 {

std::optional<absl::string_view> ByteReader::ReadBytes(uint64_t n) {
  if (remaining() < n) return std::nullopt;
  const absl::string_view bytes(
      reinterpret_cast<const char*>(bytes_.data()) + position_, n);
  position_ += n;
  return bytes;
}

}  // namespace weft::inline v0
