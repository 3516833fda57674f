#include "tools/model_flags.h"

#include <filesystem>
#include <optional>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "graph/encode_row.h"
#include "graph/status_macros.h"
#include "tools/default_model.h"
#include "tools/machine.h"
#include "tools/terminal.h"

ABSL_FLAG(std::string, model, "",
          "the model: a GGUF file, any of several (-00001-of-0000N.gguf) that "
          "are one model, or a directory of safetensors with config.json; "
          "without it weft's own small model of children's stories");
ABSL_FLAG(std::string, target, "",
          "highest instruction set to use, such as AVX2; without it the best "
          "that the machine has");
ABSL_FLAG(std::string, numerics, "fast",
          "arithmetic before quantised weights: fast rounds activations to 8 "
          "bits (to bf16 where weights are bf16), exact keeps them in f32");
ABSL_FLAG(std::string, pack, "auto",
          "keep a copy of the weights in the form that kernels read fastest: "
          "on, off, or auto for on where memory has room for it. Results are "
          "the same, but those of f16 and bf16 weights on CPUs with AMX: sums "
          "are added up in another order, and with f16 of 16 bits of each "
          "activation");
ABSL_FLAG(std::string, pack_cache, "off",
          "a folder for a file that keeps that copy for the next start, as "
          "large as the copy; beside: the model's own folder; off: it is made "
          "at every start, in about 0.3 s a GB");
ABSL_FLAG(std::vector<std::string>, lora, {},
          "FILE or FILE:SCALE, a GGUF file of a LoRA adapter for the model, "
          "applied as it runs; may be given again, for several adapters");

