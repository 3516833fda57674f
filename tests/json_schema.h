// A validator for the part of JSON Schema that graph/dump/schema.json uses.
#ifndef WEFT_TESTS_JSON_SCHEMA_H_
#define WEFT_TESTS_JSON_SCHEMA_H_

#include <string>

#include "nlohmann/json.hpp"

namespace weft::inline v0 {

// "" when `json` is as `schema` says, else where it is not and why. Keywords
// that it does not know are an error too.
std::string SchemaError(const nlohmann::json& schema,
                        const nlohmann::json& json);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_JSON_SCHEMA_H_
