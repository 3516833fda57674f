#include "tools/mixture.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

// What a matrix is for.
enum class Part {
  kOutput,
  kTokens,
  kAttnV,
  kAttnK,
  kAttnOutput,
  kDown,
  kOther
};

// Which layers or models a rule is about.
enum class When {
  kAlways,
  kMoreBits,  // see MoreBits
  kFirstTwo,  // layers
  kFirstFour,
  kFirstEighth,
  kFirstSixteenth,
  kSharedByFour,  // at least 4 heads share a V head
  kEightyLayers,  // 80 layers with shared V heads: the 70B models
  kEightExperts,
};

}  // namespace

struct MixtureRule {
  Part part;
  When when;
  DType type;
};

namespace {

// The rules of llama.cpp's quantizer (llama-quant.cpp, 2026), without those of
// falcon. With 8 experts attention is so small a part that Q8_0 costs nothing;
// a V matrix that many heads share is small for what depends on it; the first
// and last layers and every third between are the most sensitive.
constexpr MixtureRule kQ2_K[] = {
    {Part::kOutput, When::kAlways, DType::kQ6_K},
    {Part::kAttnV, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnV, When::kEightyLayers, DType::kQ5_K},
    {Part::kAttnV, When::kSharedByFour, DType::kQ4_K},
    {Part::kAttnV, When::kAlways, DType::kQ3_K},
    {Part::kAttnK, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnOutput, When::kEightExperts, DType::kQ5_K},
    {Part::kAttnOutput, When::kAlways, DType::kQ3_K},
    {Part::kDown, When::kAlways, DType::kQ3_K},
};
constexpr MixtureRule kQ3_K_S[] = {
    {Part::kOutput, When::kAlways, DType::kQ6_K},
    {Part::kAttnV, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnV, When::kEightyLayers, DType::kQ5_K},
    {Part::kAttnK, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnOutput, When::kEightExperts, DType::kQ5_K},
};
constexpr MixtureRule kQ3_K_M[] = {
    {Part::kOutput, When::kAlways, DType::kQ6_K},
    {Part::kAttnV, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnV, When::kEightyLayers, DType::kQ5_K},
    {Part::kAttnV, When::kFirstTwo, DType::kQ5_K},
    {Part::kAttnV, When::kAlways, DType::kQ4_K},
    {Part::kAttnK, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnOutput, When::kEightExperts, DType::kQ5_K},
    {Part::kAttnOutput, When::kAlways, DType::kQ4_K},
    {Part::kDown, When::kFirstSixteenth, DType::kQ5_K},
    {Part::kDown, When::kAlways, DType::kQ4_K},
};
constexpr MixtureRule kQ3_K_L[] = {
    {Part::kOutput, When::kAlways, DType::kQ6_K},
    {Part::kAttnV, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnV, When::kAlways, DType::kQ5_K},
    {Part::kAttnK, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnOutput, When::kEightExperts, DType::kQ3_K},
    {Part::kAttnOutput, When::kAlways, DType::kQ5_K},
    {Part::kDown, When::kAlways, DType::kQ5_K},
};
constexpr MixtureRule kQ4_K_S[] = {
    {Part::kOutput, When::kAlways, DType::kQ6_K},
    {Part::kAttnV, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnV, When::kEightyLayers, DType::kQ5_K},
    {Part::kAttnV, When::kFirstFour, DType::kQ5_K},
    {Part::kAttnK, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnOutput, When::kEightExperts, DType::kQ5_K},
    {Part::kDown, When::kFirstEighth, DType::kQ5_K},
};
constexpr MixtureRule kQ4_K_M[] = {
    {Part::kOutput, When::kAlways, DType::kQ6_K},
    {Part::kAttnV, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnV, When::kMoreBits, DType::kQ6_K},
    {Part::kAttnV, When::kEightyLayers, DType::kQ5_K},
    {Part::kAttnK, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnOutput, When::kEightExperts, DType::kQ5_K},
    {Part::kDown, When::kMoreBits, DType::kQ6_K},
};
constexpr MixtureRule kQ5_K_S[] = {
    {Part::kOutput, When::kAlways, DType::kQ6_K},
    {Part::kAttnV, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnK, When::kEightExperts, DType::kQ8_0},
};
constexpr MixtureRule kQ5_K_M[] = {
    {Part::kOutput, When::kAlways, DType::kQ6_K},
    {Part::kAttnV, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnV, When::kMoreBits, DType::kQ6_K},
    {Part::kAttnK, When::kEightExperts, DType::kQ8_0},
    {Part::kDown, When::kMoreBits, DType::kQ6_K},
};
constexpr MixtureRule kQ6_K[] = {
    {Part::kAttnV, When::kEightExperts, DType::kQ8_0},
    {Part::kAttnK, When::kEightExperts, DType::kQ8_0},
};

// With the numbers that general.file_type has for them.
constexpr Mixture kMixtures[] = {
    {"Q2_K", DType::kQ2_K, 10, kQ2_K},
    {"Q3_K_S", DType::kQ3_K, 11, kQ3_K_S},
    {"Q3_K_M", DType::kQ3_K, 12, kQ3_K_M},
    {"Q3_K_L", DType::kQ3_K, 13, kQ3_K_L},
    {"Q4_K_S", DType::kQ4_K, 14, kQ4_K_S},
    {"Q4_K_M", DType::kQ4_K, 15, kQ4_K_M},
    {"Q5_K_S", DType::kQ5_K, 16, kQ5_K_S},
    {"Q5_K_M", DType::kQ5_K, 17, kQ5_K_M},
    {"Q6_K", DType::kQ6_K, 18, kQ6_K},
    {"Q8_0", DType::kQ8_0, 7, {}},
};

// general.file_type of a file whose matrices all have one format.
std::optional<uint32_t> PlainFileType(DType type) {
  switch (type) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return 1;
    case DType::kQ4_0:
      return 2;
    case DType::kQ4_1:
      return 3;
    case DType::kQ5_0:
      return 8;
    case DType::kQ5_1:
      return 9;
    case DType::kIQ4_NL:
      return 25;
    case DType::kIQ4_XS:
      return 30;
    case DType::kBF16:
      return 32;
    case DType::kMXFP4:
      return 38;
    default:
      break;
  }
  for (const Mixture& mixture : kMixtures)  // the smallest one of that base
    if (mixture.base == type) return mixture.file_type;
  return std::nullopt;
}

