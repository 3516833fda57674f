#include "tools/tensor_pattern.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "models/glob.h"
#include "models/input_error.h"
#include "tools/mixture.h"

namespace weft::inline v0 {

absl::StatusOr<std::vector<TensorPattern>> ParseTensorPatterns(
    absl::string_view flag, absl::string_view text) {
  std::vector<TensorPattern> patterns;
  if (text.empty()) return patterns;
  for (const absl::string_view item : absl::StrSplit(text, ',')) {
    const size_t equals = item.find('=');
    TensorPattern pattern{std::string(item.substr(0, equals))};
    if (pattern.pattern.empty())
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, " has an empty pattern in ",
                       QuoteInput(text), "; expected PATTERN[=TYPE],..."));
    if (equals != item.npos) {
      const auto type = FindMatrixType(item.substr(equals + 1));
      if (!type.ok())
        return absl::InvalidArgumentError(
            absl::StrCat("--", flag, ": ", type.status().message()));
      pattern.type = *type;
    }
    patterns.push_back(std::move(pattern));
  }
  return patterns;
}

const TensorPattern* FindMatch(absl::Span<const TensorPattern> patterns,
                               absl::string_view name) {
  for (const TensorPattern& pattern : patterns)
    if (Matches(pattern.pattern, name)) return &pattern;
  return nullptr;
}

}  // namespace weft::inline v0
