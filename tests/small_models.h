// The smallest file of each of several architectures, for tests of what their
// builders accept. Weights are zeros.
#ifndef WEFT_TESTS_SMALL_MODELS_H_
#define WEFT_TESTS_SMALL_MODELS_H_

#include <string>
#include <vector>

#include "tests/gguf_builder.h"

namespace weft::inline v0 {

// "llama", "mixtral" (a llama with experts), "qwen3moe", "gpt-oss",
// "deepseek2", "mamba", "bert", "gpt2", "gemma2", "phi3".
std::vector<std::string> SmallModelNames();

// One layer of 32 wide: 4 heads, 2 of keys, 48 hidden, 4 experts of which a
// token takes 2, a vocabulary of 20, 64 positions. No vocabulary's keys.
GgufSpec SmallModel(const std::string& name);

// Its general.architecture.
std::string ArchitectureOf(const std::string& name);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_SMALL_MODELS_H_
