#include "graph/status_macros.h"
#include "models/c_api/handles.h"

using weft::c_api::Call;
using weft::c_api::IsNull;

namespace {

weft_sampler_options Defaults() {
  const weft::SamplerOptions o;
  return {sizeof(weft_sampler_options),
          o.temperature,
          o.top_k,
          o.top_p,
          o.min_p,
          o.repeat_penalty,
          o.repeat_last_n,
          o.seed};
}

}  // namespace

void weft_sampler_defaults(weft_sampler_options* options, size_t size) {
  if (options == nullptr || size < sizeof(size_t)) return;
  const weft_sampler_options known = Defaults();
  std::memset(static_cast<void*>(options), 0, size);
  std::memcpy(options, &known, std::min(size, sizeof(known)));
  options->size = size;
}

weft_code weft_sampler_new(const weft_sampler_options* options,
                           weft_sampler** sampler, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (sampler == nullptr) return IsNull("where the sampler goes");
    WEFT_ASSIGN_OR_RETURN(const weft_sampler_options o,
                          weft::c_api::Known(options, Defaults()));
    weft::SamplerOptions wanted;
    wanted.temperature = o.temperature;
    wanted.top_k = o.top_k;
    wanted.top_p = o.top_p;
    wanted.min_p = o.min_p;
    wanted.repeat_penalty = o.repeat_penalty;
    wanted.repeat_last_n = o.repeat_last_n;
    wanted.seed = o.seed;
    WEFT_ASSIGN_OR_RETURN(weft::Sampler made,
                          weft::Sampler::Make(std::move(wanted)));
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
