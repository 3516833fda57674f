// The one way to open what --model names: a GGUF file, a GGUF file of several
// parts, or a directory of safetensors.
#ifndef WEFT_MODELS_MODEL_FILE_H_
#define WEFT_MODELS_MODEL_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// A directory: the errors of OpenSafetensorsModel. Any part of a model in
// several GGUF files: all of them (see gguf_split.h). Else GgufFile::Open.
absl::StatusOr<GgufFile> OpenModelFile(const std::string& path,
                                       const GgufOptions& options = {});

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_MODEL_FILE_H_
