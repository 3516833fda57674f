// The steps that make repetitions less likely.
#ifndef WEFT_MODELS_SAMPLING_REPETITION_H_
#define WEFT_MODELS_SAMPLING_REPETITION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/sampler_options.h"
#include "models/sampling/candidates.h"
#include "models/sampling/token_pieces.h"

namespace weft::inline v0 {

// What was said lately, and the penalties for saying it again. Allocates only
// while the history grows to its length. Not thread-safe.
class Repetition {
 public:
  // `pieces` tells what breaks a sequence; null: nothing does.
  Repetition(const SamplerOptions& options,
             std::shared_ptr<const TokenPieces> pieces);

  void Accept(Token token);
  void Reset();

  // See SamplerOptions::repeat_penalty.
  void Penalize(const SamplerOptions& options, Candidates& candidates);
  // See SamplerOptions::dry_multiplier.
  void PenalizeDry(const SamplerOptions& options, Candidates& candidates);

 private:
  // The last n tokens, or as many as there are.
  absl::Span<const Token> Last(size_t n) const;
  bool Breaks(Token token);

  std::shared_ptr<const TokenPieces> pieces_;
  std::vector<std::string> breakers_;
  size_t longest_breaker_ = 0;
  size_t window_;               // tokens that are kept, at least
  std::vector<Token> history_;  // oldest first
  std::string tail_;            // what a breaker may have begun in
  size_t since_break_ = 0;      // tokens
  std::vector<Token> sorted_;
  std::vector<int32_t> repeated_;  // see PenalizeDry
  std::vector<std::pair<Token, int32_t>> next_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAMPLING_REPETITION_H_
