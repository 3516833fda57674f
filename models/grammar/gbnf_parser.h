// GBNF to code, rule by rule.
#ifndef WEFT_MODELS_GRAMMAR_GBNF_PARSER_H_
#define WEFT_MODELS_GRAMMAR_GBNF_PARSER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "graph/hash.h"
#include "models/grammar/code.h"

namespace weft::inline v0 {

struct GbnfRule {
  absl::string_view name;  // of the grammar's text
  size_t at;               // where it is defined, or else first named
  bool defined = false;
  Code code;  // ends with kEnd; calls name rules by their index
};

// "GBNF-1: line 2, column 3: <what>" for the byte `at` of `text`.
absl::Status GbnfError(absl::StatusCode code, absl::string_view text, size_t at,
                       absl::string_view id, absl::string_view what);

// The rules, of which root is the first. Errors of Grammar::Parse but for left
// recursion.
absl::StatusOr<std::vector<GbnfRule>> ParseGbnf(absl::string_view text);

// InvalidArgument (GBNF-4) where a rule can begin with itself.
absl::Status CheckLeftRecursion(absl::string_view text,
                                const std::vector<GbnfRule>& rules);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_GBNF_PARSER_H_
