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

struct SynthPreset {
  absl::string_view name;
  int64_t layers, width, heads, kv_heads, ff, context, vocab;
  float rope_base;
};
constexpr SynthPreset kPresets[] = {
    {"tinyllama-1.1b", 22, 2048, 32, 4, 5632, 2048, 32000, 10000},
    {"llama3-8b", 32, 4096, 32, 8, 14336, 8192, 128256, 500000},
    {"llama3-70b", 80, 8192, 64, 8, 28672, 8192, 128256, 500000},
    // Rows of whole blocks of 256, all else as small as can be.
    {"tiny", 4, 256, 4, 2, 768, 512, 1024, 10000},
};

int64_t Elements(const SynthTensor& tensor) {
  int64_t n = 1;
  for (const int64_t dim : tensor.dims) n *= dim;
  return n;
}

void AddModelKeys(const SynthModel& m, const SynthShape& shape,
                  const SynthOptions& options, GgufKeyValues& kv) {
  kv.SetString("general.architecture", m.arch);
  kv.SetString("general.type", "model");
  kv.SetString("general.name",
               absl::StrCat("synthetic ", m.name, ", seed ", options.seed));
  kv.SetAll(shape.keys);
  kv.SetUint32(absl::StrCat(m.arch, ".vocab_size"),
               static_cast<uint32_t>(m.vocab));
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
  job.rows = Elements(tensor) / job.row_length;
  const uint64_t key = StreamKey(options.seed, tensor.name);
  const auto source = [&](int64_t first, absl::Span<float> out) {
    FillNormal({key, static_cast<uint64_t>(first * job.row_length), tensor.mean,
                tensor.spread},
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
      return SynthModel{std::string(p.name), p.layers,   p.width,   p.heads,
                        p.kv_heads,          p.ff,       p.context, p.vocab,
                        /*experts=*/0,       p.rope_base};
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
  WEFT_RETURN_IF_ERROR(CheckRange("experts", m.experts, 0, 1024));
  if (m.heads % m.kv_heads != 0)
    return absl::InvalidArgumentError(
        absl::StrCat("--kv_heads is ", m.kv_heads,
                     "; expected a divisor of the ", m.heads, " --heads"));
  if (m.width % (2 * m.heads) != 0)
    return absl::InvalidArgumentError(
        absl::StrCat("--width is ", m.width, "; expected a multiple of 2 x ",
                     m.heads, " --heads: heads have an even size"));
  return ShapeOf(m).status();
}

int64_t SynthValues(const SynthModel& model) {
  const auto shape = ShapeOf(model);
  if (!shape.ok()) return 0;
  int64_t n = 0;
  for (const SynthTensor& tensor : shape->tensors) n += Elements(tensor);
  return n;
}

absl::StatusOr<SynthSummary> WriteSynth(const std::string& path,
                                        SynthModel model,
                                        const SynthOptions& options,
                                        const EncodeContext& context) {
  WEFT_ASSIGN_OR_RETURN(const SynthShape parts, ShapeOf(model));
  GgufKeyValues key_values;
  AddModelKeys(model, parts, options, key_values);
  if (options.vocab_from != nullptr) {
    WEFT_RETURN_IF_ERROR(CopyVocab(*options.vocab_from, key_values));
  } else {
    MakeSynthVocab(model.vocab, options.seed).AddTo(key_values);
  }

  const std::vector<SynthTensor>& tensors = parts.tensors;
  MixtureModel shape;
  shape.layers = model.layers;
  shape.heads_per_group = model.heads / model.kv_heads;
  shape.experts = parts.experts;
  shape.has_output = tensors.back().name == "output.weight";
  SynthSummary summary;
  std::vector<NewGgufTensor> table;
  for (const SynthTensor& tensor : tensors) {
    const DType type =
        IsQuantizable(tensor.name, tensor.dims)
            ? TypeFor(options.mixture, shape, tensor.name, tensor.dims)
            : DType::kF32;
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
