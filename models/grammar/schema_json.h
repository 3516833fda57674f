// JSON as schemas need it, read within limits.
#ifndef WEFT_MODELS_GRAMMAR_SCHEMA_JSON_H_
#define WEFT_MODELS_GRAMMAR_SCHEMA_JSON_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/json.h"

namespace weft::inline v0 {

// Errors of JsonSchemaToGbnf for what is no JSON, has a member twice, or is
// above the limits.
absl::StatusOr<JsonValue> ReadSchemaJson(absl::string_view text);

// "JSON schema: SCHEMA-1: #/properties/a: <what>".
absl::Status SchemaError(absl::StatusCode code, absl::string_view id,
                         absl::string_view where, absl::string_view what);

// A literal of GBNF, quotes included.
std::string GbnfLiteral(absl::string_view text);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_SCHEMA_JSON_H_
