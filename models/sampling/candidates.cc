#include "models/sampling/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace weft::inline v0 {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
// Of TopP, which sorts no more than it needs.
constexpr size_t kFirstSorted = 256;

// Best first; a total order, so that every algorithm gives the same result.
constexpr auto kBetter = [](const Candidate& a, const Candidate& b) {
  if (a.logit != b.logit) return a.logit > b.logit;
  return a.token < b.token;
};

}  // namespace

void Candidates::Assign(absl::Span<const float> logits) {
  list_.clear();
  list_.reserve(logits.size());
  // NaN compares as false.
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > kNever)
      list_.push_back({logits[i], static_cast<Token>(i), 0.0f});
  sorted_ = 0;
  by_token_ = true;
}

const Candidate& Candidates::Best() const {
  return *std::min_element(list_.begin(), list_.end(), kBetter);
}

Candidate* Candidates::Find(Token token) {
  auto at = list_.begin();
  if (by_token_) {
    at = std::lower_bound(
        list_.begin(), list_.end(), token,
        [](const Candidate& c, Token wanted) { return c.token < wanted; });
    if (at != list_.end() && at->token != token) at = list_.end();
  } else {
    at = std::find_if(list_.begin(), list_.end(),
                      [token](const Candidate& c) { return c.token == token; });
  }
  return at == list_.end() ? nullptr : &*at;
}

template <class F>
void Candidates::RemoveIf(const F& leaves) {
  const size_t before = list_.size();
  list_.erase(std::remove_if(list_.begin(), list_.end(), leaves), list_.end());
  if (list_.size() != before && sorted_ != before) sorted_ = 0;
  sorted_ = std::min(sorted_, list_.size());
}

void Candidates::RemoveForbidden() {
  RemoveIf([](const Candidate& c) { return c.logit == kNever; });
}

void Candidates::KeepAllowed(absl::Span<const uint64_t> allowed) {
  RemoveIf([allowed](const Candidate& c) {
    const auto word = static_cast<size_t>(c.token) / 64;
    return word >= allowed.size() || (allowed[word] >> (c.token % 64) & 1) == 0;
  });
}

double Candidates::Weigh() {
  float best = kNever;
  for (const Candidate& c : list_) best = std::max(best, c.logit);
  double sum = 0;
  for (Candidate& c : list_) {
    // The difference of two infinities is no number.
    const double below = c.logit == best ? 0.0 : double{c.logit} - best;
    c.weight = static_cast<float>(std::exp(below));
    sum += c.weight;
  }
  return sum;
}

double Candidates::Entropy(double& sum) {
  sum = Weigh();
  double entropy = 0;
  for (const Candidate& c : list_) {
    const double p = c.weight / sum;
    if (p > 0) entropy -= p * std::log(p);
  }
  return entropy;
}

void Candidates::SortFirst(size_t n) {
  n = std::min(n, list_.size());
  if (n <= sorted_) return;
  const auto from = list_.begin() + static_cast<std::ptrdiff_t>(sorted_);
  const auto to = list_.begin() + static_cast<std::ptrdiff_t>(n);
  std::nth_element(from, to - 1, list_.end(), kBetter);
  std::sort(from, to, kBetter);
  sorted_ = n;
  by_token_ = false;
}

void Candidates::TopK(size_t k) {
  if (k >= list_.size()) {
    // nth_element leaves what is not sorted in any order.
    if (sorted_ > 0) SortFirst(list_.size());
    return;
  }
  SortFirst(k);
  list_.resize(k);
  sorted_ = k;
}

void Candidates::TopP(float p) {
  const double wanted = p * Weigh();
  double sum = 0;
  size_t kept = 0;
  while (kept < list_.size() && sum < wanted) {
    if (kept == sorted_) SortFirst(std::max(kFirstSorted, 4 * sorted_));
    sum += list_[kept++].weight;
  }
  TopK(std::max<size_t>(kept, 1));
}

void Candidates::MinP(float p) {
  Weigh();  // that of the best is 1
  RemoveIf([p](const Candidate& c) { return c.weight < p; });
}

void Candidates::TypicalP(float p) {
  double sum = 0;
  const double entropy = Entropy(sum);
  const auto distance = [=](const Candidate& c) {
    return std::abs(-std::log(c.weight / sum) - entropy);
  };
  std::sort(list_.begin(), list_.end(),
            [&](const Candidate& a, const Candidate& b) {
              const double at_a = distance(a), at_b = distance(b);
              return at_a != at_b ? at_a < at_b : a.token < b.token;
            });
  by_token_ = false;
  sorted_ = 0;
  double kept_sum = 0;
  size_t kept = 0;
  while (kept < list_.size() && kept_sum <= p * sum)
    kept_sum += list_[kept++].weight;
  list_.resize(std::max<size_t>(kept, 1));
}

void Candidates::TopNSigma(float n) {
  double sum = 0, squares = 0, count = 0;
  float best = kNever;
  for (const Candidate& c : list_) {
    best = std::max(best, c.logit);
    if (std::isinf(c.logit)) continue;
    ++count;
    sum += c.logit;
  }
  const double mean = sum / std::max(count, 1.0);
  for (const Candidate& c : list_)
    if (!std::isinf(c.logit)) squares += (c.logit - mean) * (c.logit - mean);
  const double sigma = std::sqrt(squares / std::max(count, 1.0));
  const double least = best - n * sigma;
  RemoveIf([least](const Candidate& c) { return c.logit < least; });
}

void Candidates::ExcludeTop(float threshold) {
  const double least = threshold * Weigh();
  const Candidate* last = nullptr;
  for (const Candidate& c : list_)
    if (c.weight >= least && (last == nullptr || kBetter(*last, c))) last = &c;
  if (last == nullptr) return;
  const Token stays = last->token;
  RemoveIf([=](const Candidate& c) {
    return c.weight >= least && c.token != stays;
  });
}

void Candidates::AtLeast(double probability) {
  const double least = std::min(1.0, probability * Weigh());
  RemoveIf([least](const Candidate& c) { return c.weight < least; });
}

void Candidates::Temper(double temperature) {
  const Candidate best = Best();
  if (temperature <= 0) {
    list_.assign(1, best);
    sorted_ = 1;
    return;
  }
  // Only differences matter: where the quotients would be infinite, those of
  // the best logit count.
  const bool fits =
      std::abs(best.logit / temperature) <= std::numeric_limits<float>::max();
  for (Candidate& c : list_) {
    const double above = fits                    ? double{c.logit}
                         : c.logit == best.logit ? 0.0
                                                 : double{c.logit} - best.logit;
    c.logit = static_cast<float>(std::max(
        above / temperature, double{-std::numeric_limits<float>::max()}));
  }
}

void Candidates::TemperByEntropy(double temperature, double range,
                                 double exponent) {
  if (list_.size() < 2) return;
  const double low = std::max(0.0, temperature - range);
  const double high = temperature + range;
  double sum = 0;
  const double share =
      Entropy(sum) / std::log(static_cast<double>(list_.size()));
  Temper(low + (high - low) * std::pow(std::max(share, 0.0), exponent));
}

Candidates::Drawn Candidates::Draw(double share) {
  const double sum = Weigh();
  double left = sum * share;
  Drawn drawn = {kNoToken, 0};
  for (const Candidate& c : list_) {
    if (c.weight == 0) continue;
    drawn = {c.token, c.weight / sum};
    left -= c.weight;
    // Rounding may leave a little after the last one, which then is it.
    if (left < 0) break;
  }
  return drawn;
}

}  // namespace weft::inline v0
