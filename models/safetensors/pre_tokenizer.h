// Which of GGUF's names stands for a pre-tokenizer of tokenizer.json.
#ifndef WEFT_MODELS_SAFETENSORS_PRE_TOKENIZER_H_
#define WEFT_MODELS_SAFETENSORS_PRE_TOKENIZER_H_

#include <string>

#include "absl/strings/string_view.h"
#include "models/json.h"

namespace weft::inline v0 {

// The steps of a pre-tokenizer or normalizer, each as "Type" or, for Split,
// "Split:PATTERN", joined by "+"; "" for none. ByteLevel that splits as well,
// as GPT-2 does, is "ByteLevel*".
std::string DescribeSteps(const JsonValue* steps);

// The value of tokenizer.ggml.pre, "" for steps that are not known. The same
// steps may have two names, of which one takes whole words that are tokens as
// they are (`ignore_merges`).
absl::string_view PreTokenizerOf(absl::string_view steps, bool ignore_merges);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAFETENSORS_PRE_TOKENIZER_H_
