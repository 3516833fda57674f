#include "tools/train/train_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/input_error.h"
#include "tools/mixture.h"
#include "tools/normal.h"
#include "tools/synth.h"

namespace weft::inline v0 {
namespace {

constexpr float kSpread = 0.02f;

absl::Status MakeFile(TrainModel& model, const std::string& source) {
  WEFT_ASSIGN_OR_RETURN(
      model.header, MakeGgufHeader(model.key_values, model.tensors, source));
  WEFT_ASSIGN_OR_RETURN(GgufFile file, ParseHeader(model.header, source));
  model.file = std::make_shared<const GgufFile>(std::move(file));
  return absl::OkStatus();
}

// What GPT-2 would give a tensor that weft-synth gives `tensor`'s spread, which
// is a gain over sqrt(columns): below 1 for what adds to the residual stream.
float FirstSpread(const SynthTensor& tensor) {
  if (tensor.dims.size() < 2 || tensor.mean != 0) return 0;
  const float gain =
      tensor.spread * std::sqrt(static_cast<float>(tensor.dims.back()));
  return kSpread * std::min(gain, 1.0f);
}

}  // namespace

absl::StatusOr<GgufFile> ParseHeader(const std::string& header,
                                     std::string source) {
  const auto* bytes = reinterpret_cast<const std::byte*>(header.data());
  return GgufFile::Parse(absl::MakeConstSpan(bytes, header.size()),
                         std::move(source), {.header_only = true});
}

absl::StatusOr<std::unique_ptr<TrainModel>> MakeNewModel(
    const NewModelOptions& options) {
  const SynthModel& m = options.shape;
  WEFT_RETURN_IF_ERROR(CheckSynthModel(m));
  WEFT_ASSIGN_OR_RETURN(SynthShape shape, ShapeOf(m));
  if (options.tied && shape.tensors.back().name == "output.weight")
    shape.tensors.pop_back();
  auto model = std::make_unique<TrainModel>();
  GgufKeyValues& kv = model->key_values;
  kv.SetString("general.architecture", m.arch);
  kv.SetString("general.type", "model");
  kv.SetString("general.name", m.name);
  kv.SetAll(shape.keys);
  kv.SetUint32(absl::StrCat(m.arch, ".vocab_size"),
               static_cast<uint32_t>(m.vocab));
  kv.SetAll(options.vocab);
  for (const SynthTensor& tensor : shape.tensors)
    model->tensors.push_back({tensor.name, DType::kF32, tensor.dims});
  model->values = [tensors = std::move(shape.tensors), seed = options.seed](
                      size_t i, absl::Span<float> out) {
    const SynthTensor& tensor = tensors[i];
    FillNormal(
        {StreamKey(seed, tensor.name), 0, tensor.mean, FirstSpread(tensor)},
        out);
  };
  WEFT_RETURN_IF_ERROR(MakeFile(*model, m.name));
  return model;
}

absl::StatusOr<std::unique_ptr<TrainModel>> ContinueModel(
    const GgufFile& file) {
  auto model = std::make_unique<TrainModel>();
  WEFT_ASSIGN_OR_RETURN(model->key_values, GgufKeyValues::CopyOf(file));
  for (const char* key : {"general.file_type", "general.quantization_version",
                          "split.no", "split.count", "split.tensors.count"})
    model->key_values.Remove(key);
  for (const GgufTensor& tensor : file.tensors()) {
    if (!IsDecodable(tensor.dtype))
      return absl::UnimplementedError(
          absl::StrCat(file.source(), ": tensor ", QuoteInput(tensor.name),
                       ": weft cannot decode ", Name(tensor.dtype), " yet"));
    model->tensors.push_back({std::string(tensor.name),
                              DType::kF32,
                              {tensor.dims.begin(), tensor.dims.end()}});
  }
  model->values = [&file](size_t i, absl::Span<float> out) {
    const GgufTensor& tensor = file.tensors()[i];
    const DTypeInfo& type = Info(tensor.dtype);
    type.decode(tensor.data.data(),
                static_cast<int64_t>(out.size()) / type.block_values,
                out.data());
    file.Release(tensor.data);
  };
  model->source = &file;
  WEFT_RETURN_IF_ERROR(MakeFile(*model, file.source()));
  return model;
}

absl::StatusOr<std::unique_ptr<TrainModel>> MakeAdapter(
    const GgufFile& base, const NewAdapterOptions& options) {
  auto model = std::make_unique<TrainModel>();
  model->source = &base;
  model->is_adapter = true;
  WEFT_ASSIGN_OR_RETURN(const absl::string_view architecture,
                        base.GetString("general.architecture"));
  GgufKeyValues& kv = model->key_values;
  kv.SetString("general.type", "adapter");
  kv.SetString("general.architecture", architecture);
  kv.SetString("adapter.type", "lora");
  kv.SetFloat("adapter.lora.alpha", options.alpha);
  for (const GgufTensor& tensor : base.tensors()) {
    const bool experts =
        tensor.dims.size() == 3 && absl::StrContains(tensor.name, "_exps.");
    if (!absl::StartsWith(tensor.name, "blk.") ||
        !IsQuantizable(tensor.name, tensor.dims) ||
        (tensor.dims.size() != 2 && !experts))
      continue;
    // Both halves have a part for each expert.
    std::vector<int64_t> a(tensor.dims.begin(), tensor.dims.end()), b = a;
    a[a.size() - 2] = options.rank;
    b.back() = options.rank;
    model->tensors.push_back(
        {absl::StrCat(tensor.name, ".lora_a"), DType::kF32, a});
    model->tensors.push_back(
        {absl::StrCat(tensor.name, ".lora_b"), DType::kF32, b});
  }
  if (model->tensors.empty())
    return absl::InvalidArgumentError(absl::StrCat(
        base.source(), ": the model has no matrices in its layers (blk.*)"));
  model->values = [m = model.get(), seed = options.seed](
                      size_t i, absl::Span<float> out) {
    const NewGgufTensor& tensor = m->tensors[i];
    const auto columns = static_cast<float>(tensor.dims.back());
    const float spread =
        absl::EndsWith(tensor.name, ".lora_a") ? 1 / std::sqrt(columns) : 0;
    FillNormal({StreamKey(seed, tensor.name), 0, 0, spread}, out);
  };
  WEFT_RETURN_IF_ERROR(MakeFile(*model, "the adapter"));
  return model;
}

}  // namespace weft::inline v0
