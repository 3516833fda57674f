// The bytes of every token of a vocabulary.
#ifndef WEFT_MODELS_SAMPLING_TOKEN_PIECES_H_
#define WEFT_MODELS_SAMPLING_TOKEN_PIECES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// What Tokenizer::Piece gives for each token, without a call for each.
// Immutable, so safe to share between threads; keeps nothing of the tokenizer.
class TokenPieces {
 public:
  explicit TokenPieces(const Tokenizer& tokenizer);

  int32_t size() const { return static_cast<int32_t>(ends_of_text_.size()); }
  // "" for tokens without a text, and for ids outside the vocabulary.
  absl::string_view operator[](Token token) const;
  bool EndsText(Token token) const {
    return ends_of_text_[static_cast<size_t>(token)];
  }

 private:
  std::string bytes_;
  std::vector<uint64_t> ends_;  // of each token's bytes
  std::vector<bool> ends_of_text_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAMPLING_TOKEN_PIECES_H_