namespace weft::inline v0 {

absl::StatusOr<std::string> ModelPath() {
  std::string path = absl::GetFlag(FLAGS_model);
  if (!path.empty()) return path;
  if (std::optional<std::string> own = DefaultModelPath()) {
    Say(absl::StrCat("no --model: weft's own, ", *own));
    return *own;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("which model? --model=FILE names it (weft's own, "
                   "share/weft/stories.gguf, is not beside this program); see ",
                   ProgramName(), " --help"));
}

std::vector<AdapterOptions> AdaptersFromFlags() {
  std::vector<AdapterOptions> adapters;
  for (const std::string& text : absl::GetFlag(FLAGS_lora)) {
    AdapterOptions& adapter = adapters.emplace_back();
    const size_t colon = text.find_last_of(':');
    // A path may have colons; what follows the last is a scale if it is a
    // number.
    const bool scaled =
        colon != text.npos &&
        absl::SimpleAtof(text.substr(colon + 1), &adapter.scale);
    adapter.path = scaled ? text.substr(0, colon) : text;
    if (!scaled) adapter.scale = 1;
  }
  return adapters;
}

namespace {

absl::StatusOr<std::shared_ptr<const Model>> OpenModel() {
  WEFT_ASSIGN_OR_RETURN(const std::string path, ModelPath());
  LoadOptions options;
  options.adapters = AdaptersFromFlags();
  WEFT_ASSIGN_OR_RETURN(std::shared_ptr<const Model> model,
                        Model::Load(path, options));
  ShowWarnings(model->file().warnings());
  ShowWarnings(model->tokenizer().warnings());
  return model;
}

absl::Status TouchPages(const Model& model) {
  Progress progress("loading");
  return model.TouchPages(
      [&progress](double share) { progress.Update(share); });
}

// Whether such a session of the model should pack its weights.
absl::StatusOr<bool> ShouldPack(PackWhen when, const Model& model,
                                SessionOptions options) {
  if (when != PackWhen::kIfThereIsRoom) return when == PackWhen::kAlways;
  // A copy is not larger than the weights. Where that is little, whatever else
  // the session takes makes no difference, and is not worth a graph.
  constexpr int64_t kLittle = 64;
  int64_t weights = 0;
  for (const GgufTensor& tensor : model.file().tensors())
    weights += static_cast<int64_t>(tensor.bytes);
  if (HasRoomFor(kLittle * weights)) return true;
  options.pack_weights = true;
  WEFT_ASSIGN_OR_RETURN(const MemoryEstimate needs, model.Estimate(options));
  return HasRoomFor(needs.packed + needs.session.total());
}

// What --pack_cache means, as SessionOptions::pack_cache.
std::string PackCacheFor(const Model& model) {
  std::string folder = absl::GetFlag(FLAGS_pack_cache);
  if (folder == "off") return "";
  if (folder != "beside") return folder;
  const auto files = model.file().files();
  folder = std::filesystem::path(files.front()).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Model>> LoadModel() {
  WEFT_ASSIGN_OR_RETURN(std::shared_ptr<const Model> model, OpenModel());
  WEFT_RETURN_IF_ERROR(TouchPages(*model));
  return model;
}

absl::StatusOr<std::shared_ptr<const Model>> LoadModelFor(
    SessionOptions& options) {
  // Here already, so that nobody waits for a model to be told.
  WEFT_ASSIGN_OR_RETURN(const PackWhen when, PackFromFlags());
  if (absl::GetFlag(FLAGS_pack_cache).empty())
    return absl::InvalidArgumentError(
        "--pack_cache is empty; expected a folder, beside or off");
  WEFT_ASSIGN_OR_RETURN(std::shared_ptr<const Model> model, OpenModel());
  WEFT_ASSIGN_OR_RETURN(options.pack_weights,
                        ShouldPack(when, *model, options));
  options.pack_cache = PackCacheFor(*model);
  if (!options.pack_weights) WEFT_RETURN_IF_ERROR(TouchPages(*model));
  return model;
}

void ShowWarnings(absl::Span<const std::string> warnings) {
  constexpr size_t kShown = 8;
  for (const std::string& warning : warnings.subspan(0, kShown)) Warn(warning);
  if (warnings.size() > kShown)
    Warn(absl::StrCat("... and ", warnings.size() - kShown, " more"));
}

absl::StatusOr<Numerics> NumericsFromFlags() {
  const std::string text = absl::GetFlag(FLAGS_numerics);
  if (text == "fast") return Numerics::kFast;
  if (text == "exact") return Numerics::kExact;
  return absl::InvalidArgumentError(
      absl::StrCat("--numerics is \"", text, "\"; expected fast or exact"));
}

absl::StatusOr<PackWhen> PackFromFlags() {
  const std::string text = absl::GetFlag(FLAGS_pack);
  if (text == "on") return PackWhen::kAlways;
  if (text == "off") return PackWhen::kNever;
  if (text == "auto") return PackWhen::kIfThereIsRoom;
  return absl::InvalidArgumentError(
      absl::StrCat("--pack is \"", text, "\"; expected on, off or auto"));
}

namespace {

std::optional<DType> FindKvType(absl::string_view name) {
  for (const DTypeInfo& info : AllDTypes())
    if (CanEncodeRow(info.type) && info.name == name) return info.type;
  return std::nullopt;
}

}  // namespace

absl::StatusOr<KvTypes> ParseKv(absl::string_view text) {
  const std::vector<absl::string_view> names = absl::StrSplit(text, ',');
  const auto k = FindKvType(names.front());
  const auto v = FindKvType(names.back());
  if (names.size() <= 2 && k.has_value() && v.has_value())
    return KvTypes{*k, *v};
  return absl::InvalidArgumentError(
      absl::StrCat("--kv is \"", text,
                   "\"; expected f32, f16, bf16, q8_0 or q4_0, or two of "
                   "them as K,V"));
}

absl::Status CheckFlag(absl::string_view flag, int64_t value, int64_t low,
                       int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " is ", value,
                                                 "; expected a number from ",
                                                 low, " to ", high));
}

}  // namespace weft::inline v0
