// Tokens for programs that measure or compare: which they are does not matter.
#ifndef WEFT_TOOLS_RANDOM_TOKENS_H_
#define WEFT_TOOLS_RANDOM_TOKENS_H_

#include <cstdint>
#include <vector>

#include "models/tokenizer.h"

namespace weft::inline v0 {

// The same for each seed.
std::vector<Token> RandomTokens(int64_t count, int64_t vocab, uint64_t seed);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_RANDOM_TOKENS_H_
