// Parts of schemas that are about single texts: patterns and ranges of numbers.
#ifndef WEFT_MODELS_GRAMMAR_SCHEMA_PATTERN_H_
#define WEFT_MODELS_GRAMMAR_SCHEMA_PATTERN_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// A regular expression as GBNF for a JSON string that has a match of it, quotes
// included; `char_rule` names the rule of one character of a string. The
// message of an error names the byte of the pattern.
absl::StatusOr<std::string> PatternToGbnf(absl::string_view pattern,
                                          absl::string_view char_rule);

// The decimal integers from `low` to `high`, where given; low <= high. Without
// a bound they have up to 18 digits.
std::string IntegersToGbnf(std::optional<int64_t> low,
                           std::optional<int64_t> high);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_SCHEMA_PATTERN_H_
