// The one checked reader of binary input, and arithmetic that cannot wrap.
#ifndef WEFT_MODELS_BYTE_READER_H_
#define WEFT_MODELS_BYTE_READER_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

// nullopt where the result does not fit in 64 bits.
constexpr std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  if (b > std::numeric_limits<uint64_t>::max() - a) return std::nullopt;
  return a + b;
}
constexpr std::optional<uint64_t> CheckedMul(uint64_t a, uint64_t b) {
  if (a != 0 && b > std::numeric_limits<uint64_t>::max() / a)
    return std::nullopt;
  return a * b;
}

// `value` rounded up to a multiple of `multiple`, a power of two.
constexpr std::optional<uint64_t> CheckedRoundUp(uint64_t value,
                                                 uint64_t multiple) {
  const std::optional<uint64_t> sum = CheckedAdd(value, multiple - 1);
  if (!sum) return std::nullopt;
  return *sum & ~(multiple - 1);
}

// The little-endian number at `at`, which needs no alignment.
template <class T>
T LoadLittleEndian(const std::byte* at) {
  static_assert(std::is_arithmetic_v<T>);
  std::byte bytes[sizeof(T)];
  for (size_t i = 0; i < sizeof(T); ++i) {
    constexpr bool kSwap = std::endian::native == std::endian::big;
    bytes[kSwap ? sizeof(T) - 1 - i : i] = at[i];
  }
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

// A position in bytes that it does not own. Every read says whether the input
// held what was asked for; one that fails moves nothing. Cheap to copy: a copy
// looks ahead.
class ByteReader {
 public:
  // `position` must not exceed the size.
  explicit ByteReader(absl::Span<const std::byte> bytes, uint64_t position = 0)
      : bytes_(bytes), position_(position) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }

  // Whether `count` items of at least `item_bytes` (not 0) each can follow: to
  // be asked of every count before anything is looped over or allocated.
  bool CanHold(uint64_t count, uint64_t item_bytes) const {
    return count <= remaining() / item_bytes;
  }

  // A little-endian number.
  template <class T>
  std::optional<T> Read() {
    if (remaining() < sizeof(T)) return std::nullopt;
    const T value = LoadLittleEndian<T>(bytes_.data() + position_);
    position_ += sizeof(T);
    return value;
  }

  // The next `n` bytes, as a view.
  std::optional<absl::string_view> ReadBytes(uint64_t n);

 private:
  absl::Span<const std::byte> bytes_;
  uint64_t position_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_BYTE_READER_H_
