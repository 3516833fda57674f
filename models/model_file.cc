#include "models/model_file.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "graph/status_macros.h"
#include "models/gguf_split.h"
#include "models/safetensors/model.h"

namespace weft::inline v0 {

absl::StatusOr<GgufFile> OpenModelFile(const std::string& path,
                                       const GgufOptions& options) {
  std::error_code error;  // what cannot be looked at has none
  if (std::filesystem::exists(path + "/config.json", error))
    return OpenSafetensorsModel(path, options);
  WEFT_ASSIGN_OR_RETURN(GgufFile file, GgufFile::Open(path, options));
  return OpenOtherParts(std::move(file), path, options);
}

}  // namespace weft::inline v0
