// Tokenizer of SentencePiece BPE vocabularies ("llama" in GGUF): Llama 1 and 2,
// Mistral, Gemma, Phi-3 and their kin.
#ifndef WEFT_MODELS_TOKENIZER_SPM_H_
#define WEFT_MODELS_TOKENIZER_SPM_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/gguf.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// Reads the vocabulary and the rules of a file whose tokenizer.ggml.model is
// "llama". Where the file says nothing BOS is 1, EOS 2 and the unknown token 0;
// BOS and a space are put before a text, EOS is not put after it. Results are
// those of llama.cpp, token for token.
//
// What becomes of a character that is no token's text: its bytes' tokens
// ("<0x0A>"). A vocabulary without any byte tokens gives the unknown token, one
// that lacks just the byte needed fails at Encode (FailedPrecondition,
// TOK-V10).
//
// Errors: those of Vocab::Read; InvalidArgument (TOK-V10) for a token of type
// "byte" whose text names no byte; ResourceExhausted (TOK-V20) for special
// tokens with more than 1 MiB of text.
absl::StatusOr<std::unique_ptr<Tokenizer>> MakeSpmTokenizer(
    const GgufFile& file);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_TOKENIZER_SPM_H_