bool SameName(absl::string_view a, absl::string_view b) {
  return absl::EqualsIgnoreCase(a, b);
}

// The number in "blk.<number>.", -1 where there is none.
int64_t LayerOf(absl::string_view name) {
  int64_t layer = -1;
  if (!absl::ConsumePrefix(&name, "blk.") ||
      !absl::SimpleAtoi(name.substr(0, name.find('.')), &layer))
    return -1;
  return layer;
}

Part PartOf(absl::string_view name, const MixtureModel& model) {
  const auto has = [name](const char* text) {
    return absl::StrContains(name, text);
  };
  if (name == "output.weight") return Part::kOutput;
  if (name == "token_embd.weight")
    return model.has_output ? Part::kTokens : Part::kOutput;
  if (has("attn_v.weight") || has("attn_qkv.weight") || has("attn_kv_b.weight"))
    return Part::kAttnV;
  if (has("attn_k.weight")) return Part::kAttnK;
  if (has("attn_output.weight")) return Part::kAttnOutput;
  if (has("ffn_down")) return Part::kDown;
  return Part::kOther;
}

// The eighth of the layers at either end, and every third between them.
bool MoreBits(int64_t layer, int64_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 ||
         (layer - layers / 8) % 3 == 2;
}

bool Applies(When when, int64_t layer, const MixtureModel& model) {
  const bool in_layer = layer >= 0;
  switch (when) {
    case When::kAlways:
      return true;
    case When::kMoreBits:
      return in_layer && MoreBits(layer, model.layers);
    case When::kFirstTwo:
      return in_layer && layer < 2;
    case When::kFirstFour:
      return in_layer && layer < 4;
    case When::kFirstEighth:
      return in_layer && layer < model.layers / 8;
    case When::kFirstSixteenth:
      return in_layer && layer < model.layers / 16;
    case When::kSharedByFour:
      return model.heads_per_group >= 4;
    case When::kEightyLayers:
      return model.layers == 80 && model.heads_per_group > 1;
    case When::kEightExperts:
      return model.experts == 8;
  }
  return false;
}

// The largest number under `key`, a number or an array with one per layer.
int64_t LargestInt(const GgufFile& file, const std::string& key,
                   int64_t otherwise) {
  if (const auto one = file.GetInt64(key); one.ok()) return *one;
  const auto many = file.GetInt32s(key);
  if (!many.ok() || many->empty()) return otherwise;
  return *std::max_element(many->begin(), many->end());
}

}  // namespace

absl::Span<const Mixture> AllMixtures() { return kMixtures; }

