// Text to tokens and back.
#ifndef WEFT_MODELS_TOKENIZER_H_
#define WEFT_MODELS_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/gguf.h"
#include "models/utf8.h"  // IWYU pragma: export: Utf8Stream joins pieces

namespace weft::inline v0 {

using Token = int32_t;  // an id of a vocabulary
// No token; never an id of a vocabulary.
inline constexpr Token kNoToken = -1;

struct EncodeOptions {  // How a text becomes tokens.
  // Add BOS/EOS as the model asks.
  bool add_special = false;
  // Recognise the text of control tokens and the unknown token: for text of
  // one's own, such as a chat template's, never for a user's. Tokens that the
  // vocabulary calls user-defined are recognised in any case.
  bool parse_special = false;
};

// A model's vocabulary and its rules. Immutable once made: safe to share
// between threads. Nothing throws: ResourceExhausted where memory runs out.
class Tokenizer {
 public:
  // Texts longer than this are refused (ResourceExhausted): a guard against
  // hostile input, far above any context.
  static constexpr size_t kMaxTextBytes = 16u << 20;

  virtual ~Tokenizer() = default;

  // ResourceExhausted for a text above kMaxTextBytes; FailedPrecondition when
  // the vocabulary has no token for some of its bytes. Never fails on odd
  // bytes as such: what is no valid UTF-8 becomes byte tokens. Time linear in
  // the text (times a log).
  absl::StatusOr<std::vector<Token>> Encode(absl::string_view text,
                                            const EncodeOptions& options) const;

  // The bytes that `token` stands for when it follows other tokens; control
  // and unknown tokens give "" unless `special`. They may be part of a
  // character: Utf8Stream joins them. OutOfRange for an id outside the
  // vocabulary.
  absl::StatusOr<std::string> Piece(Token token, bool special = false) const;

  // The whole text of `tokens`: the pieces joined, without the space that
  // Encode put before the first word. Only the first token can lose a space:
  // where BOS comes first, the space after it stays. OutOfRange as Piece.
  absl::StatusOr<std::string> Decode(absl::Span<const Token> tokens,
                                     bool special = false) const;

  virtual int32_t vocab_size() const = 0;
  virtual std::optional<Token> bos() const = 0;
  virtual std::optional<Token> eos() const = 0;
  // True for tokens that end a text (EOS and the like); false for an id
  // outside the vocabulary.
  virtual bool IsEndOfGeneration(Token token) const = 0;
  // Things about the vocabulary that were odd but usable, one line each.
  virtual absl::Span<const std::string> warnings() const { return {}; }

 private:
  // The same, where memory is at hand: what they throw becomes
  // ResourceExhausted.
  virtual absl::StatusOr<std::vector<Token>> DoEncode(
      absl::string_view text, const EncodeOptions& options) const = 0;
  virtual absl::StatusOr<std::string> DoPiece(Token token,
                                              bool special) const = 0;
  virtual absl::StatusOr<std::string> DoDecode(absl::Span<const Token> tokens,
                                               bool special) const = 0;
};

// The tokenizer that `tokenizer.ggml.model` names; it keeps nothing of `file`.
// FailedPrecondition when the file has no vocabulary, Unimplemented for a kind
// that weft does not know, InvalidArgument and OutOfRange for a vocabulary that
// contradicts itself.
absl::StatusOr<std::unique_ptr<Tokenizer>> MakeTokenizer(const GgufFile& file);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_TOKENIZER_H_
