#include "models/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

constexpr int kMaxWindow = 1 << 20;
constexpr float kNever = -std::numeric_limits<float>::infinity();

// NaN is in no range.
absl::Status CheckRange(absl::string_view field, bool in_range, float value,
                        absl::string_view range) {
  if (in_range) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, "; expected ", range));
}

absl::Status CheckRange(absl::string_view field, int value, int max) {
  if (value >= 0 && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, "; expected 0 to ", max));
}

// Best first; a total order, so that every algorithm gives the same result.
constexpr auto kBetter = [](const auto& a, const auto& b) {
  if (a.logit != b.logit) return a.logit > b.logit;
  return a.token < b.token;
};

}  // namespace

absl::Status CheckSamplerOptions(const SamplerOptions& o) {
  WEFT_RETURN_IF_ERROR(CheckRange("temperature",
                                  o.temperature >= 0 && o.temperature <= 100,
                                  o.temperature, "0 to 100"));
  WEFT_RETURN_IF_ERROR(
      CheckRange("top_k", o.top_k, std::numeric_limits<int>::max()));
  WEFT_RETURN_IF_ERROR(CheckRange("top_p", o.top_p > 0 && o.top_p <= 1, o.top_p,
                                  "above 0, to 1"));
  WEFT_RETURN_IF_ERROR(
      CheckRange("min_p", o.min_p >= 0 && o.min_p <= 1, o.min_p, "0 to 1"));
  WEFT_RETURN_IF_ERROR(
      CheckRange("repetition_penalty",
                 o.repetition_penalty > 0 && o.repetition_penalty <= 100,
                 o.repetition_penalty, "above 0, to 100"));
  return CheckRange("repetition_window", o.repetition_window, kMaxWindow);
}

absl::StatusOr<Sampler> Sampler::Make(const SamplerOptions& options) {
  WEFT_RETURN_IF_ERROR(CheckSamplerOptions(options));
  return Sampler(options);
}

Sampler::Sampler(const SamplerOptions& options)
    : options_(options), random_(options.seed) {
  if (HasPenalty())
    recent_.reserve(static_cast<size_t>(options.repetition_window));
}

bool Sampler::HasPenalty() const {
  return options_.repetition_penalty != 1.0f && options_.repetition_window > 0;
}

void Sampler::Accept(Token token) {
  if (!HasPenalty()) return;
  if (recent_.size() < static_cast<size_t>(options_.repetition_window)) {
    recent_.push_back(token);
    return;
  }
  recent_[oldest_] = token;
  oldest_ = (oldest_ + 1) % recent_.size();
}

void Sampler::Reset() {
  random_.seed(options_.seed);
  recent_.clear();
  oldest_ = 0;
}

absl::StatusOr<Token> Sampler::Sample(absl::Span<const float> logits) {
  if (HasPenalty() && !recent_.empty()) logits = ApplyPenalty(logits);
  // NaN compares as false, so it is never better.
  float best = kNever;
  size_t best_at = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > best) {
      best = logits[i];
      best_at = i;
    }
  }
  if (best == kNever) {
    return absl::InvalidArgumentError(absl::StrCat(
        "no token to sample: all ", logits.size(), " logits are NaN or -inf"));
  }
  if (options_.temperature == 0) return static_cast<Token>(best_at);
  FindCandidates(logits);
  KeepTopK();
  KeepTopP();
  KeepMinP();
  return Draw();
}

float Sampler::Penalize(float logit) const {
  return logit > 0 ? logit / options_.repetition_penalty
                   : logit * options_.repetition_penalty;
}

absl::Span<const float> Sampler::ApplyPenalty(absl::Span<const float> logits) {
  penalized_.assign(logits.begin(), logits.end());
  for (const Token token : recent_) {
    const size_t at = static_cast<size_t>(token);
    // From the original, so that a token in the window twice pays once.
    if (token >= 0 && at < logits.size()) penalized_[at] = Penalize(logits[at]);
  }
  return penalized_;
}

void Sampler::FindCandidates(absl::Span<const float> logits) {
  candidates_.clear();
  candidates_.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > kNever)
      candidates_.push_back({logits[i], static_cast<Token>(i), 0.0f});
  }
}

void Sampler::KeepTopK() {
  const size_t k = static_cast<size_t>(options_.top_k);
  if (k == 0 || k >= candidates_.size()) return;
  const auto end = candidates_.begin() + options_.top_k;
  std::nth_element(candidates_.begin(), end - 1, candidates_.end(), kBetter);
  candidates_.erase(end, candidates_.end());
  // The order decides what a random number means; nth_element leaves any.
  std::sort(candidates_.begin(), candidates_.end(), kBetter);
}

void Sampler::KeepTopP() {
  if (options_.top_p >= 1) return;
  std::sort(candidates_.begin(), candidates_.end(), kBetter);
  const double wanted = options_.top_p * Weigh(1.0f);
  double sum = 0;
  size_t kept = 0;
  while (kept < candidates_.size() && sum < wanted)
    sum += candidates_[kept++].weight;
  candidates_.resize(std::max<size_t>(kept, 1));
}

void Sampler::KeepMinP() {
  if (options_.min_p <= 0) return;
  Weigh(1.0f);  // that of the best is 1
  const auto is_rare = [this](const Candidate& candidate) {
    return candidate.weight < options_.min_p;
  };
  candidates_.erase(
      std::remove_if(candidates_.begin(), candidates_.end(), is_rare),
      candidates_.end());
}

// Sets the weights to the probabilities relative to the best token's, and
// returns their sum, which is at least 1.
double Sampler::Weigh(float temperature) {
  float best = kNever;
  for (const Candidate& candidate : candidates_)
    best = std::max(best, candidate.logit);
  double sum = 0;
  for (Candidate& candidate : candidates_) {
    // The difference of two infinities is no number.
    const double below =
        candidate.logit == best ? 0.0 : double{candidate.logit} - best;
    candidate.weight = static_cast<float>(std::exp(below / temperature));
    sum += candidate.weight;
  }
  return sum;
}

Token Sampler::Draw() {
  double left = Weigh(options_.temperature);
  left *= static_cast<double>(random_() >> 11) * 0x1p-53;
  Token drawn = kNoToken;
  for (const Candidate& candidate : candidates_) {
    if (candidate.weight == 0) continue;
    drawn = candidate.token;
    left -= candidate.weight;
    // Rounding may leave a little after the last one, which then is it.
    if (left < 0) break;
  }
  return drawn;
}

}  // namespace weft::inline v0
