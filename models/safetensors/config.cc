#include "models/safetensors/config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr HfFamily kFamilies[] = {
    {.model_type = "llama", .architecture = "llama", .halves = true},
    {.model_type = "mistral", .architecture = "llama", .halves = true},
    {.model_type = "qwen2", .architecture = "qwen2"},
    {.model_type = "qwen3", .architecture = "qwen3"},
    {.model_type = "gemma2", .architecture = "gemma2", .gemma = true},
    {.model_type = "gemma3_text", .architecture = "gemma3", .gemma = true},
    {.model_type = "gemma3", .architecture = "gemma3", .gemma = true},
};

// What a class of transformers takes for a field that the file leaves out. The
// text part of gemma3 leaves out most.
struct Default {
  absl::string_view architecture, field;
  double value;
};
constexpr Default kDefaults[] = {
    {"gemma2", "head_dim", 256},
    {"gemma2", "rope_theta", 10000},
    {"gemma2", "sliding_window", 4096},
    {"gemma2", "query_pre_attn_scalar", 256},
    {"gemma2", "attn_logit_softcapping", 50},
    {"gemma2", "final_logit_softcapping", 30},
    {"gemma3", "num_attention_heads", 8},
    {"gemma3", "num_key_value_heads", 4},
    {"gemma3", "head_dim", 256},
    {"gemma3", "max_position_embeddings", 131072},
    {"gemma3", "rms_norm_eps", 1e-6},
    {"gemma3", "rope_theta", 1000000},
    {"gemma3", "rope_local_base_freq", 10000},
    {"gemma3", "sliding_window", 4096},
    {"gemma3", "sliding_window_pattern", 6},
    {"gemma3", "query_pre_attn_scalar", 256},
    {"gemma3", "vocab_size", 262208},
    {"llama", "rms_norm_eps", 1e-6},
};

class Translator {
 public:
  Translator(JsonFields& config, HfConfig& out) : c_(config), out_(out) {}

  void Run() {
    Sizes();
    Attention();
    Rope();
    if (out_.family->gemma) Gemma();
    Activation();
    const std::optional<bool> tied = c_.Bool("tie_word_embeddings");
    out_.tied = tied.value_or(out_.family->gemma);
    out_.untied = tied.has_value() && !*tied;
    out_.vocab = Size("vocab_size", 0);
    if (out_.family->halves) out_.key_values.SetBool(Key("rope.halves"), true);
  }

 private:
  absl::string_view architecture() const { return out_.family->architecture; }
  std::string Key(absl::string_view name) const {
    return absl::StrCat(architecture(), ".", name);
  }

  // What the class has where the file says nothing.
  std::optional<double> DefaultOf(absl::string_view field) const {
    for (const Default& d : kDefaults)
      if (d.architecture == architecture() && d.field == field) return d.value;
    return std::nullopt;
  }

  // A number from 0 to 2^32-1; an error when it is missing and there is no
  // default of the class or of the caller's.
  int64_t Size(absl::string_view field,
               std::optional<int64_t> fallback = std::nullopt) {
    std::optional<int64_t> value = c_.Int(field);
    if (!value.has_value())
      if (const auto d = DefaultOf(field)) value = static_cast<int64_t>(*d);
    if (!value.has_value()) value = fallback;
    if (value.has_value() && *value >= 0 &&
        *value <= std::numeric_limits<uint32_t>::max())
      return *value;
    c_.Fail(StatusCode::kInvalidArgument, field,
            value ? absl::StrCat(*value) : "missing",
            "a number from 0 to 2^32-1");
    return 0;
  }
  void SetSize(absl::string_view key, int64_t value) {
    out_.key_values.SetUint32(Key(key), static_cast<uint32_t>(value));
  }
  double Number(JsonFields& fields, absl::string_view field, double fallback) {
    return fields.Number(field).value_or(DefaultOf(field).value_or(fallback));
  }
  void SetFloat(absl::string_view key, double value) {
    out_.key_values.SetFloat(Key(key), static_cast<float>(value));
  }

  void Sizes() {
    width_ = Size("hidden_size");
    layers_ = Size("num_hidden_layers");
    heads_ = Size("num_attention_heads");
    SetSize("block_count", layers_);
    SetSize("embedding_length", width_);
    SetSize("feed_forward_length", Size("intermediate_size"));
    context_ = Size("max_position_embeddings", 2048);
    SetSize("context_length", context_);
    SetFloat("attention.layer_norm_rms_epsilon",
             Number(c_, "rms_norm_eps", 1e-6));
  }

