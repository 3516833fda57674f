// JSON for templates.
#ifndef WEFT_MODELS_JINJA_JSON_H_
#define WEFT_MODELS_JINJA_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/jinja/value.h"

namespace weft::inline v0::jinja {

// What Python's json.dumps writes: without indentation everything on one line
// with ", " and ": " between, with indentation (in spaces) one item a line.
struct JsonStyle {
  int indent = -1;  // none
  bool sort_keys = false;
  bool ensure_ascii = false;
  std::string item_separator = ", ";  // "," goes with indentation
  std::string key_separator = ": ";
};

// InvalidArgument for values that JSON has no form for.
absl::StatusOr<std::string> ToJson(const Value& value, const JsonStyle& style);

// Errors of weft::ParseJson (JINJA-6); a name that an object has twice counts
// as Python takes it, the last. Integers of more than 63 bits become floats.
absl::StatusOr<Value> ParseJson(absl::string_view text);

}  // namespace weft::inline v0::jinja

#endif  // WEFT_MODELS_JINJA_JSON_H_
