#include "models/sampler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/no_throw.h"

namespace weft::inline v0 {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
// Of mirostat 1: how many of the best tokens show how steep the distribution
// is (m in arXiv:2007.14966).
constexpr size_t kMirostatTokens = 100;

absl::Status NothingLeft(size_t n) {
  return absl::InvalidArgumentError(
      absl::StrCat("no token to sample: all ", n, " logits are NaN or -inf"));
}

bool Has(const std::vector<SamplerStep>& chain, SamplerStep step) {
  return std::find(chain.begin(), chain.end(), step) != chain.end();
}

// Whether a step changes single logits, rather than leaving out by rank or
// flattening.
bool ChangesLogits(SamplerStep step) {
  return step == SamplerStep::kLogitBias || step == SamplerStep::kGrammar ||
         step == SamplerStep::kPenalties || step == SamplerStep::kDry;
}

}  // namespace

absl::StatusOr<Sampler> Sampler::Make(
    SamplerOptions options, std::shared_ptr<const TokenPieces> pieces) {
  return NoThrow(
      [&] { return MakeFrom(std::move(options), std::move(pieces)); });
}

absl::StatusOr<Sampler> Sampler::MakeFrom(
    SamplerOptions options, std::shared_ptr<const TokenPieces> pieces) {
  WEFT_RETURN_IF_ERROR(CheckSamplerOptions(options));
  std::vector<SamplerStep>& chain = options.chain;
  if (options.grammar != nullptr && !Has(chain, SamplerStep::kGrammar))
    chain.insert(chain.begin(), SamplerStep::kGrammar);
  if (!options.logit_bias.empty() && !Has(chain, SamplerStep::kLogitBias))
    chain.insert(chain.begin(), SamplerStep::kLogitBias);
  for (const LogitBias& bias : options.logit_bias)
    if (pieces != nullptr && bias.token >= pieces->size())
      return absl::InvalidArgumentError(absl::StrCat(
          "logit_bias is for token ", bias.token, "; expected 0 to ",
          pieces->size() - 1, ", the tokens of the vocabulary"));
  std::optional<GrammarMatcher> matcher;
  if (options.grammar != nullptr) {
    if (pieces == nullptr)
      return absl::InvalidArgumentError("a grammar needs a vocabulary");
    WEFT_ASSIGN_OR_RETURN(matcher,
                          GrammarMatcher::Make(options.grammar, pieces));
  }
  return Sampler(std::move(options), std::move(pieces), std::move(matcher));
}

Sampler::Sampler(SamplerOptions options,
                 std::shared_ptr<const TokenPieces> pieces,
                 std::optional<GrammarMatcher> grammar)
    : options_(std::move(options)),
      repetition_(options_, std::move(pieces)),
      grammar_(std::move(grammar)) {
  // What makes no difference is not looked at again.
  auto& chain = options_.chain;
  chain.erase(
      std::remove_if(chain.begin(), chain.end(),
                     [this](SamplerStep step) { return !IsTaken(step); }),
      chain.end());
  plain_greedy_ = options_.temperature == 0 && chain.empty();
  Reset();
}

bool Sampler::IsTaken(SamplerStep step) const {
  const SamplerOptions& o = options_;
  if (!ChangesLogits(step)) {
    if (o.temperature == 0) return false;
    if (o.mirostat != 0 && step != SamplerStep::kTemperature) return false;
  }
  switch (step) {
    case SamplerStep::kLogitBias:
      return !o.logit_bias.empty();
    case SamplerStep::kGrammar:
      return o.grammar != nullptr;
    case SamplerStep::kPenalties:
      return o.HasPenalties();
    case SamplerStep::kDry:
      return o.HasDry();
    case SamplerStep::kTopNSigma:
      return o.top_n_sigma > 0;
    case SamplerStep::kTopK:
      return o.top_k > 0;
    case SamplerStep::kTypicalP:
      return o.typical_p < 1;
    case SamplerStep::kTopP:
      return o.top_p < 1;
    case SamplerStep::kMinP:
      return o.min_p > 0;
    case SamplerStep::kXtc:
      return o.xtc_probability > 0 && o.xtc_threshold <= 0.5f;
    case SamplerStep::kTemperature:
      return o.temperature != 1 || o.dynatemp_range > 0;
  }
  return false;
}

void Sampler::Observe(Token token) { repetition_.Accept(token); }

void Sampler::Accept(Token token) {
  repetition_.Accept(token);
  if (grammar_.has_value()) grammar_->Accept(token);
}

void Sampler::RestartGrammar() {
  if (grammar_.has_value()) grammar_->Reset();
}

void Sampler::Reset() {
  random_.seed(options_.seed);
  repetition_.Reset();
  RestartGrammar();
  mirostat_mu_ = 2.0 * options_.mirostat_tau;
}

