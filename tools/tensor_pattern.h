// Lists of patterns for tensors' names, with formats of their own.
#ifndef WEFT_TOOLS_TENSOR_PATTERN_H_
#define WEFT_TOOLS_TENSOR_PATTERN_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/dtype.h"

namespace weft::inline v0 {

struct TensorPattern {
  std::string pattern;  // see models/glob.h
  std::optional<DType> type = {};
};

// "blk.?.ffn_down.*=q6_k,output.weight" is two patterns. InvalidArgument naming
// `flag` for an empty pattern or an unknown format.
absl::StatusOr<std::vector<TensorPattern>> ParseTensorPatterns(
    absl::string_view flag, absl::string_view text);

// The first pattern that matches, or null.
const TensorPattern* FindMatch(absl::Span<const TensorPattern> patterns,
                               absl::string_view name);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TENSOR_PATTERN_H_
