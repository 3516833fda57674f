// Numbers from a model: what weft-eval measures.
#ifndef WEFT_TOOLS_EVAL_H_
#define WEFT_TOOLS_EVAL_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/engine.h"

namespace weft::inline v0 {

// Token ids separated by commas or blanks. InvalidArgument that says which item
// is no id; also when there is none.
absl::StatusOr<std::vector<Token>> ParseTokens(absl::string_view text);

// "1 403 407".
std::string JoinTokens(absl::Span<const Token> tokens);

struct EvalOptions {
  int64_t chunk = 0;  // tokens of a step; 0: as many as the session takes
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(double share)> progress;  // of the whole, from 0 to 1
};

// Evaluates `tokens` from position 0 in slot 0 and gives each row of logits to
// `row`, in order; the first error of `row` ends it.
absl::Status EvalLogits(
    Session& session, absl::Span<const Token> tokens,
    const EvalOptions& options,
    const std::function<absl::Status(absl::Span<const float>)>& row);

// `n` tokens after `tokens`, each the best (the lowest of equals), through the
// cache and not stopped by the end of a text.
absl::StatusOr<std::vector<Token>> EvalGreedy(Session& session,
                                              absl::Span<const Token> tokens,
                                              int64_t n,
                                              const EvalOptions& options);

// -log softmax(logits)[token], in double precision.
double NegativeLogLikelihood(absl::Span<const float> logits, Token token);

struct Perplexity {
  std::vector<float> nll;  // of every token
  int64_t pieces = 0;
  double mean_nll = 0;
  double perplexity = 0;  // exp(mean_nll)
};

// The tokens in consecutive pieces of `context` - 1, each alone behind `bos`:
// every token is scored once, given BOS and what precedes it in its piece.
absl::StatusOr<Perplexity> EvalPerplexity(Session& session, Token bos,
                                          absl::Span<const Token> tokens,
                                          int64_t context,
                                          const EvalOptions& options);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_EVAL_H_
