// The tokens that may come next, and the steps that leave some of them out.
#ifndef WEFT_MODELS_SAMPLING_CANDIDATES_H_
#define WEFT_MODELS_SAMPLING_CANDIDATES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

struct Candidate {  // A token that may come next.
  float logit;
  Token token;
  float weight;  // relative probability; see Weigh
};

// Candidates in a defined order: by id until something sorts them. Steps keep
// the order of those that stay, so that a random number means the same token
// everywhere. At least one candidate stays, except where it says otherwise.
// Allocates only when there are more candidates than ever before. Not
// thread-safe.
class Candidates {
 public:
  // All with a logit that is neither NaN nor -inf; possibly none.
  void Assign(absl::Span<const float> logits);

  size_t size() const { return list_.size(); }
  bool empty() const { return list_.empty(); }
  absl::Span<const Candidate> list() const { return list_; }
  // The best one, of equals that with the lowest id; not of none.
  const Candidate& Best() const;

  // Changes the logit of a token to `change`(logit), if it is there.
  template <class F>
  void Change(Token token, const F& change) {
    Candidate* candidate = Find(token);
    if (candidate == nullptr) return;
    candidate->logit = change(candidate->logit);
    sorted_ = 0;
  }
  // Leaves out those with a logit of -inf; possibly all.
  void RemoveForbidden();
  // Leaves out tokens whose bit is not set (bit t % 64 of word t / 64; tokens
  // beyond the words too); possibly all.
  void KeepAllowed(absl::Span<const uint64_t> allowed);

  // Sets the weights to the probabilities relative to the best token's, and
  // returns their sum, which is at least 1.
  double Weigh();
  // The entropy of the distribution, in nats; sets the weights as Weigh.
  double Entropy(double& sum);

  // Puts the n best first, best first. TopK or TopP must follow, since the
  // others then stand in no defined order.
  void SortFirst(size_t n);
  // Only the k best, best first. k > 0.
  void TopK(size_t k);
  // See SamplerOptions for what these mean.
  void TopP(float p);
  void MinP(float p);
  void TypicalP(float p);
  void TopNSigma(float n);
  // Leaves out all but the least likely of those with this probability or more.
  void ExcludeTop(float threshold);
  // Only those with at least this probability.
  void AtLeast(double probability);

  // Divides the logits; 0 leaves the best one only.
  void Temper(double temperature);
  // See SamplerOptions::dynatemp_range.
  void TemperByEntropy(double temperature, double range, double exponent);

  // The token at `share`, from 0 to below 1, of the sum of the weights, with
  // its probability.
  struct Drawn {
    Token token;
    double probability;
  };
  Drawn Draw(double share);

 private:
  Candidate* Find(Token token);
  template <class F>
  void RemoveIf(const F& leaves);

  std::vector<Candidate> list_;
  size_t sorted_ = 0;     // so many are the best ones, best first
  bool by_token_ = true;  // all are in the order of their ids
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAMPLING_CANDIDATES_H_
