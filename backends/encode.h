// Writing block formats: rows of f32 into blocks.
#ifndef WEFT_BACKENDS_ENCODE_H_
#define WEFT_BACKENDS_ENCODE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "graph/dtype.h"

namespace weft::inline v0 {

// True for formats that EncodeRows writes: all that weft decodes.
bool CanEncode(DType type);

// Encodes rows of `row_length` values into blocks of `type`, one row after the
// other. out.size() must be rows * RowBytes(type, row_length).
//
// The scales are those that a search finds to give the least squared error.
// `importance`, when not empty, has a weight >= 0 of that error for each column
// (an importance matrix's mean squared activations); only ratios matter. f32,
// f16, bf16, q8_0 and q8_k have nothing to search for and ignore it; q4_0,
// q4_1, q5_0 and q5_1 search only when it is given, and without it are what
// their definition in ggml says, byte for byte.
//
// The bytes depend on the arguments alone: not on the machine, nor on how
// callers split the rows of a tensor between threads. Thread-safe.
//
// Every block decodes to finite values. InvalidArgument for sizes that do not
// fit each other, for a value that is NaN, infinite or too large for the format
// (the message names its row and column) and for a weight that is negative, NaN
// or infinite. Unimplemented for other formats. `out` is then unspecified.
absl::Status EncodeRows(DType type, absl::Span<const float> values,
                        int64_t row_length, absl::Span<const float> importance,
                        absl::Span<std::byte> out);

}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_ENCODE_H_
