// What tests of grammars share.
#ifndef WEFT_TESTS_GRAMMAR_UTIL_H_
#define WEFT_TESTS_GRAMMAR_UTIL_H_

#include <memory>

#include "absl/strings/string_view.h"
#include "models/grammar/grammar.h"

namespace weft::inline v0 {

// How far a text comes in a grammar.
enum class GrammarMatch { kNo, kBegins, kWhole };
GrammarMatch MatchGrammar(const std::shared_ptr<const Grammar>& grammar,
                          absl::string_view text);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_GRAMMAR_UTIL_H_
