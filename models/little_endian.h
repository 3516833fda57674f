// The bytes of numbers as files have them.
#ifndef WEFT_MODELS_LITTLE_ENDIAN_H_
#define WEFT_MODELS_LITTLE_ENDIAN_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>

namespace weft::inline v0 {

template <class T>
void AppendLittleEndian(T value, std::string& bytes) {
  static_assert(std::is_arithmetic_v<T>);
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  if constexpr (std::endian::native == std::endian::big)
    std::reverse(raw, raw + sizeof(T));
  bytes.append(raw, sizeof(T));
}

// At `to`, which needs no alignment; LoadLittleEndian() is in byte_reader.h.
template <class T>
void StoreLittleEndian(T value, std::byte* to) {
  static_assert(std::is_arithmetic_v<T>);
  std::memcpy(to, &value, sizeof(T));
  if constexpr (std::endian::native == std::endian::big)
    std::reverse(to, to + sizeof(T));
}

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_LITTLE_ENDIAN_H_
