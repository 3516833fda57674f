// A vocabulary that needs no file: a token for each byte.
#ifndef WEFT_TOOLS_BYTE_TOKENIZER_H_
#define WEFT_TOOLS_BYTE_TOKENIZER_H_

#include <optional>
#include <string>
#include <vector>

#include "models/tokenizer.h"

namespace weft::inline v0 {

// Tokens 0 to 255 are bytes; then come BOS and EOS.
class ByteTokenizer : public Tokenizer {
 public:
  static constexpr Token kBos = 256, kEos = 257;
  static constexpr int32_t kSize = 258;

  absl::StatusOr<std::vector<Token>> Encode(
      absl::string_view text, const EncodeOptions& options) const override;
  absl::StatusOr<std::string> Piece(Token token,
                                    bool special = false) const override;
  absl::StatusOr<std::string> Decode(absl::Span<const Token> tokens,
                                     bool special = false) const override;
  int32_t vocab_size() const override { return kSize; }
  std::optional<Token> bos() const override { return kBos; }
  std::optional<Token> eos() const override { return kEos; }
  bool IsEndOfGeneration(Token token) const override { return token == kEos; }
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_BYTE_TOKENIZER_H_
