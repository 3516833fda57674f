// JSON schemas as grammars: what a generated JSON text must look like.
#ifndef WEFT_MODELS_GRAMMAR_JSON_SCHEMA_H_
#define WEFT_MODELS_GRAMMAR_JSON_SCHEMA_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/grammar/grammar.h"

namespace weft::inline v0 {

// The schema (JSON Schema 2020-12, what llama.cpp takes of it) as GBNF:
//
//   types       type (one or several), enum, const; without a type what the
//               other keywords are about, or any value
//   objects     properties, in the schema's order; required;
//               additionalProperties, false unless given where there are
//               properties
//   arrays      items, minItems, maxItems, prefixItems (all of them come)
//   strings     minLength, maxLength, in characters; pattern, a subset of
//               ECMAScript's: no lookaround, back references, word boundaries
//               or anchors but at the ends; format date, time, date-time, uuid
//   numbers     integers with minimum, maximum, exclusiveMinimum and
//               exclusiveMaximum
//   composition anyOf; oneOf where no value fits two alternatives, as their
//               types, const, enum, bounds or required properties show; allOf
//               where the parts can be merged; $ref into the document
//               ("#/$defs/a"), also in cycles
//
// White space between tokens is a space, or a line feed with up to 20 blanks.
// InvalidArgument, naming the place as a JSON pointer, for what is no schema or
// allows nothing (SCHEMA-1, -2); Unimplemented for a keyword that restricts and
// is none of these, by name (SCHEMA-3); ResourceExhausted above 1 MiB, 200
// levels, 50,000 values or 4096 members of an object (SCHEMA-4).
absl::StatusOr<std::string> JsonSchemaToGbnf(absl::string_view schema);

// The same, parsed; InvalidArgument for a cycle of $ref that takes no text.
absl::StatusOr<std::shared_ptr<const Grammar>> ParseJsonSchema(
    absl::string_view schema);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_JSON_SCHEMA_H_
