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

// A key that an object has twice: Python takes the last, as templates must;
// in files it is an error (AlreadyExists).
enum class RepeatedKeys { kLast, kError };

// InvalidArgument (JINJA-6) for what is no JSON, with its byte;
// ResourceExhausted for more than 200 levels. Integers of more than 64 bits
// become floats.
absl::StatusOr<Value> ParseJson(absl::string_view text,
                                RepeatedKeys repeated = RepeatedKeys::kLast);

}  // namespace weft::inline v0::jinja

#endif  // WEFT_MODELS_JINJA_JSON_H_
