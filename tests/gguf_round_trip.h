// What is read from a GGUF file, written by GgufWriter and read again.
#ifndef WEFT_TESTS_GGUF_ROUND_TRIP_H_
#define WEFT_TESTS_GGUF_ROUND_TRIP_H_

#include <string>

#include "absl/status/status.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// Writes all that `file` holds to `path`.
absl::Status WriteCopy(const GgufFile& file, const std::string& path);

// Says how `copy` differs from `file` other than in padding, gaps and the
// order of the data; "" when it does not.
std::string DifferenceOf(const GgufFile& file, const GgufFile& copy);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_GGUF_ROUND_TRIP_H_
