// tokenizer.json (Hugging Face's tokenizers) as GGUF metadata.
#ifndef WEFT_MODELS_SAFETENSORS_TOKENIZER_H_
#define WEFT_MODELS_SAFETENSORS_TOKENIZER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "models/gguf_key_values.h"
#include "models/safetensors/json_fields.h"

namespace weft::inline v0 {

struct HfTokenizerFiles {
  std::optional<JsonFields> tokenizer;  // tokenizer.json
  std::optional<JsonFields> config;     // tokenizer_config.json, if there
  std::optional<JsonFields> model;      // config.json, if there
  std::string chat_template;            // of a file of its own, or ""
};

// Adds tokenizer.* keys: BPE over bytes, whose pre-tokenizer is known by its
// pattern ("gpt2" in GGUF); BPE made from SentencePiece, with byte fallback
// ("llama"; the order of merges becomes scores); Unigram ("t5"). `vocab`: rows
// of the embedding; ids that no token has become unused tokens.
//
// Errors: HF-2; HF-7, Unimplemented, for other kinds of models and for
// pre-tokenizers that no name of tokenizer.ggml.pre stands for;
// InvalidArgument (HF-8) for ids outside the embedding or of two texts and for
// merges that are no pairs. What a vocabulary itself gets wrong is found when
// the tokenizer is made from the keys (see MakeTokenizer).
absl::Status AddHfTokenizer(HfTokenizerFiles& from, int64_t vocab,
                            GgufKeyValues& out);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAFETENSORS_TOKENIZER_H_
