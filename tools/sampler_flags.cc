#include "tools/sampler_flags.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/grammar/grammar.h"
#include "models/grammar/json_schema.h"
#include "models/input_error.h"
#include "nlohmann/json.hpp"
#include "tools/read_file.h"

ABSL_FLAG(double, temperature, 0,
          "0 takes the best token; below 1 sharpens, above 1 flattens");
ABSL_FLAG(double, dynatemp_range, 0,
          "temperature by entropy: this much below and above --temperature");
ABSL_FLAG(double, dynatemp_exponent, 1, "the power of the entropy's share");
ABSL_FLAG(int32_t, top_k, 40, "only the k best tokens; 0: all");
ABSL_FLAG(double, top_p, 0.95,
          "only the best tokens that together have this probability; 1: all");
ABSL_FLAG(double, min_p, 0.05,
          "only tokens with this part of the best one's probability; 0: all");
ABSL_FLAG(double, typical_p, 1,
          "only tokens of about the expected surprise that together have this "
          "probability; 1: all");
ABSL_FLAG(double, top_n_sigma, 0,
          "only tokens within n standard deviations of the best logit; 0: all");
ABSL_FLAG(double, xtc_probability, 0,
          "how often all but the least likely of the top choices are left out");
ABSL_FLAG(double, xtc_threshold, 0.1,
          "the probability that makes a token a top choice");
ABSL_FLAG(int32_t, mirostat, 0,
          "1 or 2: keeps the surprise constant, instead of the samplers that "
          "leave out tokens");
ABSL_FLAG(double, mirostat_tau, 5, "that surprise, in bits");
ABSL_FLAG(double, mirostat_eta, 0.1, "how fast it is corrected");
ABSL_FLAG(double, repeat_penalty, 1,
          "above 1 avoids the last --repeat_last_n tokens");
ABSL_FLAG(double, presence_penalty, 0, "taken off the logits of these tokens");
ABSL_FLAG(double, frequency_penalty, 0,
          "the same for each time that they came");
ABSL_FLAG(int32_t, repeat_last_n, 64, "so many tokens count; -1: all");
ABSL_FLAG(double, dry_multiplier, 0,
          "above 0 avoids going on with a repetition (DRY): the penalty is "
          "multiplier * base^(length - allowed_length)");
ABSL_FLAG(double, dry_base, 1.75, "see --dry_multiplier");
ABSL_FLAG(int32_t, dry_allowed_length, 2,
          "repetitions shorter than this are free");
ABSL_FLAG(int32_t, dry_penalty_last_n, -1, "so many tokens count; -1: all");
ABSL_FLAG(std::string, dry_sequence_breakers, R"(["\n",":","\"","*"])",
          "texts that no repetition reaches across, a JSON array");
ABSL_FLAG(std::string, logit_bias, "",
          "added to logits, by token id: 15043+1.5,29871-inf");
ABSL_FLAG(std::string, samplers,
          "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature",
          "the samplers in their order; logit_bias and grammar come first "
          "unless listed");
ABSL_FLAG(uint64_t, seed, 0, "where the random numbers begin");
ABSL_FLAG(std::string, grammar, "", "what the text must be, in GBNF");
ABSL_FLAG(std::string, grammar_file, "", "the same, from a file");
ABSL_FLAG(std::string, json_schema, "",
          "a JSON schema of what the text must be; {} for any JSON");
ABSL_FLAG(std::string, json_schema_file, "", "the same, from a file");

namespace weft::inline v0 {
namespace {

// The step that a flag is about, which --samplers may leave out.
constexpr std::pair<absl::string_view, SamplerStep> kStepOfFlag[] = {
    {"temperature", SamplerStep::kTemperature},
    {"dynatemp_range", SamplerStep::kTemperature},
    {"top_k", SamplerStep::kTopK},
    {"top_p", SamplerStep::kTopP},
    {"min_p", SamplerStep::kMinP},
    {"typical_p", SamplerStep::kTypicalP},
    {"top_n_sigma", SamplerStep::kTopNSigma},
    {"xtc_probability", SamplerStep::kXtc},
    {"repeat_penalty", SamplerStep::kPenalties},
    {"presence_penalty", SamplerStep::kPenalties},
    {"frequency_penalty", SamplerStep::kPenalties},
    {"dry_multiplier", SamplerStep::kDry},
};

absl::StatusOr<std::vector<std::string>> ParseTexts(const std::string& flag,
                                                    const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  bool texts = json.is_array();
  std::vector<std::string> out;
  for (const auto& item : json) {
    texts = texts && item.is_string();
    if (texts) out.push_back(item.get<std::string>());
  }
  if (texts) return out;
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, " is ", QuoteInput(text),
                   R"(; expected a JSON array of strings, as ["\n", "."])"));
}

