// The best way to write a text with the tokens of a Unigram vocabulary.
#ifndef WEFT_MODELS_UNIGRAM_H_
#define WEFT_MODELS_UNIGRAM_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "models/byte_trie.h"
#include "models/vocab.h"

namespace weft::inline v0 {

// A Unigram model scores a way of cutting a text by the sum of its tokens'
// scores (Kudo 2018, "Subword Regularization"). Immutable, so safe to share
// between threads.
class Unigram {
 public:
  // `vocab` must outlive it. Normal, user-defined and unused tokens count;
  // user-defined ones score 0, more than any other.
  explicit Unigram(const Vocab& vocab);

  struct Piece {
    Token token;  // kNoToken for one character that is no token's
    uint32_t size;
  };
  // The pieces of `text`, shorter than 2^31 bytes, of the highest score. A
  // character that no token is costs 10 more than the dearest token. Time
  // linear in the text times the longest token that it has.
  std::vector<Piece> Cut(absl::string_view text) const;

 private:
  const Vocab& vocab_;
  ByteTrie trie_;
  double unknown_score_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_UNIGRAM_H_
