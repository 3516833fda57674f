// A llama of a few thousand parameters as a GGUF file, for tests that need a
// model but no particular one.
#ifndef WEFT_TESTS_TINY_LLAMA_H_
#define WEFT_TESTS_TINY_LLAMA_H_

#include <string>

#include "tests/gguf_builder.h"

namespace weft::inline v0 {

// Two layers, 32 wide, 4 heads over 2 groups, q8_0 matrices of seeded noise,
// the vocabulary of SmallSpmVocab, a context of 64.
GgufSpec TinyLlama(int layers = 2);

// A LoRA adapter for it: noise for one matrix of the first layer.
GgufSpec TinyAdapter();

// The path of a file with it, made once per process.
std::string TinyLlamaPath();

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_TINY_LLAMA_H_
