// Pictures by Graphviz, where it is installed.
#ifndef WEFT_TOOLS_GRAPHVIZ_H_
#define WEFT_TOOLS_GRAPHVIZ_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// What `dot -T<format>` makes of the text. NotFound where there is no such
// program, saying how to get it; Internal with its message when it fails.
absl::StatusOr<std::string> RunGraphviz(absl::string_view format,
                                        absl::string_view dot);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_GRAPHVIZ_H_
