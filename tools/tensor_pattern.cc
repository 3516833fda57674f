#include "tools/tensor_pattern.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
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

// Linear in pattern times name: only the last * is ever taken back.
bool Matches(absl::string_view pattern, absl::string_view name) {
  size_t p = 0, n = 0;
  size_t star = pattern.npos, star_n = 0;  // the last *, and where it ended
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_n = n;
    } else if (p < pattern.size() &&
               (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != pattern.npos) {
      p = star + 1;
      n = ++star_n;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

const TensorPattern* FindMatch(absl::Span<const TensorPattern> patterns,
                               absl::string_view name) {
  for (const TensorPattern& pattern : patterns)
    if (Matches(pattern.pattern, name)) return &pattern;
  return nullptr;
}

}  // namespace weft::inline v0
