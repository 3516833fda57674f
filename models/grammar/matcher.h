// Follows a grammar token by token.
#ifndef WEFT_MODELS_GRAMMAR_MATCHER_H_
#define WEFT_MODELS_GRAMMAR_MATCHER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/grammar/grammar.h"
#include "models/grammar/states.h"
#include "models/grammar/token_trie.h"
#include "models/sampling/token_pieces.h"

namespace weft::inline v0 {

// Which tokens may come next. Tokens may hold several of a grammar's parts, or
// some bytes of a character. What is allowed at a place of the grammar is found
// by one walk over the tree of the vocabulary that leaves out what cannot
// match, and is kept: the next time it is looked up. Copies go on alike. Not
// thread-safe.
class GrammarMatcher {
 public:
  // ResourceExhausted for a grammar that is at too many places at its very
  // beginning (see GrammarStates::kMaxPlaces).
  static absl::StatusOr<GrammarMatcher> Make(
      std::shared_ptr<const Grammar> grammar,
      std::shared_ptr<const TokenPieces> pieces);

  // A bit for each token of the vocabulary: bit t % 64 of word t / 64. Tokens
  // that end the text are allowed where the grammar may end. Valid until the
  // next call. ResourceExhausted where the grammar passes its limits.
  absl::StatusOr<absl::Span<const uint64_t>> Allowed();
  // Goes on with a token; one that is not allowed leaves nothing allowed. One
  // that ends the text changes nothing.
  void Accept(Token token);
  // Begins anew.
  void Reset() { at_ = states_.start(); }
  // Whether the text so far is complete.
  bool CanEnd() const { return states_.Accepts(at_); }

 private:
  GrammarMatcher(std::shared_ptr<const Grammar> grammar,
                 std::shared_ptr<const TokenPieces> pieces);
  absl::Status CheckLimits() const;
  void Forget();
  void Walk(absl::Span<uint64_t> allowed);

  std::shared_ptr<const TokenPieces> pieces_;
  std::shared_ptr<const TokenTrie> trie_;
  GrammarStates states_;
  GrammarStates::Id at_;
  size_t words_;                 // of a set of tokens
  std::vector<uint64_t> masks_;  // sets of tokens, one behind the other
  std::unordered_map<GrammarStates::Id, size_t> mask_of_;  // its begin
  std::vector<GrammarStates::Id> path_;                    // of Walk
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_MATCHER_H_
