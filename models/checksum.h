// A checksum of bytes against damage, not against an adversary.
#ifndef WEFT_MODELS_CHECKSUM_H_
#define WEFT_MODELS_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

// 64 bits of the bytes and of `start`, eight bytes at a time: multiply and
// fold, each step one-to-one in what went before and in its bytes, so that any
// change within one group of eight bytes changes the result. The length counts
// as well.
inline uint64_t Checksum(absl::string_view bytes, uint64_t start = 0) {
  // Odd, from the fractional part of the golden ratio.
  constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;
  uint64_t sum = start ^ bytes.size() * kMultiplier;
  const auto add = [&sum](uint64_t word) {
    sum = (sum ^ word) * kMultiplier;
    sum ^= sum >> 32;
  };
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    add(word);
  }
  uint64_t rest = 0;
  if (at < bytes.size())
    std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
  add(rest);
  add(0);  // a last round, so that the last bytes reach every bit
  return sum;
}

inline uint64_t Checksum(absl::Span<const std::byte> bytes,
                         uint64_t start = 0) {
  return Checksum(absl::string_view(reinterpret_cast<const char*>(bytes.data()),
                                    bytes.size()),
                  start);
}

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_CHECKSUM_H_
