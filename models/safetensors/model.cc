#include "models/safetensors/model.h"

#include <filesystem>
#include <memory>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/hash.h"
#include "graph/status_macros.h"
#include "models/gguf_writer.h"
#include "models/input_error.h"
#include "models/safetensors/config.h"
#include "models/safetensors/file.h"
#include "models/safetensors/json_fields.h"
#include "models/safetensors/names.h"
#include "models/safetensors/tokenizer.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr char kSingle[] = "model.safetensors";
constexpr char kIndex[] = "model.safetensors.index.json";

absl::Status HfError(StatusCode code, absl::string_view source,
                     absl::string_view id, absl::string_view what,
                     absl::string_view found, absl::string_view expected) {
  return absl::Status(code, absl::StrCat(source, ": ", id, ": ", what, " is ",
                                         found, "; expected ", expected));
}

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

absl::StatusOr<JsonFields> ReadJson(const std::string& path,
                                    std::vector<std::string>& files) {
  WEFT_ASSIGN_OR_RETURN(const FileMapping mapping, FileMapping::Open(path));
  files.push_back(path);
  const auto bytes = mapping.bytes();
  return JsonFields::Parse(
      {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

// What keeps the data of a described model: mapped files and copied vectors.
struct Storage {
  std::vector<SafetensorsFile> files;
  std::vector<std::unique_ptr<std::vector<float>>> vectors;
};

class Opener {
 public:
  Opener(std::string directory, const GgufOptions& options)
      : directory_(std::move(directory)), options_(options) {}

  absl::StatusOr<GgufFile> Run() {
    WEFT_ASSIGN_OR_RETURN(JsonFields json,
                          ReadJson(Path("config.json"), files_));
    WEFT_ASSIGN_OR_RETURN(config_, ReadHfConfig(std::move(json), BaseName()));
    WEFT_RETURN_IF_ERROR(OpenFiles());
    WEFT_RETURN_IF_ERROR(AddTensors());
    WEFT_RETURN_IF_ERROR(AddTokenizer());
    WEFT_ASSIGN_OR_RETURN(
        std::string header,
        MakeGgufHeader(config_.key_values, tensors_, directory_));
    std::vector<std::string> files = {directory_};
    files.insert(files.end(), files_.begin(), files_.end());
    uint64_t copied = 0;
    for (const SafetensorsFile& file : storage_->files)
      copied += file.copied_bytes();
    return GgufFile::Describe(std::move(header), data_, std::move(files),
                              config_.warnings, storage_, copied);
  }

 private:
  std::string Path(absl::string_view name) const {
    return absl::StrCat(directory_, "/", name);
  }
  // "" for a directory that is gone.
  std::string BaseName() const {
    std::error_code error;
    return std::filesystem::absolute(Path("."), error)
        .parent_path()
        .filename()
        .string();
  }

  absl::Status OpenFile(const std::string& name) {
    const std::string path = Path(name);
    auto file = SafetensorsFile::Open(
        path, {.header_only = options_.header_only,
               .read_into_memory = options_.read_into_memory,
               .watch = options_.watch});
    if (!file.ok()) return file.status();
    files_.push_back(path);
    storage_->files.push_back(*std::move(file));
    return absl::OkStatus();
  }

  absl::Status OpenFiles() {
    if (Exists(Path(kIndex))) return OpenIndexed();
    if (Exists(Path(kSingle))) return OpenFile(kSingle);
    return HfError(StatusCode::kNotFound, directory_, "HF-4", kSingle,
                   "missing",
                   absl::StrCat("it or ", kIndex,
                                "; other kinds of weights are not read"));
  }

  absl::Status OpenIndexed() {
    WEFT_ASSIGN_OR_RETURN(JsonFields index, ReadJson(Path(kIndex), files_));
    const JsonFields map = index.Object("weight_map");
    WEFT_RETURN_IF_ERROR(index.status());
    std::set<std::string> names;  // sorted, as they are numbered
    HashMap<std::string, std::string> home;
    for (const auto& [tensor, file] : map.value().members()) {
      const std::string name = file.is_string() ? file.string() : "";
      if (name.empty() || name.find('/') != name.npos || name[0] == '.')
        return HfError(StatusCode::kInvalidArgument, index.source(), "HF-4",
                       absl::StrCat("the file of ", QuoteInput(tensor)),
                       QuoteInput(name), "the name of a file beside it");
      names.insert(name);
      home[tensor] = name;
    }
    if (names.empty())
      return HfError(StatusCode::kInvalidArgument, index.source(), "HF-4",
                     "weight_map", "missing or empty", "a file of each tensor");
    if (options_.watch != nullptr)
      options_.watch->ExpectFiles(static_cast<int64_t>(names.size()));
    for (const std::string& name : names) WEFT_RETURN_IF_ERROR(OpenFile(name));
    return CheckHomes(home);
  }

  // Every tensor of the index is in its file, and no other is.
  absl::Status CheckHomes(const HashMap<std::string, std::string>& home) {
    size_t found = 0;
    for (const SafetensorsFile& file : storage_->files)
      for (const SafeTensor& tensor : file.tensors()) {
        const auto at = home.find(tensor.name);
        if (at == home.end() || Path(at->second) != file.source())
          return HfError(StatusCode::kInvalidArgument, file.source(), "HF-4",
                         absl::StrCat("tensor ", QuoteInput(tensor.name)),
                         "in this file",
                         at == home.end() ? "no tensor that the index lacks"
                                          : "it in " + at->second);
        ++found;
      }
    if (found == home.size()) return absl::OkStatus();
    return HfError(StatusCode::kNotFound, Path(kIndex), "HF-4",
                   absl::StrCat(home.size() - found, " of its tensors"),
                   "in none of its files", "all of them");
  }

  absl::Status AddTensors() {
    HashMap<std::string, std::string> seen;  // ours to theirs
    size_t unneeded = 0;
    for (const SafetensorsFile& file : storage_->files)
      for (const SafeTensor& tensor : file.tensors()) {
        const auto name = TranslateName(tensor.name, config_.family->gemma);
        if (!name.has_value())
          return HfError(StatusCode::kUnimplemented, file.source(), "HF-6",
                         absl::StrCat("tensor ", QuoteInput(tensor.name)),
                         "unknown",
                         absl::StrCat("those of ", config_.family->model_type));
        // A tied output is stored again by some.
        if (name->name.empty() ||
            (config_.tied && name->name == "output.weight")) {
          unneeded += name->name.empty();
          continue;
        }
        const auto [at, is_new] = seen.try_emplace(name->name, tensor.name);
        if (!is_new)
          return HfError(
              StatusCode::kAlreadyExists, file.source(), "HF-5",
              absl::StrCat("tensor ", QuoteInput(tensor.name)),
              absl::StrCat("what ", QuoteInput(at->second), " is already"),
              "each once");
        WEFT_RETURN_IF_ERROR(AddTensor(file, tensor, *name));
      }
    if (unneeded > 0)
      config_.warnings.push_back(
          absl::StrCat(directory_, ": ", unneeded,
                       " tensors are no part of the text model; not read"));
    if (config_.untied && !seen.contains("output.weight"))
      return HfError(StatusCode::kNotFound, directory_, "HF-4",
                     "lm_head.weight", "missing",
                     "it where tie_word_embeddings is false");
    if (!config_.rope_factors.empty())
      AddVector("rope_freqs.weight", config_.rope_factors);
    return absl::OkStatus();
  }

  absl::Status AddTensor(const SafetensorsFile& file, const SafeTensor& tensor,
                         const TranslatedName& name) {
    if (tensor.dtype == DType::kUnknown)
      return HfError(StatusCode::kUnimplemented, file.source(), "HF-6",
                     absl::StrCat("type of ", QuoteInput(tensor.name)),
                     tensor.type, "F32, F16 or BF16");
    if (tensor.dims.empty() || tensor.dims.size() > 4)
      return HfError(StatusCode::kUnimplemented, file.source(), "HF-6",
                     absl::StrCat("rank of ", QuoteInput(tensor.name)),
                     absl::StrCat(tensor.dims.size()), "1 to 4 dimensions");
    const bool shifted = name.is_norm && config_.family->gemma;
    if (tensor.dims.size() > 1) {
      tensors_.push_back({name.name, tensor.dtype, tensor.dims});
      data_.push_back(tensor.data);
      return absl::OkStatus();
    }
    std::vector<float> values(static_cast<size_t>(tensor.dims[0]));
    // All of these have one value in a block.
    if (!tensor.data.empty())
      Info(tensor.dtype)
          .decode(tensor.data.data(), tensor.dims[0], values.data());
    if (shifted)
      for (float& value : values) value += 1;
    AddVector(name.name, std::move(values));
    return absl::OkStatus();
  }

  void AddVector(const std::string& name, std::vector<float> values) {
    auto kept = std::make_unique<std::vector<float>>(std::move(values));
    tensors_.push_back(
        {name, DType::kF32, {static_cast<int64_t>(kept->size())}});
    data_.push_back(absl::MakeConstSpan(
        reinterpret_cast<const std::byte*>(kept->data()), kept->size() * 4));
    storage_->vectors.push_back(std::move(kept));
  }

  absl::Status AddTokenizer() {
    if (!Exists(Path("tokenizer.json"))) return absl::OkStatus();
    HfTokenizerFiles from;
    WEFT_ASSIGN_OR_RETURN(from.tokenizer,
                          ReadJson(Path("tokenizer.json"), files_));
    if (Exists(Path("tokenizer_config.json"))) {
      WEFT_ASSIGN_OR_RETURN(from.config,
                            ReadJson(Path("tokenizer_config.json"), files_));
    }
    WEFT_ASSIGN_OR_RETURN(from.model, ReadJson(Path("config.json"), files_));
    files_.pop_back();  // it is there already
    if (const std::string path = Path("chat_template.jinja"); Exists(path)) {
      WEFT_ASSIGN_OR_RETURN(const FileMapping text, FileMapping::Open(path));
      files_.push_back(path);
      from.chat_template.assign(
          reinterpret_cast<const char*>(text.bytes().data()),
          text.bytes().size());
    }
    // What is stored says it better than config.json.
    int64_t vocab = config_.vocab;
    for (const NewGgufTensor& tensor : tensors_)
      if (tensor.name == "token_embd.weight") vocab = tensor.dims[0];
    return AddHfTokenizer(from, vocab, config_.key_values);
  }

  const std::string directory_;
  const GgufOptions& options_;
  std::vector<std::string> files_;
  HfConfig config_;
  std::shared_ptr<Storage> storage_ = std::make_shared<Storage>();
  std::vector<NewGgufTensor> tensors_;
  std::vector<absl::Span<const std::byte>> data_;
};

}  // namespace

absl::StatusOr<GgufFile> OpenSafetensorsModel(const std::string& directory,
                                              const GgufOptions& options) {
  return Opener(directory, options).Run();
}

}  // namespace weft::inline v0
