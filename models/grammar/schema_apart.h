// Which of several schemas have a value in common.
#ifndef WEFT_MODELS_GRAMMAR_SCHEMA_APART_H_
#define WEFT_MODELS_GRAMMAR_SCHEMA_APART_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "models/grammar/schema_json.h"
#include "models/grammar/schema_merge.h"

namespace weft::inline v0 {

// The first two of `choices` that may have a value in common; nullopt when each
// two are apart, as far as types, const and enum, bounds of integers and the
// members of objects show it: a member that one requires and that the other
// does not know, or knows as something that is apart. `merger` is of the
// document that holds them; errors are its own, and ResourceExhausted
// (SCHEMA-4) above 200,000 comparisons.
absl::StatusOr<std::optional<std::pair<size_t, size_t>>> FindOverlap(
    SchemaMerger& merger, const std::vector<JsonValue>& choices,
    const std::string& where);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_SCHEMA_APART_H_
