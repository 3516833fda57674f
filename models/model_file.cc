#include "models/model_file.h"

#include <utility>

#include "graph/status_macros.h"
#include "models/gguf_split.h"

namespace weft::inline v0 {

absl::StatusOr<GgufFile> OpenModelFile(const std::string& path,
                                       const GgufOptions& options) {
  WEFT_ASSIGN_OR_RETURN(GgufFile file, GgufFile::Open(path, options));
  return OpenOtherParts(std::move(file), path, options);
}

}  // namespace weft::inline v0
