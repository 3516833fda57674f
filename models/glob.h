// Patterns for names, as of a shell.
#ifndef WEFT_MODELS_GLOB_H_
#define WEFT_MODELS_GLOB_H_

#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// Whether the whole name matches: * is any text, ? any character.
bool Matches(absl::string_view pattern, absl::string_view name);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GLOB_H_
