#include "tools/synth.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/gguf_key_values.h"
#include "models/gguf_writer.h"
#include "models/input_error.h"
#include "tools/normal.h"
#include "tools/synth_vocab.h"

namespace weft::inline v0 {
namespace {

// What llama.cpp writes for formats as they are since 2023.
constexpr uint32_t kQuantizationVersion = 2;
constexpr float kEps = 1e-5f;
constexpr float kNormSpread = 0.1f;  // of norm weights, around 1
// So that logits differ enough for text that is not all one token.
constexpr float kOutputGain = 2;

struct SynthPreset {
  absl::string_view name;
  int64_t layers, width, heads, kv_heads, ff, context, vocab;
  float rope_base;
};
constexpr SynthPreset kPresets[] = {
    {"tinyllama-1.1b", 22, 2048, 32, 4, 5632, 2048, 32000, 10000},
    {"llama3-8b", 32, 4096, 32, 8, 14336, 8192, 128256, 500000},
    // Rows of whole blocks of 256, all else as small as can be.
    {"tiny", 4, 256, 4, 2, 768, 512, 1024, 10000},
};

struct SynthTensor {
  std::string name;
  std::vector<int64_t> dims;  // one for a norm
  float gain = 1;

  bool is_norm() const { return dims.size() == 1; }
};

class TensorList {
 public:
  explicit TensorList(const SynthModel& m) {
    // Layers add up in the residual stream: the more there are, the less each.
    const float residual = 1 / std::sqrt(2 * static_cast<float>(m.layers));
    const int64_t kv_width = m.kv_heads * m.head_size();
    // A row of the table is looked up, not summed over: values of variance 1.
    Add("token_embd.weight", m.vocab, m.width,
        std::sqrt(static_cast<float>(m.width)));
    for (int64_t layer = 0; layer < m.layers; ++layer) {
      prefix_ = absl::StrCat("blk.", layer, ".");
      AddNorm("attn_norm.weight", m.width);
      Add("attn_q.weight", m.width, m.width);
      Add("attn_k.weight", kv_width, m.width);
      Add("attn_v.weight", kv_width, m.width);
      Add("attn_output.weight", m.width, m.width, residual);
      AddNorm("ffn_norm.weight", m.width);
      Add("ffn_gate.weight", m.ff, m.width);
      Add("ffn_up.weight", m.ff, m.width);
      Add("ffn_down.weight", m.width, m.ff, residual);
    }
    prefix_.clear();
    AddNorm("output_norm.weight", m.width);
    Add("output.weight", m.vocab, m.width, kOutputGain);
  }

  std::vector<SynthTensor> tensors;

 private:
  void Add(const char* name, int64_t rows, int64_t columns, float gain = 1) {
    tensors.push_back({absl::StrCat(prefix_, name), {rows, columns}, gain});
  }
  void AddNorm(const char* name, int64_t n) {
    tensors.push_back({absl::StrCat(prefix_, name), {n}});
  }
  std::string prefix_;
};

int64_t Elements(const SynthTensor& tensor) {
  int64_t n = 1;
  for (const int64_t dim : tensor.dims) n *= dim;
  return n;
}

void AddModelKeys(const SynthModel& m, const SynthOptions& options,
                  GgufKeyValues& kv) {
  const auto set = [&kv](const char* key, int64_t value) {
    kv.SetUint32(absl::StrCat("llama.", key), static_cast<uint32_t>(value));
  };
  kv.SetString("general.architecture", "llama");
  kv.SetString("general.type", "model");
  kv.SetString("general.name",
               absl::StrCat("synthetic ", m.name, ", seed ", options.seed));
  set("block_count", m.layers);
  set("context_length", m.context);
  set("embedding_length", m.width);
  set("feed_forward_length", m.ff);
  set("attention.head_count", m.heads);
  set("attention.head_count_kv", m.kv_heads);
  kv.SetFloat("llama.rope.freq_base", m.rope_base);
  kv.SetFloat("llama.attention.layer_norm_rms_epsilon", kEps);
  set("rope.dimension_count", m.head_size());
  set("vocab_size", m.vocab);
  if (options.mixture.file_type)
    kv.SetUint32("general.file_type", *options.mixture.file_type);
  kv.SetUint32("general.quantization_version", kQuantizationVersion);
}

absl::Status CopyVocab(const GgufFile& from, GgufKeyValues& key_values) {
  for (const absl::string_view key : from.keys())
    if (absl::StartsWith(key, "tokenizer."))
      WEFT_RETURN_IF_ERROR(key_values.Copy(from, key));
  return absl::OkStatus();
}

absl::Status WriteTensor(const SynthTensor& tensor, DType type,
                         const SynthOptions& options,
                         const EncodeContext& context, GgufWriter& writer) {
  EncodeJob job;
  job.type = type;
  job.row_length = tensor.dims.back();
  job.rows = tensor.is_norm() ? 1 : tensor.dims[0];
  const float spread =
      tensor.is_norm()
          ? kNormSpread
          : tensor.gain / std::sqrt(static_cast<float>(job.row_length));
  const float mean = tensor.is_norm() ? 1.0f : 0.0f;
  const uint64_t key = StreamKey(options.seed, tensor.name);
  const auto source = [&](int64_t first, absl::Span<float> out) {
    FillNormal(
        {key, static_cast<uint64_t>(first * job.row_length), mean, spread},
        out);
  };
  return EncodeTensor(job, context, source,
                      [&writer](absl::Span<const std::byte> bytes) {
                        return writer.Write(bytes);
                      })
      .status();
}

absl::Status CheckRange(const char* flag, int64_t value, int64_t low,
                        int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " is ", value,
                                                 "; expected a number from ",
                                                 low, " to ", high));
}

}  // namespace

