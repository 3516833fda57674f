#ifndef WEFT_BACKENDS_ENCODE_EXTREME_H_
#define WEFT_BACKENDS_ENCODE_EXTREME_H_

#include <cmath>

#include "absl/types/span.h"

namespace weft::inline v0 {
namespace encode {

// The value that is largest in magnitude, the first of equal ones. (Its
// magnitude is kept apart: clang 19 compiles fabs(extreme) wrongly here.)
inline float Extreme(absl::Span<const float> values) {
  float extreme = 0, top = 0;
  for (const float v : values)
    if (std::fabs(v) > top) {
      extreme = v;
      top = std::fabs(v);
    }
  return extreme;
}

}  // namespace encode
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_ENCODE_EXTREME_H_
