// Templates parsed into trees.
#ifndef WEFT_MODELS_JINJA_PARSER_H_
#define WEFT_MODELS_JINJA_PARSER_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/jinja/node.h"

namespace weft::inline v0::jinja {

// The tree of a template: a kBlock. InvalidArgument (JINJA-1) with line and
// column for what is no template, Unimplemented (JINJA-2) for a tag that weft
// does not know, ResourceExhausted (JINJA-3) where things nest more than 200
// deep or the template is longer than 1 MiB.
absl::StatusOr<NodePtr> Parse(absl::string_view source);

}  // namespace weft::inline v0::jinja

#endif  // WEFT_MODELS_JINJA_PARSER_H_
