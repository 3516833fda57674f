#include "models/model_file.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/gguf_split.h"
#include "models/safetensors/model.h"

namespace weft::inline v0 {

absl::StatusOr<GgufFile> OpenModelFile(const std::string& path,
                                       const GgufOptions& options) {
  std::error_code error;  // what cannot be looked at has none
  if (std::filesystem::exists(path + "/config.json", error))
    return OpenSafetensorsModel(path, options);
  if (options.watch != nullptr)
    options.watch->ExpectFiles(CountPartsByName(path));
  absl::StatusOr<GgufFile> opened = GgufFile::Open(path, options);
  if (!opened.ok() && std::filesystem::is_directory(path, error))
    return absl::Status(
        opened.status().code(),
        absl::StrCat(opened.status().message(),
                     ", or a directory with config.json in it"));
  WEFT_ASSIGN_OR_RETURN(GgufFile file, std::move(opened));
  return OpenOtherParts(std::move(file), path, options);
}

}  // namespace weft::inline v0
