// The model that programs use when none is named.
#ifndef WEFT_TOOLS_DEFAULT_MODEL_H_
#define WEFT_TOOLS_DEFAULT_MODEL_H_

#include <optional>
#include <string>

namespace weft::inline v0 {

// The path of weft's own small model of children's stories (models/data), which
// lies beside the running program: in ../share/weft of its folder, both in the
// build and where it is installed. Nothing when there is no such file.
std::optional<std::string> DefaultModelPath();

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DEFAULT_MODEL_H_
