// Greedy generation, for tests that compare sequences of tokens.
#ifndef WEFT_TESTS_GREEDY_H_
#define WEFT_TESTS_GREEDY_H_

#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "models/engine.h"

namespace weft::inline v0 {

// A model of weights in memory (TinyLlama), whose file lives as long as the
// process; made once.
std::shared_ptr<const Model> TinyModel();

// The lowest of the best tokens.
Token BestToken(absl::Span<const float> logits);

// `count` tokens that follow `first` in the slot's sequence. An error is a
// failure of the test and ends the list.
std::vector<Token> Greedy(Session& session, int slot, Token first, int count);

// The same from a new session of that model that has seen the prompt alone; the
// first is what follows the prompt.
std::vector<Token> GreedyAlone(const Model& model,
                               absl::Span<const Token> prompt, int count,
                               SessionOptions options = {});

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_GREEDY_H_
