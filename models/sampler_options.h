// How a sampler chooses: the steps, and the numbers that they take.
#ifndef WEFT_MODELS_SAMPLER_OPTIONS_H_
#define WEFT_MODELS_SAMPLER_OPTIONS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

class Grammar;

// A step of the chain, between logits and the drawing of one token.
enum class SamplerStep {
  kLogitBias,
  kGrammar,
  kPenalties,
  kDry,
  kTopNSigma,
  kTopK,
  kTypicalP,
  kTopP,
  kMinP,
  kXtc,
  kTemperature,
};

// Added to a token's logit: finite, or -inf for a token that must not come.
struct LogitBias {
  Token token;
  float bias;
};

// The steps are llama.cpp's, and so are their names, meanings and order. A step
// whose number says "no difference" is not taken.
struct SamplerOptions {
  // In the order in which they are taken. A bias or a grammar without a place
  // of its own comes first.
  std::vector<SamplerStep> chain = {
      SamplerStep::kLogitBias,  SamplerStep::kGrammar,
      SamplerStep::kPenalties,  SamplerStep::kDry,
      SamplerStep::kTopNSigma,  SamplerStep::kTopK,
      SamplerStep::kTypicalP,   SamplerStep::kTopP,
      SamplerStep::kMinP,       SamplerStep::kXtc,
      SamplerStep::kTemperature};

  // Divides the logits: below 1 sharpens, above flattens. 0 takes the best
  // token, and the lowest of equally good ones; of the other steps only those
  // matter then that change logits (bias, grammar, penalties, DRY). 0 to 100.
  float temperature = 0.8f;
  // Above 0: the temperature lies between temperature - range and temperature +
  // range, growing with (entropy / largest entropy)^exponent. 0 to 100 both.
  float dynatemp_range = 0;
  float dynatemp_exponent = 1;
  // Only the k best tokens; 0 for all.
  int top_k = 40;
  // Only the best tokens that together have this probability; 1 for all. Above
  // 0, to 1. At least the best token stays.
  float top_p = 0.95f;
  // Only tokens with at least this part of the best one's probability; 0 for
  // all. 0 to 1.
  float min_p = 0.05f;
  // Only the tokens whose surprise is closest to the expected one and that
  // together have this probability (Meister et al. 2022, arXiv:2202.00666); 1
  // for all. Above 0, to 1.
  float typical_p = 1;
  // Only tokens whose logit is at most n standard deviations below the best
  // (Tang et al. 2024, arXiv:2411.07641); 0 for all. 0 to 100.
  float top_n_sigma = 0;
  // With this probability, of the tokens that are at least xtc_threshold
  // likely, all but the least likely are left out ("exclude top choices"). 0 to
  // 1 both; a threshold above 0.5 leaves nothing out.
  float xtc_probability = 0;
  float xtc_threshold = 0.1f;

  // Tokens among the last repeat_last_n: divides logits above 0 and multiplies
  // the others (1 for no difference; above 0, to 100); then presence_penalty is
  // taken off, and frequency_penalty for each time (-100 to 100).
  float repeat_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  // 0 to 2^20; -1 for the most.
  int repeat_last_n = 64;

  // A token that would continue a repetition of n tokens gets a logit less by
  // dry_multiplier * dry_base^(n - dry_allowed_length), where n is at least
  // dry_allowed_length ("don't repeat yourself"). 0 to 1000, 0 for none; 1 to
  // 100; 1 to 2^20. Repetitions within the last dry_penalty_last_n tokens count
  // (0 to 2^20; -1 for the most), up to a text that breaks sequences.
  float dry_multiplier = 0;
  float dry_base = 1.75f;
  int dry_allowed_length = 2;
  int dry_penalty_last_n = -1;
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};

  // 1, 2: draws so that the surprise of the text stays about mirostat_tau bits
  // a token, correcting by mirostat_eta of the error (Basu et al. 2020,
  // arXiv:2007.14966); steps that leave out tokens by rank or probability are
  // not taken. 0: off. tau above 0, to 100; eta 0 to 1.
  int mirostat = 0;
  float mirostat_tau = 5;
  float mirostat_eta = 0.1f;

  std::vector<LogitBias> logit_bias = {};  // at most one of a token
  // Only tokens that keep the text on a way through it. Null: all.
  std::shared_ptr<const Grammar> grammar = nullptr;
  // Where the random numbers begin.
  uint64_t seed = 0;

  bool HasPenalties() const {
    return repeat_last_n != 0 &&
           (repeat_penalty != 1 || presence_penalty != 0 ||
            frequency_penalty != 0);
  }
  // Whether a sampler must know the texts of tokens.
  bool NeedsPieces() const {
    return grammar != nullptr || HasDry() || !logit_bias.empty();
  }
  bool HasDry() const { return dry_multiplier > 0 && dry_penalty_last_n != 0; }
};

// Tokens that repetitions are looked for in, at most.
inline constexpr int kMaxSamplerWindow = 1 << 20;

// InvalidArgument that names the first field out of range, and the range.
absl::Status CheckSamplerOptions(const SamplerOptions& options);

// llama.cpp's name of a step: "top_k".
absl::string_view SamplerStepName(SamplerStep step);
// Names joined by ";", such as "penalties;top_k;temperature". InvalidArgument
// for a name that there is not, or one that stands twice.
absl::StatusOr<std::vector<SamplerStep>> ParseSamplerChain(
    absl::string_view text);
std::string FormatSamplerChain(const std::vector<SamplerStep>& chain);
// "15043+1.5,29871-inf": ids with what is added to their logits.
absl::StatusOr<std::vector<LogitBias>> ParseLogitBias(absl::string_view text);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAMPLER_OPTIONS_H_
