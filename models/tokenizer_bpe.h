// Tokenizer of BPE vocabularies with merges ("gpt2" and "gemma4" in GGUF): GPT,
// Llama 3, Qwen, DeepSeek, Falcon, StarCoder and their kin.
#ifndef WEFT_MODELS_TOKENIZER_BPE_H_
#define WEFT_MODELS_TOKENIZER_BPE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/gguf.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// Reads the vocabulary and the rules of a file whose tokenizer.ggml.model is
// "gpt2" or "gemma4". tokenizer.ggml.pre says how a text is cut before merging
// (pre_tokenizers.h); where it is missing or unknown the "default" patterns are
// taken, with a warning. Where the file says nothing BOS and EOS are 11.
// Results are those of llama.cpp, token for token, except that bytes which are
// no UTF-8 are kept: it makes U+FFFD of them.
//
// A byte that is no token's text fails at Encode (FailedPrecondition, TOK-V10).
//
// Errors: those of Vocab::Read, BpeMerges::Read and MakeSpecialMatcher.
absl::StatusOr<std::unique_ptr<Tokenizer>> MakeBpeTokenizer(
    const GgufFile& file);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_TOKENIZER_BPE_H_
