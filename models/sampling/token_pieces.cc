#include "models/sampling/token_pieces.h"

namespace weft::inline v0 {

TokenPieces::TokenPieces(const Tokenizer& tokenizer) {
  const int32_t n = tokenizer.vocab_size();
  ends_.reserve(static_cast<size_t>(n));
  ends_of_text_.reserve(static_cast<size_t>(n));
  for (Token token = 0; token < n; ++token) {
    bytes_ += tokenizer.Piece(token).value_or("");
    ends_.push_back(bytes_.size());
    ends_of_text_.push_back(tokenizer.IsEndOfGeneration(token));
  }
}

absl::string_view TokenPieces::operator[](Token token) const {
  if (token < 0 || token >= size()) return "";
  const auto i = static_cast<size_t>(token);
  const uint64_t begin = i == 0 ? 0 : ends_[i - 1];
  return absl::string_view(bytes_).substr(begin, ends_[i] - begin);
}

}  // namespace weft::inline v0
