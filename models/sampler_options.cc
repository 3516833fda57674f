#include "models/sampler_options.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "graph/hash.h"
#include "graph/status_macros.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

constexpr size_t kMaxBiases = 1 << 20;
constexpr size_t kMaxBreakers = 1024, kMaxBreakerBytes = 256;

struct StepName {
  SamplerStep step;
  absl::string_view name;
};
constexpr StepName kNames[] = {
    {SamplerStep::kLogitBias, "logit_bias"},
    {SamplerStep::kGrammar, "grammar"},
    {SamplerStep::kPenalties, "penalties"},
    {SamplerStep::kDry, "dry"},
    {SamplerStep::kTopNSigma, "top_n_sigma"},
    {SamplerStep::kTopK, "top_k"},
    {SamplerStep::kTypicalP, "typ_p"},
    {SamplerStep::kTopP, "top_p"},
    {SamplerStep::kMinP, "min_p"},
    {SamplerStep::kXtc, "xtc"},
    {SamplerStep::kTemperature, "temperature"},
};

struct FloatField {
  absl::string_view name;
  float SamplerOptions::* field;
  float low, high;
  bool above_low;  // low itself is out
};
constexpr FloatField kFloats[] = {
    {"temperature", &SamplerOptions::temperature, 0, 100, false},
    {"dynatemp_range", &SamplerOptions::dynatemp_range, 0, 100, false},
    {"dynatemp_exponent", &SamplerOptions::dynatemp_exponent, 0, 100, false},
    {"top_p", &SamplerOptions::top_p, 0, 1, true},
    {"min_p", &SamplerOptions::min_p, 0, 1, false},
    {"typical_p", &SamplerOptions::typical_p, 0, 1, true},
    {"top_n_sigma", &SamplerOptions::top_n_sigma, 0, 100, false},
    {"xtc_probability", &SamplerOptions::xtc_probability, 0, 1, false},
    {"xtc_threshold", &SamplerOptions::xtc_threshold, 0, 1, false},
    {"repeat_penalty", &SamplerOptions::repeat_penalty, 0, 100, true},
    {"presence_penalty", &SamplerOptions::presence_penalty, -100, 100, false},
    {"frequency_penalty", &SamplerOptions::frequency_penalty, -100, 100, false},
    {"dry_multiplier", &SamplerOptions::dry_multiplier, 0, 1000, false},
    {"dry_base", &SamplerOptions::dry_base, 1, 100, false},
    {"mirostat_tau", &SamplerOptions::mirostat_tau, 0, 100, true},
    {"mirostat_eta", &SamplerOptions::mirostat_eta, 0, 1, false},
};

struct IntField {
  absl::string_view name;
  int SamplerOptions::* field;
  int low, high;
};
constexpr IntField kInts[] = {
    {"top_k", &SamplerOptions::top_k, 0, std::numeric_limits<int>::max()},
    {"repeat_last_n", &SamplerOptions::repeat_last_n, -1, kMaxSamplerWindow},
    {"dry_allowed_length", &SamplerOptions::dry_allowed_length, 1,
     kMaxSamplerWindow},
    {"dry_penalty_last_n", &SamplerOptions::dry_penalty_last_n, -1,
     kMaxSamplerWindow},
    {"mirostat", &SamplerOptions::mirostat, 0, 2},
};

// NaN is in no range.
absl::Status Check(const FloatField& f, float value) {
  const bool above = f.above_low ? value > f.low : value >= f.low;
  if (above && value <= f.high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      f.name, " is ", value, "; expected ", f.above_low ? "above " : "", f.low,
      f.above_low ? ", to " : " to ", f.high));
}

absl::Status CheckBiases(const std::vector<LogitBias>& biases) {
  if (biases.size() > kMaxBiases)
    return absl::ResourceExhaustedError(
        absl::StrCat("logit_bias has ", biases.size(),
                     " entries; expected at most ", kMaxBiases));
  HashSet<Token> seen;
  for (const LogitBias& b : biases) {
    // +inf could not be outdone by anything and is a slip.
    if (b.token < 0 || !(b.bias < std::numeric_limits<float>::infinity()))
      return absl::InvalidArgumentError(
          absl::StrCat("logit_bias of token ", b.token, " is ", b.bias,
                       "; expected a token's id and a number or -inf"));
    if (!seen.insert(b.token).second)
      return absl::InvalidArgumentError(
          absl::StrCat("logit_bias has token ", b.token, " twice"));
  }
  return absl::OkStatus();
}

