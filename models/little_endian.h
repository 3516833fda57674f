// The bytes of numbers as files have them.
#ifndef WEFT_MODELS_LITTLE_ENDIAN_H_
#define WEFT_MODELS_LITTLE_ENDIAN_H_

#include <algorithm>
#include <bit>
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

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_LITTLE_ENDIAN_H_
