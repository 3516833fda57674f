#include "models/safetensors/names.h"

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace weft::inline v0 {
namespace {

struct Name {
  absl::string_view theirs, ours;  // without ".weight" or ".bias"
  bool is_norm = false;
};

constexpr Name kModel[] = {{"embed_tokens", "token_embd"},
                           {"norm", "output_norm", true}};
constexpr Name kOutput = {"lm_head", "output"};

constexpr Name kLayer[] = {
    {"input_layernorm", "attn_norm", true},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm", true},
    {"self_attn.k_norm", "attn_k_norm", true},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
};
constexpr Name kLayerNorms[] = {{"post_attention_layernorm", "ffn_norm", true}};
constexpr Name kGemmaNorms[] = {
    {"post_attention_layernorm", "post_attention_norm", true},
    {"pre_feedforward_layernorm", "ffn_norm", true},
    {"post_feedforward_layernorm", "post_ffw_norm", true},
};

// What is not part of a text model, or can be computed.
bool IsUnneeded(absl::string_view name) {
  return absl::EndsWith(name, ".rotary_emb.inv_freq") ||
         absl::StartsWith(name, "vision_tower.") ||
         absl::StartsWith(name, "multi_modal_projector.") ||
         absl::StartsWith(name, "model.vision_tower.") ||
         absl::StartsWith(name, "model.multi_modal_projector.");
}

template <size_t n>
const Name* Find(const Name (&table)[n], absl::string_view name) {
  for (const Name& entry : table)
    if (entry.theirs == name) return &entry;
  return nullptr;
}

}  // namespace

std::optional<TranslatedName> TranslateName(absl::string_view name,
                                            bool gemma) {
  if (IsUnneeded(name)) return TranslatedName();
  // Where the text model is a part of another.
  if (!absl::ConsumePrefix(&name, "language_model."))
    absl::ConsumePrefix(&name, "model.language_model.");
  absl::ConsumePrefix(&name, "model.");
  const size_t dot = name.rfind('.');
  if (dot == name.npos) return std::nullopt;
  const absl::string_view kind = name.substr(dot);  // ".weight"
  if (kind != ".weight" && kind != ".bias") return std::nullopt;
  name = name.substr(0, dot);
  std::string prefix;
  const Name* found = name == kOutput.theirs ? &kOutput : Find(kModel, name);
  if (absl::ConsumePrefix(&name, "layers.")) {
    const size_t end = name.find('.');
    uint32_t layer = 0;
    if (end == name.npos || !absl::SimpleAtoi(name.substr(0, end), &layer) ||
        name.substr(0, end) != absl::StrCat(layer))
      return std::nullopt;
    prefix = absl::StrCat("blk.", layer, ".");
    name = name.substr(end + 1);
    found = Find(kLayer, name);
    if (found == nullptr)
      found = gemma ? Find(kGemmaNorms, name) : Find(kLayerNorms, name);
  }
  if (found == nullptr) return std::nullopt;
  return TranslatedName{absl::StrCat(prefix, found->ours, kind),
                        found->is_norm};
}

}  // namespace weft::inline v0
