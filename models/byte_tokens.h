// The tokens that stand for single bytes ("<0x0A>").
#ifndef WEFT_MODELS_BYTE_TOKENS_H_
#define WEFT_MODELS_BYTE_TOKENS_H_

#include <array>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/vocab.h"

namespace weft::inline v0 {

// The byte that "<0x0A>" or "<0x0a>" names.
std::optional<char> ParseByteToken(absl::string_view text);

// How text is written for which a vocabulary has no token. Immutable, so safe
// to share between threads.
class ByteTokens {
 public:
  // InvalidArgument (TOK-V10) for a token of type "byte" whose text names none.
  // `vocab` was read from `file`.
  static absl::StatusOr<ByteTokens> Find(const GgufFile& file,
                                         const Vocab& vocab);

  // Whether there are tokens for bytes, all or some.
  bool any() const { return any_; }

  // Appends the tokens of the bytes of `character`; in a vocabulary that has
  // no byte tokens at all a single unknown token. FailedPrecondition (TOK-V10)
  // where the token of a byte is missing; `out` may then have some of them.
  // `vocab` is the one that was searched.
  absl::Status Append(const Vocab& vocab, absl::string_view character,
                      std::vector<Token>& out) const;

 private:
  Token Of(char byte) const {
    return tokens_[static_cast<unsigned char>(byte)];
  }

  std::array<Token, 256> tokens_;  // kNoToken where missing
  bool any_ = false;  // whether there are tokens for bytes, not just "a"
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_BYTE_TOKENS_H_
