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
// as well. Here part by part; Checksum() is the same of all at once.
class ChecksumOfParts {
 public:
  explicit ChecksumOfParts(size_t size, uint64_t start = 0)
      : sum_(start ^ size * kMultiplier) {}
  // All but the last have a multiple of eight bytes.
  void Add(absl::string_view part) {
    size_t at = 0;
    for (; at + 8 <= part.size(); at += 8) {
      uint64_t word;
      std::memcpy(&word, part.data() + at, 8);
      Add(word);
    }
    if (at < part.size())
      std::memcpy(&rest_, part.data() + at, part.size() - at);
  }
  uint64_t Finish() {
    Add(rest_);
    Add(0);  // a last round, so that the last bytes reach every bit
    return sum_;
  }

 private:
  // Odd, from the fractional part of the golden ratio.
  static constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;
  void Add(uint64_t word) {
    sum_ = (sum_ ^ word) * kMultiplier;
    sum_ ^= sum_ >> 32;
  }
  uint64_t sum_;
  uint64_t rest_ = 0;
};

inline uint64_t Checksum(absl::string_view bytes, uint64_t start = 0) {
  ChecksumOfParts sum(bytes.size(), start);
  sum.Add(bytes);
  return sum.Finish();
}

inline uint64_t Checksum(absl::Span<const std::byte> bytes,
                         uint64_t start = 0) {
  return Checksum(absl::string_view(reinterpret_cast<const char*>(bytes.data()),
                                    bytes.size()),
                  start);
}

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_CHECKSUM_H_