std::string SynthPresetNames() {
  std::string names;
  for (const SynthPreset& preset : kPresets)
    absl::StrAppend(&names, names.empty() ? "" : ", ", preset.name);
  return names;
}

absl::StatusOr<SynthModel> FindSynthPreset(absl::string_view name) {
  for (const SynthPreset& p : kPresets)
    if (p.name == name)
      return SynthModel{std::string(p.name), p.layers, p.width,   p.heads,
                        p.kv_heads,          p.ff,     p.context, p.vocab,
                        p.rope_base};
  return absl::InvalidArgumentError(absl::StrCat(
      "--preset is ", QuoteInput(name), "; expected ", SynthPresetNames()));
}

absl::Status CheckSynthModel(const SynthModel& m) {
  WEFT_RETURN_IF_ERROR(CheckRange("layers", m.layers, 1, 512));
  WEFT_RETURN_IF_ERROR(CheckRange("width", m.width, 2, 1 << 17));
  WEFT_RETURN_IF_ERROR(CheckRange("heads", m.heads, 1, m.width / 2));
  WEFT_RETURN_IF_ERROR(CheckRange("kv_heads", m.kv_heads, 1, m.heads));
  WEFT_RETURN_IF_ERROR(CheckRange("ff", m.ff, 1, 1 << 19));
  WEFT_RETURN_IF_ERROR(CheckRange("context", m.context, 1, 1 << 24));
  WEFT_RETURN_IF_ERROR(
      CheckRange("vocab_size", m.vocab, kMinSynthVocab, 1 << 22));
  if (m.heads % m.kv_heads != 0)
    return absl::InvalidArgumentError(
        absl::StrCat("--kv_heads is ", m.kv_heads,
                     "; expected a divisor of the ", m.heads, " --heads"));
  if (m.width % (2 * m.heads) != 0)
    return absl::InvalidArgumentError(
        absl::StrCat("--width is ", m.width, "; expected a multiple of 2 x ",
                     m.heads, " --heads: heads have an even size"));
  return absl::OkStatus();
}

int64_t SynthValues(const SynthModel& model) {
  int64_t n = 0;
  for (const SynthTensor& tensor : TensorList(model).tensors)
    n += Elements(tensor);
  return n;
}

absl::StatusOr<SynthSummary> WriteSynth(const std::string& path,
                                        SynthModel model,
                                        const SynthOptions& options,
                                        const EncodeContext& context) {
  GgufKeyValues key_values;
  AddModelKeys(model, options, key_values);
  if (options.vocab_from != nullptr) {
    WEFT_RETURN_IF_ERROR(CopyVocab(*options.vocab_from, key_values));
  } else {
    MakeSynthVocab(model.vocab, options.seed).AddTo(key_values);
  }

  const std::vector<SynthTensor> tensors = TensorList(model).tensors;
  const MixtureModel shape = {.layers = model.layers,
                              .heads_per_group = model.heads / model.kv_heads};
  SynthSummary summary;
  std::vector<NewGgufTensor> table;
  for (const SynthTensor& tensor : tensors) {
    const DType type = tensor.is_norm() ? DType::kF32
                                        : TypeFor(options.mixture, shape,
                                                  tensor.name, tensor.dims);
    table.push_back({tensor.name, type, tensor.dims});
    const int64_t elements = Elements(tensor);
    summary.parameters += elements;
    summary.data_bytes += static_cast<uint64_t>(*RowBytes(type, elements));
  }
  WEFT_ASSIGN_OR_RETURN(GgufWriter writer,
                        GgufWriter::Create(path, key_values, table));
  summary.file_bytes = writer.file_bytes();
  if (!options.header_only) WEFT_RETURN_IF_ERROR(writer.Reserve());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (options.header_only) {
      const int64_t bytes = *RowBytes(table[i].dtype, Elements(tensors[i]));
      WEFT_RETURN_IF_ERROR(writer.WriteZeros(static_cast<uint64_t>(bytes)));
    } else {
      WEFT_RETURN_IF_ERROR(
          WriteTensor(tensors[i], table[i].dtype, options, context, writer));
    }
  }
  WEFT_RETURN_IF_ERROR(writer.Commit());
  return summary;
}

}  // namespace weft::inline v0
