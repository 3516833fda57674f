// Chooses the next token from logits.
#ifndef WEFT_MODELS_SAMPLER_H_
#define WEFT_MODELS_SAMPLER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <random>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/grammar/matcher.h"
#include "models/sampler_options.h"
#include "models/sampling/candidates.h"
#include "models/sampling/repetition.h"
#include "models/sampling/token_pieces.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// Draws tokens, one for each call. The random numbers are std::mt19937_64's,
// whose sequence the C++ standard fixes, the upper 53 bits of each as a number
// in [0, 1): the same options, logits and history give the same tokens
// everywhere, as far as std::exp agrees. Copies go on alike. Not thread-safe.
// What returns a status does not throw; the rest, where memory runs out,
// std::bad_alloc.
class Sampler {
 public:
  // InvalidArgument as CheckSamplerOptions, and for a grammar without `pieces`
  // or a bias for a token outside of them; errors of GrammarMatcher::Make. DRY
  // without pieces knows no sequence breakers.
  static absl::StatusOr<Sampler> Make(
      SamplerOptions options,
      std::shared_ptr<const TokenPieces> pieces = nullptr);

  // Draws a token, whose id is its place in `logits`. NaN and -inf say that a
  // token is out of the question; of +inf logits one is drawn. InvalidArgument
  // when no token is left, also where the bias or the grammar forbids them all;
  // ResourceExhausted as GrammarMatcher. Allocates only when `logits` is
  // longer, or the history, than ever before, and where the grammar comes to a
  // place that it was not at before.
  absl::StatusOr<Token> Sample(absl::Span<const float> logits);

  // Tells what stands before the text, for the penalties. Ids outside the
  // vocabulary change nothing.
  void Observe(Token token);
  // Tells what the text went on with, as a rule what Sample gave: for the
  // penalties and the grammar.
  void Accept(Token token);

  // The grammar begins anew with the next token; the rest stays.
  void RestartGrammar();
  // Forgets all tokens and starts again from the seed.
  void Reset();

  const SamplerOptions& options() const { return options_; }

 private:
  Sampler(SamplerOptions options, std::shared_ptr<const TokenPieces> pieces,
          std::optional<GrammarMatcher> grammar);

  static absl::StatusOr<Sampler> MakeFrom(
      SamplerOptions options, std::shared_ptr<const TokenPieces> pieces);
  absl::StatusOr<Token> SampleFrom(absl::Span<const float> logits);
  // Whether a step makes a difference.
  bool IsTaken(SamplerStep step) const;
  absl::Status Take(SamplerStep step);
  absl::Status AddBias();
  void Temper();
  Token Draw();
  Token DrawMirostat();
  double Random();

  SamplerOptions options_;
  std::mt19937_64 random_;
  Repetition repetition_;
  std::optional<GrammarMatcher> grammar_;
  Candidates candidates_;
  bool plain_greedy_ = false;  // the best logit, whatever came before
  double mirostat_mu_ = 0;     // the surprise that a token may have, in bits
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAMPLER_H_
