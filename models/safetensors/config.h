// config.json: what kind of model it is and its sizes.
#ifndef WEFT_MODELS_SAFETENSORS_CONFIG_H_
#define WEFT_MODELS_SAFETENSORS_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/gguf_key_values.h"
#include "models/safetensors/json_fields.h"

namespace weft::inline v0 {

// A family of models, by config.json's model_type.
struct HfFamily {
  absl::string_view model_type;
  absl::string_view architecture;  // GGUF's name for it
  bool gemma = false;  // norms are stored less 1, and stand around each part
  bool halves =
      false;  // GGUF has the rows of q and k permuted, these files not
};

struct HfConfig {
  const HfFamily* family = nullptr;
  GgufKeyValues key_values;         // as a GGUF file of the model has them
  int64_t vocab = 0;                // rows of the embedding; 0: not said
  bool tied = false;                // the output is the embedding
  bool untied = false;              // it is said not to be
  std::vector<float> rope_factors;  // llama3's divisors of frequencies, or none
  std::vector<std::string> warnings;
};

// Translates the fields of llama, mistral, qwen2, qwen3, gemma2 and gemma3
// (its text part). Errors: HF-2; HF-3, Unimplemented, for another model_type
// and for what weft's architectures do not compute: other activations, rope
// types and scales of attention. `name` becomes general.name.
absl::StatusOr<HfConfig> ReadHfConfig(JsonFields config, std::string name);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAFETENSORS_CONFIG_H_
