#include "tools/byte_tokenizer.h"

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {

absl::StatusOr<std::vector<Token>> ByteTokenizer::Encode(
    absl::string_view text, const EncodeOptions& options) const {
  if (text.size() > kMaxTextBytes)
    return absl::ResourceExhaustedError(
        absl::StrCat("a text of ", text.size(), " bytes; up to ", kMaxTextBytes,
                     " are taken"));
  std::vector<Token> tokens;
  tokens.reserve(text.size() + 1);
  if (options.add_special) tokens.push_back(kBos);
  for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
  return tokens;
}

absl::StatusOr<std::string> ByteTokenizer::Piece(Token token,
                                                 bool special) const {
  if (token < 0 || token >= kSize)
    return absl::OutOfRangeError(absl::StrCat(
        "token ", token, " lies outside the vocabulary of ", kSize));
  if (token < kBos) return std::string(1, static_cast<char>(token));
  if (!special) return "";
  return token == kBos ? "<s>" : "</s>";
}

absl::StatusOr<std::string> ByteTokenizer::Decode(
    absl::Span<const Token> tokens, bool special) const {
  std::string text;
  for (const Token token : tokens) {
    WEFT_ASSIGN_OR_RETURN(const std::string piece, Piece(token, special));
    text += piece;
  }
  return text;
}

}  // namespace weft::inline v0
