#include "tests/grammar_util.h"

#include <cstdint>

#include "models/grammar/states.h"

namespace weft::inline v0 {

GrammarMatch MatchGrammar(const std::shared_ptr<const Grammar>& grammar,
                          absl::string_view text) {
  GrammarStates states(grammar);
  GrammarStates::Id at = states.start();
  for (const char c : text) at = states.Next(at, static_cast<uint8_t>(c));
  if (at == GrammarStates::kDead) return GrammarMatch::kNo;
  return states.Accepts(at) ? GrammarMatch::kWhole : GrammarMatch::kBegins;
}

}  // namespace weft::inline v0
