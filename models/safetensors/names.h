// Names of tensors: those of transformers, and GGUF's.
#ifndef WEFT_MODELS_SAFETENSORS_NAMES_H_
#define WEFT_MODELS_SAFETENSORS_NAMES_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace weft::inline v0 {

struct TranslatedName {
  std::string name;      // GGUF's; "" for a tensor that is not needed
  bool is_norm = false;  // the scale of a norm
};

// "model.layers.3.self_attn.q_proj.weight" -> "blk.3.attn_q.weight". Nothing
// for a name that is in no table. Gemma's norms stand around each part, so that
// one of them means something else there.
std::optional<TranslatedName> TranslateName(absl::string_view name, bool gemma);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAFETENSORS_NAMES_H_
