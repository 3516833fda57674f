// Chooses the next token from logits.
#ifndef WEFT_MODELS_SAMPLER_H_
#define WEFT_MODELS_SAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// How to choose. The steps are taken in llama.cpp's order: repetition penalty,
// top k, top p, min p, temperature.
struct SamplerOptions {
  // Divides the logits: below 1 sharpens, above flattens. 0 takes the best
  // token, and the lowest of equally good ones; then only the penalty matters
  // of the other fields. 0 to 100.
  float temperature = 0.8f;
  // Only the k best tokens; 0 for all.
  int top_k = 40;
  // Only the best tokens that together have this probability; 1 for all. Above
  // 0, to 1. At least the best token stays.
  float top_p = 0.95f;
  // Only tokens with at least this part of the best one's probability; 0 for
  // all. 0 to 1.
  float min_p = 0.05f;
  // Divides the logits above 0, and multiplies the others, of the tokens that
  // were accepted lately; 1 for no difference. Above 0, to 100.
  float repetition_penalty = 1.0f;
  // How many accepted tokens are lately. 0 to 2^20.
  int repetition_window = 64;
  // Where the random numbers begin.
  uint64_t seed = 0;
};

// InvalidArgument that names the first field out of range.
absl::Status CheckSamplerOptions(const SamplerOptions& options);

// Draws tokens, one for each call. The random numbers are std::mt19937_64's,
// whose sequence the C++ standard fixes, the upper 53 bits of each as a number
// in [0, 1): the same options, logits and history give the same tokens
// everywhere, as far as std::exp agrees. Copies go on alike. Not thread-safe.
class Sampler {
 public:
  // InvalidArgument as CheckSamplerOptions.
  static absl::StatusOr<Sampler> Make(const SamplerOptions& options);

  // Draws a token, whose id is its place in `logits`. NaN and -inf say that a
  // token is out of the question; of +inf logits one is drawn. InvalidArgument
  // when no token is left. Allocates only when `logits` is longer than ever
  // before.
  absl::StatusOr<Token> Sample(absl::Span<const float> logits);

  // Tells what the text went on with, for the repetition penalty: tokens of the
  // prompt, or what Sample gave. Ids outside the vocabulary change nothing.
  void Accept(Token token);

  // Forgets the accepted tokens and starts again from the seed.
  void Reset();

  const SamplerOptions& options() const { return options_; }

 private:
  struct Candidate {
    float logit;
    Token token;
    float weight;  // relative probability
  };

  explicit Sampler(const SamplerOptions& options);

  bool HasPenalty() const;
  float Penalize(float logit) const;
  absl::Span<const float> ApplyPenalty(absl::Span<const float> logits);
  void FindCandidates(absl::Span<const float> logits);
  void KeepTopK();
  void KeepTopP();
  void KeepMinP();
  double Weigh(float temperature);
  Token Draw();

  SamplerOptions options_;
  std::mt19937_64 random_;
  std::vector<Token> recent_;  // a ring of repetition_window tokens
  size_t oldest_ = 0;          // the one that goes next, once it is full
  std::vector<float> penalized_;
  std::vector<Candidate> candidates_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAMPLER_H_