  void Attention() {
    SetSize("attention.head_count", heads_);
    SetSize("attention.head_count_kv", Size("num_key_value_heads", heads_));
    head_size_ = Size("head_dim", heads_ > 0 ? width_ / heads_ : 0);
    SetSize("attention.key_length", head_size_);
    SetSize("attention.value_length", head_size_);
    SetSize("rope.dimension_count", head_size_);
    if (out_.family->gemma) return;
    Window();
  }

  // Mistral has it in every layer; Qwen, where it is switched on, from layer
  // max_window_layers on.
  void Window() {
    const bool mistral = out_.family->model_type == "mistral";
    const int64_t window =
        c_.Has("sliding_window") ? Size("sliding_window") : 0;
    if (window == 0 || !c_.Bool("use_sliding_window").value_or(mistral)) return;
    SetSize("attention.sliding_window", window);
    if (c_.Has("layer_types")) return LayerTypes();
    if (mistral) return;
    const int64_t first = Size("max_window_layers", 28);
    std::vector<int32_t> windowed;
    // Absurd numbers of layers are refused later.
    for (int64_t i = 0; i < std::min<int64_t>(layers_, 1 << 16); ++i)
      windowed.push_back(i >= first);
    out_.key_values.SetInt32s(Key("attention.sliding_window_pattern"),
                              windowed);
  }

  // The fields of one kind of layer: newer files have rope_parameters, with the
  // base among them, and gemma3's have one object for each kind.
  void Rope() {
    JsonFields scaling = c_.Object("rope_scaling");
    double base = Number(c_, "rope_theta", 10000);
    if (c_.Has("rope_parameters")) {
      scaling = c_.Object("rope_parameters");
      if (scaling.Has("sliding_attention"))
        window_base_ = scaling.Object("sliding_attention").Number("rope_theta");
      if (scaling.Has("full_attention"))
        scaling = scaling.Object("full_attention");
      base = scaling.Number("rope_theta").value_or(base);
    }
    base_ = base;
    SetFloat("rope.freq_base", base);
    const std::string type =
        scaling.String("rope_type")
            .value_or(scaling.String("type").value_or("default"));
    if (type == "linear") {
      Scaling(scaling, "linear");
    } else if (type == "yarn") {
      Yarn(scaling);
    } else if (type == "llama3") {
      Llama3(scaling);
    } else if (type != "default") {
      scaling.Fail(StatusCode::kUnimplemented, "rope_type", QuoteInput(type),
                   "default, linear, yarn or llama3");
    }
    c_.Fail(scaling.status());
  }

  double Scaling(JsonFields& fields, const char* type) {
    const double factor = Positive(fields, "factor", std::nullopt);
    out_.key_values.SetString(Key("rope.scaling.type"), type);
    SetFloat("rope.scaling.factor", factor);
    return factor;
  }

  double Positive(JsonFields& fields, const char* field,
                  std::optional<double> fallback) {
    const auto found = fields.Number(field);
    const double value = found ? *found : fallback.value_or(0);
    if (value > 0 && std::isfinite(value)) return value;
    fields.Fail(StatusCode::kInvalidArgument, field,
                found ? absl::StrCat(value) : "missing", "a number above 0");
    return 1;
  }

  void Yarn(JsonFields& fields) {
    const double factor = Scaling(fields, "yarn");
    SetSize("rope.scaling.original_context_length",
            static_cast<int64_t>(Positive(fields,
                                          "original_max_position_embeddings",
                                          static_cast<double>(context_))));
    if (const auto fast = fields.Number("beta_fast"))
      SetFloat("rope.scaling.yarn_beta_fast", *fast);
    if (const auto slow = fields.Number("beta_slow"))
      SetFloat("rope.scaling.yarn_beta_slow", *slow);
    // Here it is the whole of the magnitude, in GGUF a factor of YaRN's.
    if (fields.Has("attention_factor"))
      SetFloat("rope.scaling.attn_factor",
               Positive(fields, "attention_factor", std::nullopt) /
                   (1 + 0.1 * std::log(factor)));
  }

