#include "graph/status_macros.h"
#include "models/c_api/handles.h"
#include "models/grammar/grammar.h"
#include "models/grammar/json_schema.h"

using weft::c_api::Call;
using weft::c_api::IsNull;

namespace {

// The options that are numbers, which C and C++ name alike.
template <class From, class To>
void CopyNumbers(const From& from, To& to) {
  to.temperature = from.temperature;
  to.top_k = from.top_k;
  to.top_p = from.top_p;
  to.min_p = from.min_p;
  to.repeat_penalty = from.repeat_penalty;
  to.repeat_last_n = from.repeat_last_n;
  to.seed = from.seed;
  to.presence_penalty = from.presence_penalty;
  to.frequency_penalty = from.frequency_penalty;
  to.typical_p = from.typical_p;
  to.top_n_sigma = from.top_n_sigma;
  to.xtc_probability = from.xtc_probability;
  to.xtc_threshold = from.xtc_threshold;
  to.dynatemp_range = from.dynatemp_range;
  to.dynatemp_exponent = from.dynatemp_exponent;
  to.dry_multiplier = from.dry_multiplier;
  to.dry_base = from.dry_base;
  to.dry_allowed_length = from.dry_allowed_length;
  to.dry_penalty_last_n = from.dry_penalty_last_n;
  to.mirostat = from.mirostat;
  to.mirostat_tau = from.mirostat_tau;
  to.mirostat_eta = from.mirostat_eta;
}

weft_sampler_options Defaults() {
  weft_sampler_options out = {};
  out.size = sizeof out;
  // Without the lists, which would allocate.
  CopyNumbers(weft::SamplerOptions{.chain = {}, .dry_sequence_breakers = {}},
              out);
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
  CopyNumbers(o, out);
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
