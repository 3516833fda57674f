// Tokenizer of WordPiece vocabularies ("bert" in GGUF).
#ifndef WEFT_MODELS_TOKENIZER_WORDPIECE_H_
#define WEFT_MODELS_TOKENIZER_WORDPIECE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/gguf.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// Reads the vocabulary and the rules of a file whose tokenizer.ggml.model is
// "bert". A word (bert_words.h) is cut into the longest tokens from its left,
// the first of which has U+2581 before it; where that does not come out the
// word is one unknown token. With add_special the text stands between BOS
// ([CLS]) and the separator ([SEP]). Where the file says nothing these are 101
// and 102, the unknown token is 100, and texts are lower-cased and lose their
// accents. Results are those of llama.cpp, token for token.
//
// Decode does not bring the text back: case, accents and white space are lost.
//
// Errors: those of Vocab::Read and MakeSpecialMatcher, and FailedPrecondition
// (TOK-V6) where one of those three tokens is not in the vocabulary.
absl::StatusOr<std::unique_ptr<Tokenizer>> MakeWordPieceTokenizer(
    const GgufFile& file);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_TOKENIZER_WORDPIECE_H_