absl::StatusOr<Token> Sampler::Sample(absl::Span<const float> logits) {
  return NoThrow([&] { return SampleFrom(logits); });
}

absl::StatusOr<Token> Sampler::SampleFrom(absl::Span<const float> logits) {
  if (plain_greedy_) {
    // NaN compares as false, so it is never better.
    float best = kNever;
    size_t best_at = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] > best) {
        best = logits[i];
        best_at = i;
      }
    }
    if (best == kNever) return NothingLeft(logits.size());
    return static_cast<Token>(best_at);
  }
  candidates_.Assign(logits);
  if (candidates_.empty()) return NothingLeft(logits.size());
  for (const SamplerStep step : options_.chain)
    WEFT_RETURN_IF_ERROR(Take(step));
  if (options_.temperature == 0) return candidates_.Best().token;
  return options_.mirostat == 0 ? Draw() : DrawMirostat();
}

absl::Status Sampler::Take(SamplerStep step) {
  const SamplerOptions& o = options_;
  switch (step) {
    case SamplerStep::kLogitBias:
      return AddBias();
    case SamplerStep::kGrammar: {
      WEFT_ASSIGN_OR_RETURN(const auto allowed, grammar_->Allowed());
      candidates_.KeepAllowed(allowed);
      if (!candidates_.empty()) return absl::OkStatus();
      return absl::InvalidArgumentError(
          "no token to sample: the grammar allows none here that the other "
          "samplers leave");
    }
    case SamplerStep::kPenalties:
      repetition_.Penalize(o, candidates_);
      break;
    case SamplerStep::kDry:
      repetition_.PenalizeDry(o, candidates_);
      break;
    case SamplerStep::kTopNSigma:
      candidates_.TopNSigma(o.top_n_sigma);
      break;
    case SamplerStep::kTopK:
      candidates_.TopK(static_cast<size_t>(o.top_k));
      break;
    case SamplerStep::kTypicalP:
      candidates_.TypicalP(o.typical_p);
      break;
    case SamplerStep::kTopP:
      candidates_.TopP(o.top_p);
      break;
    case SamplerStep::kMinP:
      candidates_.MinP(o.min_p);
      break;
    case SamplerStep::kXtc:
      if (Random() < o.xtc_probability) candidates_.ExcludeTop(o.xtc_threshold);
      break;
    case SamplerStep::kTemperature:
      Temper();
      break;
  }
  return absl::OkStatus();
}

absl::Status Sampler::AddBias() {
  for (const LogitBias& bias : options_.logit_bias)
    candidates_.Change(bias.token, [&](float logit) {
      // A logit of +inf may be forbidden, too.
      return bias.bias == kNever ? kNever : logit + bias.bias;
    });
  candidates_.RemoveForbidden();
  if (!candidates_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "no token to sample: logit_bias forbids all that are left");
}

void Sampler::Temper() {
  if (options_.dynatemp_range > 0) {
    candidates_.TemperByEntropy(options_.temperature, options_.dynatemp_range,
                                options_.dynatemp_exponent);
  } else {
    candidates_.Temper(options_.temperature);
  }
}

double Sampler::Random() {
  return static_cast<double>(random_() >> 11) * 0x1p-53;
}

Token Sampler::Draw() { return candidates_.Draw(Random()).token; }

// The k of mirostat 1: probabilities are taken to fall as rank^-s, s being
// estimated from the best tokens; k keeps the expected surprise at mu.
Token Sampler::DrawMirostat() {
  if (options_.mirostat == 2) {
    candidates_.AtLeast(std::exp2(-mirostat_mu_));
  } else {
    const size_t n = candidates_.size();
    candidates_.SortFirst(std::min(n, kMirostatTokens + 1));
    candidates_.Weigh();
    double ranks = 0, both = 0;
    for (size_t i = 0; i + 1 < n && i < kMirostatTokens; ++i) {
      const auto list = candidates_.list();
      if (list[i + 1].weight <= 0) break;
      const double rank = std::log((i + 2.0) / (i + 1.0));
      both += rank * std::log(list[i].weight / list[i + 1].weight);
      ranks += rank * rank;
    }
    const double s = ranks > 0 ? both / ranks : 1;
    const double epsilon = s - 1;
    const double k =
        std::pow(epsilon * std::exp2(mirostat_mu_) /
                     (1 - std::pow(static_cast<double>(n), -epsilon)),
                 1 / s);
    // Where the estimate has no meaning, all tokens stay.
    candidates_.TopK(k >= 1 && k < static_cast<double>(n)
                         ? static_cast<size_t>(k)
                         : (k < 1 ? 1 : n));
  }
  const Candidates::Drawn drawn = candidates_.Draw(Random());
  const double surprise = -std::log2(drawn.probability);
  mirostat_mu_ -= options_.mirostat_eta * (surprise - options_.mirostat_tau);
  return drawn.token;
}

}  // namespace weft::inline v0
