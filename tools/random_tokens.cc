#include "tools/random_tokens.h"

#include <random>

namespace weft::inline v0 {

std::vector<Token> RandomTokens(int64_t count, int64_t vocab, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Token> tokens(static_cast<size_t>(count));
  for (Token& token : tokens)
    token = static_cast<Token>(random() % static_cast<uint64_t>(vocab));
  return tokens;
}

}  // namespace weft::inline v0
