// Rows to encode, and what the simplest encoders make of them.
#ifndef WEFT_TESTS_ENCODE_DATA_H_
#define WEFT_TESTS_ENCODE_DATA_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/dtype.h"

namespace weft::inline v0 {

enum class RowKind {
  kNormal,       // standard deviation about 0.02, as weights have
  kHeavyTailed,  // like Student's t with 3 degrees of freedom
  kPositive,     // magnitudes of kNormal
  kOffset,       // 1 plus a tenth of kNormal's shape
  kMixed,        // kNormal times 2^0 .. 2^5, another power every 32 values
  kOutlier,      // kNormal, but one value in 256 is 1000
  kSparse,       // one value in 64 is not zero
  kConstant,     // 0.75 everywhere
  kNegative,     // -0.75 everywhere
  kZero,
  kTiny,      // kNormal times 2^-16: most scales are below f16's normals
  kDenormal,  // kNormal times 2^-127
  kLarge,     // kNormal times 2^18: the largest scales are near f16's limit
};
inline constexpr RowKind kAllRowKinds[] = {
    RowKind::kNormal, RowKind::kHeavyTailed, RowKind::kPositive,
    RowKind::kOffset, RowKind::kMixed,       RowKind::kOutlier,
    RowKind::kSparse, RowKind::kConstant,    RowKind::kNegative,
    RowKind::kZero,   RowKind::kTiny,        RowKind::kDenormal,
    RowKind::kLarge};
std::string NameOf(RowKind kind);

// `n` values, the same on every machine: made of random integers by exact
// operations and IEEE division, without the standard library's distributions.
std::vector<float> RowsOf(RowKind kind, int64_t n, uint64_t seed);

// What the blocks of the first values that fit into `bytes` decode to.
std::vector<float> Decoded(DType type, absl::Span<const std::byte> blocks);

// What `values` become under the simplest encoder of `type`: the largest value
// of each sub-block decides its scale, scales are rounded to nearest, and then
// the codes. Empty for formats whose encoder is no other (f16, q8_0, ...).
std::vector<float> RoundedToNearest(DType type, absl::Span<const float> values);

// Sum of weights[i % weights.size()] * (a[i] - b[i])^2; no weights: all 1.
double SquaredError(absl::Span<const float> a, absl::Span<const float> b,
                    absl::Span<const float> weights = {});

// A file of ../shared/golden/blocks, "" when it does not exist.
std::string GoldenBlocksPath(absl::string_view type, absl::string_view suffix);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_ENCODE_DATA_H_
