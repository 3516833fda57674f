#include "graph/status_macros.h"
#include "models/c_api/handles.h"
#include "models/grammar/grammar.h"
#include "models/grammar/json_schema.h"

using weft::c_api::Call;
using weft::c_api::IsNull;

namespace {

weft_sampler_options Defaults() {
  // Without the lists, which would allocate.
  const weft::SamplerOptions o = {.chain = {}, .dry_sequence_breakers = {}};
  weft_sampler_options out = {};
  out.size = sizeof out;
  out.temperature = o.temperature;
  out.top_k = o.top_k;
  out.top_p = o.top_p;
  out.min_p = o.min_p;
  out.repeat_penalty = o.repeat_penalty;
  out.repeat_last_n = o.repeat_last_n;
  out.seed = o.seed;
  out.presence_penalty = o.presence_penalty;
  out.frequency_penalty = o.frequency_penalty;
  out.typical_p = o.typical_p;
  out.top_n_sigma = o.top_n_sigma;
  out.xtc_probability = o.xtc_probability;
  out.xtc_threshold = o.xtc_threshold;
  out.dynatemp_range = o.dynatemp_range;
  out.dynatemp_exponent = o.dynatemp_exponent;
  out.dry_multiplier = o.dry_multiplier;
  out.dry_base = o.dry_base;
  out.dry_allowed_length = o.dry_allowed_length;
  out.dry_penalty_last_n = o.dry_penalty_last_n;
  out.mirostat = o.mirostat;
  out.mirostat_tau = o.mirostat_tau;
  out.mirostat_eta = o.mirostat_eta;
  return out;
}

absl::Status ReadTexts(const weft_sampler_options& o,
                       weft::SamplerOptions& out) {
  if (o.chain != nullptr) {
    WEFT_ASSIGN_OR_RETURN(out.chain, weft::ParseSamplerChain(o.chain));
  }
  if (o.logit_bias != nullptr) {
    WEFT_ASSIGN_OR_RETURN(out.logit_bias, weft::ParseLogitBias(o.logit_bias));
  }
  if (o.grammar != nullptr && o.json_schema != nullptr)
    return absl::InvalidArgumentError(
        "grammar and json_schema are both set; expected one of them");
  if (o.grammar != nullptr) {
    WEFT_ASSIGN_OR_RETURN(out.grammar, weft::Grammar::Parse(o.grammar));
  }
  if (o.json_schema != nullptr) {
    WEFT_ASSIGN_OR_RETURN(out.grammar, weft::ParseJsonSchema(o.json_schema));
  }
  return absl::OkStatus();
}

absl::StatusOr<weft::SamplerOptions> ReadOptions(
    const weft_sampler_options& o) {
  weft::SamplerOptions out;
  out.temperature = o.temperature;
  out.top_k = o.top_k;
  out.top_p = o.top_p;
  out.min_p = o.min_p;
  out.repeat_penalty = o.repeat_penalty;
  out.repeat_last_n = o.repeat_last_n;
  out.seed = o.seed;
  out.presence_penalty = o.presence_penalty;
  out.frequency_penalty = o.frequency_penalty;
  out.typical_p = o.typical_p;
  out.top_n_sigma = o.top_n_sigma;
  out.xtc_probability = o.xtc_probability;
  out.xtc_threshold = o.xtc_threshold;
  out.dynatemp_range = o.dynatemp_range;
  out.dynatemp_exponent = o.dynatemp_exponent;
  out.dry_multiplier = o.dry_multiplier;
  out.dry_base = o.dry_base;
  out.dry_allowed_length = o.dry_allowed_length;
  out.dry_penalty_last_n = o.dry_penalty_last_n;
  out.mirostat = o.mirostat;
  out.mirostat_tau = o.mirostat_tau;
  out.mirostat_eta = o.mirostat_eta;
  WEFT_RETURN_IF_ERROR(ReadTexts(o, out));
  return out;
}

std::shared_ptr<const weft::TokenPieces> PiecesOf(const weft_model& model) {
  std::call_once(model.pieces_once, [&] {
    model.pieces =
        std::make_shared<const weft::TokenPieces>(model.model->tokenizer());
  });
  return model.pieces;
}

}  // namespace

void weft_sampler_defaults(weft_sampler_options* options, size_t size) {
  if (options == nullptr || size < sizeof(size_t)) return;
  const weft_sampler_options known = Defaults();
  std::memset(static_cast<void*>(options), 0, size);
  std::memcpy(static_cast<void*>(options), &known,
              std::min(size, sizeof(known)));
  options->size = size;
}

weft_code weft_sampler_new(const weft_sampler_options* options,
                           weft_sampler** sampler, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (sampler == nullptr) return IsNull("where the sampler goes");
    WEFT_ASSIGN_OR_RETURN(const weft_sampler_options o,
                          weft::c_api::Known(options, Defaults()));
    WEFT_ASSIGN_OR_RETURN(weft::SamplerOptions wanted, ReadOptions(o));
    std::shared_ptr<const weft::TokenPieces> pieces;
    if (wanted.NeedsPieces()) {
      if (o.model == nullptr)
        return absl::InvalidArgumentError(
            "grammar, json_schema, logit_bias and dry need the options' model");
      pieces = PiecesOf(*o.model);
    }
    WEFT_ASSIGN_OR_RETURN(
        weft::Sampler made,
        weft::Sampler::Make(std::move(wanted), std::move(pieces)));
    *sampler = new weft_sampler{std::move(made)};
    return absl::OkStatus();
  });
}

void weft_sampler_free(weft_sampler* sampler) { delete sampler; }

weft_code weft_sampler_sample(weft_sampler* sampler, const float* logits,
                              size_t count, int32_t* token, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (sampler == nullptr || logits == nullptr || token == nullptr)
      return IsNull("the sampler, its logits or where the token goes");
    WEFT_ASSIGN_OR_RETURN(*token, sampler->sampler.Sample({logits, count}));
    return absl::OkStatus();
  });
}

weft_code weft_sampler_accept(weft_sampler* sampler, int32_t token,
                              weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (sampler == nullptr) return IsNull("the sampler");
    sampler->sampler.Accept(token);
    return absl::OkStatus();
  });
}

weft_code weft_sampler_observe(weft_sampler* sampler, const int32_t* tokens,
                               size_t count, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (sampler == nullptr) return IsNull("the sampler");
    if (tokens == nullptr && count > 0) return IsNull("the tokens");
    for (size_t i = 0; i < count; ++i) sampler->sampler.Observe(tokens[i]);
    return absl::OkStatus();
  });
}

weft_code weft_sampler_reset(weft_sampler* sampler, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (sampler == nullptr) return IsNull("the sampler");
    sampler->sampler.Reset();
    return absl::OkStatus();
  });
}