std::string MixtureNames() {
  std::string names;
  for (const Mixture& mixture : kMixtures)
    absl::StrAppend(&names, mixture.name, ", ");
  for (const DTypeInfo& info : AllDTypes()) {
    const auto is_this = [&](const Mixture& mixture) {
      return SameName(mixture.name, info.name);
    };
    if (info.decode != nullptr &&
        std::none_of(std::begin(kMixtures), std::end(kMixtures), is_this))
      absl::StrAppend(&names, info.name, ", ");
  }
  return names.substr(0, names.size() - 2);
}

absl::StatusOr<DType> FindMatrixType(absl::string_view name) {
  for (const DTypeInfo& info : AllDTypes())
    if (info.decode != nullptr && SameName(info.name, name)) return info.type;
  return absl::InvalidArgumentError(
      absl::StrCat(QuoteInput(name), " is no format of weights, such as q8_0"));
}

absl::StatusOr<Mixture> FindMixture(absl::string_view name, bool pure) {
  for (const Mixture& mixture : kMixtures) {
    if (!SameName(mixture.name, name)) continue;
    Mixture found = mixture;
    if (pure) found.rules = {};
    return found;
  }
  if (const auto type = FindMatrixType(name); type.ok())
    return Mixture{Name(*type), *type, PlainFileType(*type)};
  return absl::InvalidArgumentError(absl::StrCat(
      "--type is ", QuoteInput(name), "; expected one of ", MixtureNames()));
}

MixtureModel DescribeForMixture(const GgufFile& file) {
  const std::string architecture(
      file.GetString("general.architecture").value_or(""));
  const auto number = [&](const char* key, int64_t otherwise) {
    return LargestInt(file, absl::StrCat(architecture, ".", key), otherwise);
  };
  MixtureModel model;
  model.layers = number("block_count", 0);
  model.experts = number("expert_count", 0);
  const int64_t heads = number("attention.head_count", 1);
  const int64_t groups = number("attention.head_count_kv", heads);
  model.heads_per_group = groups > 0 ? heads / groups : 1;
  model.has_output = file.FindTensor("output.weight") != nullptr;
  return model;
}

bool IsQuantizable(absl::string_view name, absl::Span<const int64_t> dims) {
  // Trailing dimensions of 1 (the first ones here) make no matrix of a vector.
  const bool is_matrix =
      std::any_of(dims.begin(), dims.empty() ? dims.end() : dims.end() - 1,
                  [](int64_t dim) { return dim > 1; });
  if (!is_matrix || !absl::EndsWith(name, "weight")) return false;
  constexpr absl::string_view kKept[] = {
      "_norm.weight", "ffn_gate_inp.weight", "position_embd", "token_types",
      "patch_embd",
      // T5's, Mamba's, Gemma 3n's
      "attn_rel_b.weight", "ssm_conv1d", "shortconv.conv.weight", "altup",
      "laurel", "per_layer_model_proj",
      // RWKV's
      "time_mix_first.", "time_mix_w0.", "time_mix_w1.", "time_mix_w2.",
      "time_mix_v0.", "time_mix_v1.", "time_mix_v2.", "time_mix_a0.",
      "time_mix_a1.", "time_mix_a2.", "time_mix_g1.", "time_mix_g2.",
      "time_mix_decay_w1.", "time_mix_decay_w2.", "time_mix_lerp_fused."};
  return std::none_of(
      std::begin(kKept), std::end(kKept),
      [&](absl::string_view part) { return absl::StrContains(name, part); });
}

DType FallbackFor(DType type, int64_t row_length) {
  if (row_length % Info(type).block_values == 0) return type;
  const DType next = [type] {
    switch (type) {
      case DType::kQ2_K:
      case DType::kQ3_K:
        return DType::kQ4_0;
      case DType::kIQ4_XS:
        return DType::kIQ4_NL;
      case DType::kQ4_K:
        return DType::kQ5_0;
      case DType::kQ5_K:
        return DType::kQ5_1;
      case DType::kQ6_K:
      case DType::kQ8_K:
        return DType::kQ8_0;
      default:
        return DType::kF16;
    }
  }();
  return row_length % Info(next).block_values == 0 ? next : DType::kF16;
}

DType TypeFor(const Mixture& mixture, const MixtureModel& model,
              absl::string_view name, absl::Span<const int64_t> dims) {
  const Part part = PartOf(name, model);
  const int64_t layer = LayerOf(name);
  DType type = mixture.base;
  for (const MixtureRule& rule : mixture.rules) {
    if (rule.part != part || !Applies(rule.when, layer, model)) continue;
    type = rule.type;
    break;
  }
  return FallbackFor(type, dims.back());
}

}  // namespace weft::inline v0
