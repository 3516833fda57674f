#ifndef WEFT_TOOLS_TRAIN_DURATION_H_
#define WEFT_TOOLS_TRAIN_DURATION_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"

namespace weft::inline v0 {

// "42 s", "3:05 min", "2:03:05 h".
inline std::string DurationText(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s < 60) return absl::StrFormat("%d s", s);
  if (s < 3600) return absl::StrFormat("%d:%02d min", s / 60, s % 60);
  return absl::StrFormat("%d:%02d:%02d h", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_DURATION_H_
