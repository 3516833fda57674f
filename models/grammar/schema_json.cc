#include "models/grammar/schema_json.h"

#include "absl/strings/str_cat.h"
#include "models/grammar/grammar.h"

namespace weft::inline v0 {

absl::StatusOr<JsonValue> ReadSchemaJson(absl::string_view text) {
  if (text.size() > Grammar::kMaxTextBytes)
    return SchemaError(
        absl::StatusCode::kResourceExhausted, "SCHEMA-4", "#",
        absl::StrCat(text.size(), " bytes; at most ", Grammar::kMaxTextBytes));
  // Members are searched from front to back.
  auto json = ParseJson(text, {.most_values = 50'000, .most_members = 4096});
  if (json.ok()) return json;
  const bool too_much = absl::IsResourceExhausted(json.status());
  return SchemaError(too_much ? absl::StatusCode::kResourceExhausted
                              : absl::StatusCode::kInvalidArgument,
                     too_much ? "SCHEMA-4" : "SCHEMA-1", "#",
                     json.status().message());
}

absl::Status SchemaError(absl::StatusCode code, absl::string_view id,
                         absl::string_view where, absl::string_view what) {
  return absl::Status(
      code, absl::StrCat("JSON schema: ", id, ": ", where, ": ", what));
}

std::string GbnfLiteral(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      absl::StrAppend(&out, "\\x", absl::Hex(c, absl::kZeroPad2));
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace weft::inline v0
