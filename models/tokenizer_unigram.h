// Tokenizer of SentencePiece Unigram vocabularies ("t5" in GGUF): T5, XLM-R.
#ifndef WEFT_MODELS_TOKENIZER_UNIGRAM_H_
#define WEFT_MODELS_TOKENIZER_UNIGRAM_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/gguf.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// Reads the vocabulary and the rules of a file whose tokenizer.ggml.model is
// "t5". A text is normalised (char_map.h, bytes that are no UTF-8 become
// U+FFFD, spaces as the file asks) and cut into the tokens of the highest score
// (unigram.h). Characters without a token become their byte tokens, or one
// unknown token for a run of them where the vocabulary has no byte tokens.
// Where the file says nothing EOS is 1, the unknown token 2, and EOS is put
// after a text.
//
// Decode gives the normalised text, as far as there are tokens for it.
//
// Errors: those of Vocab::Read, CharMap::Read, ByteTokens::Find and
// MakeSpecialMatcher, and FailedPrecondition (TOK-V6) where the unknown token
// is not in the vocabulary.
absl::StatusOr<std::unique_ptr<Tokenizer>> MakeUnigramTokenizer(
    const GgufFile& file);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_TOKENIZER_UNIGRAM_H_