  // Divides low frequencies, leaves high ones, and goes over between.
  void Llama3(JsonFields& fields) {
    const double factor = Positive(fields, "factor", 8);
    const double low = Positive(fields, "low_freq_factor", 1);
    const double high = Positive(fields, "high_freq_factor", 4);
    const double context =
        Positive(fields, "original_max_position_embeddings", 8192);
    if (high <= low)
      fields.Fail(StatusCode::kInvalidArgument, "high_freq_factor",
                  absl::StrCat(high), "more than low_freq_factor");
    for (int64_t i = 0; i < std::min<int64_t>(head_size_, 1 << 16); i += 2) {
      const double wave = 2 * std::numbers::pi *
                          std::pow(base_, static_cast<double>(i) /
                                              static_cast<double>(head_size_));
      const double smooth = (context / wave - low) / (high - low);
      double divisor = 1 / ((1 - smooth) / factor + smooth);
      if (wave < context / high) divisor = 1;
      if (wave > context / low) divisor = factor;
      out_.rope_factors.push_back(static_cast<float>(divisor));
    }
  }

  void Gemma() {
    SetSize("attention.sliding_window", Size("sliding_window"));
    if (architecture() == "gemma3") {
      const double local =
          window_base_.value_or(Number(c_, "rope_local_base_freq", 10000));
      SetFloat("rope.freq_base_swa", local);
      Cap("final_logit_softcapping");
    } else {
      Cap("attn_logit_softcapping");
      Cap("final_logit_softcapping");
    }
    if (c_.Has("layer_types"))
      LayerTypes();
    else
      SetSize("attention.sliding_window_pattern",
              Size("sliding_window_pattern", 2));
    // The architectures know the scales of the published sizes alone.
    const bool is_27b = layers_ == (architecture() == "gemma2" ? 46 : 62);
    const auto usual = static_cast<double>(
        is_27b && heads_ > 0 ? width_ / heads_ : head_size_);
    const double scalar = Number(c_, "query_pre_attn_scalar", usual);
    if (scalar != usual)
      c_.Fail(StatusCode::kUnimplemented, "query_pre_attn_scalar",
              absl::StrCat(scalar), absl::StrCat(usual));
  }

  // Null means none, which is not what a missing field means.
  void Cap(const char* field) {
    const JsonValue* given = c_.value().Find(field);
    const bool none = given != nullptr && given->is_null();
    SetFloat(field, none ? 0 : Number(c_, field, 0));
  }

  void LayerTypes() {
    const JsonValue* types = c_.Find("layer_types");
    std::vector<int32_t> windowed;
    if (types->is_list())
      for (const JsonValue& type : types->items())
        windowed.push_back(type.is_string() &&
                           type.string() == "sliding_attention");
    if (static_cast<int64_t>(windowed.size()) != layers_)
      c_.Fail(StatusCode::kInvalidArgument, "layer_types",
              absl::StrCat("of ", windowed.size(), " layers"),
              absl::StrCat("a list of ", layers_));
    out_.key_values.SetInt32s(Key("attention.sliding_window_pattern"),
                              windowed);
  }

  void Activation() {
    const bool gemma = out_.family->gemma;
    const char* field = gemma && c_.Has("hidden_activation")
                            ? "hidden_activation"
                            : "hidden_act";
    const std::string want = gemma ? "gelu_pytorch_tanh" : "silu";
    const std::string found = c_.String(field).value_or(want);
    if (found != want)
      c_.Fail(StatusCode::kUnimplemented, field, QuoteInput(found),
              QuoteInput(want));
  }

  JsonFields& c_;
  HfConfig& out_;
  int64_t width_ = 0, layers_ = 0, heads_ = 0, head_size_ = 0, context_ = 0;
  double base_ = 10000;
  std::optional<double> window_base_;
};

}  // namespace

absl::StatusOr<HfConfig> ReadHfConfig(JsonFields config, std::string name) {
  HfConfig out;
  const std::string type = config.String("model_type").value_or("");
  if (!config.status().ok()) return config.status();
  std::vector<absl::string_view> known;
  for (const HfFamily& family : kFamilies) {
    known.push_back(family.model_type);
    if (family.model_type == type) out.family = &family;
  }
  if (out.family == nullptr)
    return absl::UnimplementedError(absl::StrCat(
        config.source(), ": HF-3: model_type is ", QuoteInput(type),
        "; expected one of ", absl::StrJoin(known, ", "),
        "; others run from GGUF files"));
  out.key_values.SetString("general.architecture", out.family->architecture);
  out.key_values.SetString("general.name", name);
  // A model of text and pictures has its text part under a name of its own.
  JsonFields text = config.Has("text_config") ? config.Object("text_config")
                                              : std::move(config);
  Translator(text, out).Run();
  if (!text.status().ok()) return text.status();
  return out;
}

}  // namespace weft::inline v0
