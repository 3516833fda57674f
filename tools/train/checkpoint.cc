#include "tools/train/checkpoint.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "graph/status_macros.h"
#include "models/gguf.h"
#include "models/gguf_writer.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

constexpr char kSettings[] = "train.settings";
constexpr char kStep[] = "train.step";
constexpr char kCurve[] = "train.curve";

absl::Status Misfit(const std::string& path, absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(
      path, ": ", what,
      "; --resume goes on with the same model, corpus and flags alone"));
}

absl::Status CheckSettings(const GgufFile& file,
                           const std::vector<std::string>& settings) {
  if (!file.Has(kSettings))
    return Misfit(file.source(), "the file is no checkpoint of weft-train");
  WEFT_ASSIGN_OR_RETURN(const std::vector<absl::string_view> found,
                        file.GetStrings(kSettings));
  for (size_t i = 0; i < settings.size() || i < found.size(); ++i) {
    const absl::string_view here =
        i < settings.size() ? settings[i] : absl::string_view("nothing");
    const absl::string_view there = i < found.size() ? found[i] : "nothing";
    if (here != there)
      return Misfit(
          file.source(),
          absl::StrCat("the checkpoint is of a run with ", QuoteInput(there),
                       ", this one has ", QuoteInput(here)));
  }
  return absl::OkStatus();
}

// A tensor of exactly these dims; null for any number of rows.
absl::StatusOr<const GgufTensor*> Find(const GgufFile& file,
                                       absl::string_view name,
                                       absl::Span<const int64_t> dims) {
  const GgufTensor* tensor = file.FindTensor(name);
  const auto text = [](absl::Span<const int64_t> d) {
    return absl::StrCat("[", absl::StrJoin(d, ","), "]");
  };
  if (tensor == nullptr || tensor->dtype != DType::kF32 || tensor->dims != dims)
    return Misfit(
        file.source(),
        absl::StrCat("tensor ", QuoteInput(name), " is ",
                     tensor == nullptr ? "missing"
                                       : absl::StrCat(Name(tensor->dtype),
                                                      text(tensor->dims)),
                     "; expected f32", text(dims)));
  return tensor;
}

}  // namespace

absl::Status WriteCheckpoint(const std::string& path,
                             const GgufKeyValues& model,
                             const CheckpointContents& contents,
                             absl::Span<const StateRows> states,
                             absl::Span<const std::byte> bytes) {
  GgufKeyValues kv = model;
  kv.SetStrings(kSettings, contents.settings);
  kv.SetUint32(kStep, static_cast<uint32_t>(contents.curve.size()));
  std::vector<NewGgufTensor> tensors;
  for (const StateRows& state : states)
    tensors.push_back({state.name, DType::kF32, state.dims});
  tensors.push_back(
      {kCurve,
       DType::kF32,
       {static_cast<int64_t>(contents.curve.size()), kCurveColumns}});
  WEFT_ASSIGN_OR_RETURN(GgufWriter writer,
                        GgufWriter::Create(path, kv, tensors));
  WEFT_RETURN_IF_ERROR(writer.Reserve());
  for (const StateRows& state : states)
    WEFT_RETURN_IF_ERROR(
        writer.Write(bytes.subspan(state.offset, state.bytes)));
  WEFT_RETURN_IF_ERROR(writer.Write(absl::MakeConstSpan(
      reinterpret_cast<const std::byte*>(contents.curve.data()),
      contents.curve.size() * sizeof(CurvePoint))));
  return writer.Commit();
}

absl::StatusOr<std::vector<CurvePoint>> ReadCheckpoint(
    const std::string& path, const std::vector<std::string>& settings,
    absl::Span<const StateRows> states, absl::Span<std::byte> bytes) {
  WEFT_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::Open(path));
  WEFT_RETURN_IF_ERROR(CheckSettings(file, settings));
  for (const StateRows& state : states) {
    WEFT_ASSIGN_OR_RETURN(const GgufTensor* const tensor,
                          Find(file, state.name, state.dims));
    std::memcpy(bytes.data() + state.offset, tensor->data.data(), state.bytes);
  }
  WEFT_ASSIGN_OR_RETURN(const uint32_t steps, file.GetUint32(kStep));
  WEFT_ASSIGN_OR_RETURN(const GgufTensor* const tensor,
                        Find(file, kCurve, {int64_t{steps}, kCurveColumns}));
  std::vector<CurvePoint> curve(steps);
  if (steps > 0)
    std::memcpy(curve.data(), tensor->data.data(), steps * sizeof(CurvePoint));
  return curve;
}

}  // namespace weft::inline v0