absl::Status CheckBreakers(const std::vector<std::string>& breakers) {
  if (breakers.size() > kMaxBreakers)
    return absl::ResourceExhaustedError(
        absl::StrCat("dry_sequence_breakers has ", breakers.size(),
                     " texts; expected at most ", kMaxBreakers));
  for (const std::string& text : breakers)
    if (text.empty() || text.size() > kMaxBreakerBytes)
      return absl::InvalidArgumentError(
          absl::StrCat("dry_sequence_breakers has a text of ", text.size(),
                       " bytes; expected 1 to ", kMaxBreakerBytes));
  return absl::OkStatus();
}

absl::Status CheckChain(const std::vector<SamplerStep>& chain) {
  uint32_t seen = 0;
  for (const SamplerStep step : chain) {
    const uint32_t bit = 1u << static_cast<int>(step);
    if ((seen & bit) != 0)
      return absl::InvalidArgumentError(absl::StrCat(
          "the chain of samplers has ", SamplerStepName(step), " twice"));
    seen |= bit;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSamplerOptions(const SamplerOptions& o) {
  for (const FloatField& f : kFloats)
    WEFT_RETURN_IF_ERROR(Check(f, o.*f.field));
  for (const IntField& f : kInts) {
    const int value = o.*f.field;
    if (value < f.low || value > f.high)
      return absl::InvalidArgumentError(absl::StrCat(
          f.name, " is ", value, "; expected ", f.low, " to ", f.high));
  }
  WEFT_RETURN_IF_ERROR(CheckBiases(o.logit_bias));
  WEFT_RETURN_IF_ERROR(CheckBreakers(o.dry_sequence_breakers));
  return CheckChain(o.chain);
}

absl::string_view SamplerStepName(SamplerStep step) {
  for (const StepName& n : kNames)
    if (n.step == step) return n.name;
  return "";
}

absl::StatusOr<std::vector<SamplerStep>> ParseSamplerChain(
    absl::string_view text) {
  std::vector<SamplerStep> chain;
  for (const absl::string_view name :
       absl::StrSplit(text, ';', absl::SkipWhitespace())) {
    const auto* const found =
        std::find_if(std::begin(kNames), std::end(kNames),
                     [name](const StepName& n) { return n.name == name; });
    if (found == std::end(kNames)) {
      const auto append = [](std::string* out, const StepName& n) {
        absl::StrAppend(out, n.name);
      };
      return absl::InvalidArgumentError(
          absl::StrCat("there is no sampler ", QuoteInput(name),
                       "; expected names joined by \";\": ",
                       absl::StrJoin(kNames, ", ", append)));
    }
    chain.push_back(found->step);
  }
  WEFT_RETURN_IF_ERROR(CheckChain(chain));
  return chain;
}

std::string FormatSamplerChain(const std::vector<SamplerStep>& chain) {
  return absl::StrJoin(chain, ";", [](std::string* out, SamplerStep step) {
    absl::StrAppend(out, SamplerStepName(step));
  });
}

absl::StatusOr<std::vector<LogitBias>> ParseLogitBias(absl::string_view text) {
  std::vector<LogitBias> biases;
  for (const absl::string_view entry :
       absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    const size_t sign = entry.find_first_of("+-");
    LogitBias bias{};
    if (sign == entry.npos ||
        !absl::SimpleAtoi(entry.substr(0, sign), &bias.token) ||
        !absl::SimpleAtof(entry.substr(sign), &bias.bias))
      return absl::InvalidArgumentError(absl::StrCat(
          "a logit bias is ", QuoteInput(entry),
          "; expected a token's id, + or -, and a number, as 15043+1.5 or "
          "29871-inf"));
    biases.push_back(bias);
  }
  WEFT_RETURN_IF_ERROR(CheckBiases(biases));
  return biases;
}

}  // namespace weft::inline v0