absl::StatusOr<std::shared_ptr<const Grammar>> GrammarFromFlags(
    const Arguments& args) {
  constexpr absl::string_view kFlags[] = {"grammar", "grammar_file",
                                          "json_schema", "json_schema_file"};
  const auto given = [&](absl::string_view f) { return args.Given(f); };
  const auto n = std::count_if(std::begin(kFlags), std::end(kFlags), given);
  if (n == 0) return nullptr;
  if (n > 1)
    return absl::InvalidArgumentError(
        "--grammar, --grammar_file, --json_schema or --json_schema_file: only "
        "one of them");
  const bool is_schema = given("json_schema") || given("json_schema_file");
  std::string path = absl::GetFlag(FLAGS_grammar_file);
  if (given("json_schema_file")) path = absl::GetFlag(FLAGS_json_schema_file);
  std::string text =
      absl::GetFlag(is_schema ? FLAGS_json_schema : FLAGS_grammar);
  if (given("grammar_file") || given("json_schema_file")) {
    WEFT_ASSIGN_OR_RETURN(text, ReadTextFile(path));
  }
  auto grammar = is_schema ? ParseJsonSchema(text) : Grammar::Parse(text);
  if (grammar.ok() || path.empty()) return grammar;
  return absl::Status(grammar.status().code(),
                      absl::StrCat(path, ": ", grammar.status().message()));
}

// A flag that nothing would look at is a slip.
absl::Status CheckChain(const Arguments& args, const SamplerOptions& o) {
  for (const auto& [flag, step] : kStepOfFlag)
    if (args.Given(flag) &&
        std::find(o.chain.begin(), o.chain.end(), step) == o.chain.end())
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, " has no effect: --samplers does not list ",
                       SamplerStepName(step)));
  return absl::OkStatus();
}

float F(const absl::Flag<double>& flag) {
  return static_cast<float>(absl::GetFlag(flag));
}

}  // namespace

std::vector<FlagGroup> SamplerFlagGroups() {
  return {{"Sampling",
           {"temperature", "top_k", "top_p", "min_p", "seed", "samplers",
            "logit_bias"}},
          {"Repetitions",
           {"repeat_penalty", "presence_penalty", "frequency_penalty",
            "repeat_last_n", "dry_multiplier", "dry_base", "dry_allowed_length",
            "dry_penalty_last_n", "dry_sequence_breakers"}},
          {"More samplers",
           {"typical_p", "top_n_sigma", "xtc_probability", "xtc_threshold",
            "dynatemp_range", "dynatemp_exponent", "mirostat", "mirostat_tau",
            "mirostat_eta"}},
          {"What the text must look like",
           {"grammar", "grammar_file", "json_schema", "json_schema_file"}}};
}

absl::StatusOr<SamplerOptions> SamplerFromFlags(const Arguments& args) {
  SamplerOptions o;
  o.temperature = F(FLAGS_temperature);
  o.dynatemp_range = F(FLAGS_dynatemp_range);
  o.dynatemp_exponent = F(FLAGS_dynatemp_exponent);
  o.top_k = absl::GetFlag(FLAGS_top_k);
  o.top_p = F(FLAGS_top_p);
  o.min_p = F(FLAGS_min_p);
  o.typical_p = F(FLAGS_typical_p);
  o.top_n_sigma = F(FLAGS_top_n_sigma);
  o.xtc_probability = F(FLAGS_xtc_probability);
  o.xtc_threshold = F(FLAGS_xtc_threshold);
  o.mirostat = absl::GetFlag(FLAGS_mirostat);
  o.mirostat_tau = F(FLAGS_mirostat_tau);
  o.mirostat_eta = F(FLAGS_mirostat_eta);
  o.repeat_penalty = F(FLAGS_repeat_penalty);
  o.presence_penalty = F(FLAGS_presence_penalty);
  o.frequency_penalty = F(FLAGS_frequency_penalty);
  o.repeat_last_n = absl::GetFlag(FLAGS_repeat_last_n);
  o.dry_multiplier = F(FLAGS_dry_multiplier);
  o.dry_base = F(FLAGS_dry_base);
  o.dry_allowed_length = absl::GetFlag(FLAGS_dry_allowed_length);
  o.dry_penalty_last_n = absl::GetFlag(FLAGS_dry_penalty_last_n);
  o.seed = absl::GetFlag(FLAGS_seed);
  WEFT_ASSIGN_OR_RETURN(o.dry_sequence_breakers,
                        ParseTexts("dry_sequence_breakers",
                                   absl::GetFlag(FLAGS_dry_sequence_breakers)));
  WEFT_ASSIGN_OR_RETURN(o.logit_bias,
                        ParseLogitBias(absl::GetFlag(FLAGS_logit_bias)));
  WEFT_ASSIGN_OR_RETURN(o.chain,
                        ParseSamplerChain(absl::GetFlag(FLAGS_samplers)));
  WEFT_RETURN_IF_ERROR(CheckSamplerOptions(o));
  WEFT_RETURN_IF_ERROR(CheckChain(args, o));
  WEFT_ASSIGN_OR_RETURN(o.grammar, GrammarFromFlags(args));
  return o;
}

}  // namespace weft::inline v0
