// The tokenizer of a model that was loaded without one.
#ifndef WEFT_MODELS_NO_TOKENIZER_H_
#define WEFT_MODELS_NO_TOKENIZER_H_

#include <string>
#include <vector>

#include "models/tokenizer.h"

namespace weft::inline v0 {

// Every text and token is refused (FailedPrecondition); there are no special
// tokens.
class NoTokenizer : public Tokenizer {
 public:
  absl::StatusOr<std::vector<Token>> DoEncode(
      absl::string_view, const EncodeOptions&) const override {
    return Refusal();
  }
  absl::StatusOr<std::string> DoPiece(Token, bool) const override {
    return Refusal();
  }
  absl::StatusOr<std::string> DoDecode(absl::Span<const Token>,
                                       bool) const override {
    return Refusal();
  }
  int32_t vocab_size() const override { return 0; }
  std::optional<Token> bos() const override { return std::nullopt; }
  std::optional<Token> eos() const override { return std::nullopt; }
  bool IsEndOfGeneration(Token) const override { return false; }

 private:
  static absl::Status Refusal() {
    return absl::FailedPreconditionError(
        "the model was loaded without a tokenizer");
  }
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_NO_TOKENIZER_H_
