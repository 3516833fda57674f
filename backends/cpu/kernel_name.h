// Names of kernels that exist once per format.
#ifndef WEFT_BACKENDS_CPU_KERNEL_NAME_H_
#define WEFT_BACKENDS_CPU_KERNEL_NAME_H_

#include <array>
#include <cstddef>

#include "absl/strings/string_view.h"

namespace weft::inline v0 {
namespace cpu {

// A string literal as a template argument.
template <size_t kSize>
struct Literal {
  constexpr Literal(const char (&s)[kSize]) {  // NOLINT: "..." reads as one
    for (size_t i = 0; i < kSize; ++i) text[i] = s[i];
  }
  char text[kSize];
};

// KernelName<"qmatmul.", BlockQ8_0>() is "qmatmul.q8_0", in static storage.
template <Literal kPrefix, class Block>
absl::string_view KernelName() {
  constexpr size_t kFirst = sizeof(kPrefix.text) - 1;
  static constexpr auto kName = [] {
    std::array<char, kFirst + sizeof(Block::kName)> name{};
    for (size_t i = 0; i < kFirst; ++i) name[i] = kPrefix.text[i];
    for (size_t i = 0; i < sizeof(Block::kName); ++i)
      name[kFirst + i] = Block::kName[i];
    return name;
  }();
  return kName.data();
}

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_KERNEL_NAME_H_
