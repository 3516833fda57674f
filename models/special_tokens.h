// What tokenizers of all kinds do alike.
#ifndef WEFT_MODELS_SPECIAL_TOKENS_H_
#define WEFT_MODELS_SPECIAL_TOKENS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/gguf.h"
#include "models/token_matcher.h"
#include "models/vocab.h"

namespace weft::inline v0 {

// Finds the texts of a vocabulary's control, unknown and user-defined tokens,
// the first two only when special tokens are parsed. Which of them swallow the
// white space beside them is known by the names of models, as in llama.cpp:
// files do not say. ResourceExhausted (TOK-V20) for more than 1 MiB of text.
absl::StatusOr<TokenMatcher> MakeSpecialMatcher(const GgufFile& file,
                                                const Vocab& vocab);

// ResourceExhausted (TOK-V19) above Tokenizer::kMaxTextBytes.
absl::Status CheckText(const Vocab& vocab, absl::string_view text);
// OutOfRange (TOK-P1) for an id outside the vocabulary.
absl::Status CheckToken(const Vocab& vocab, Token token);

// The value of a bool key, `fallback` where the file has none.
absl::StatusOr<bool> ReadFlag(const GgufFile& file, absl::string_view key,
                              bool fallback);

// The text of a token of a vocabulary that writes U+2581 for a space; see
// Tokenizer::Piece.
std::string SpacedPiece(const Vocab& vocab, Token token, bool special);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SPECIAL_TOKENS_H_
