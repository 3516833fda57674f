// Reads what templates give to built-in functions.
#ifndef WEFT_MODELS_JINJA_ARGUMENTS_H_
#define WEFT_MODELS_JINJA_ARGUMENTS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "models/jinja/interpreter.h"

namespace weft::inline v0::jinja {

// The argument at that place or of that name, `fallback` where neither is
// given. An empty name: by place only.
inline Value GetArgument(const Arguments& arguments, size_t index,
                         absl::string_view name, Value fallback = {}) {
  if (index < arguments.positional.size()) return arguments.positional[index];
  for (const auto& [given, value] : arguments.named)
    if (given == name) return value;
  return fallback;
}

inline absl::StatusOr<std::string> GetText(Interpreter& interpreter,
                                           const Arguments& arguments,
                                           size_t index, absl::string_view name,
                                           Value fallback = {}) {
  const Value value = GetArgument(arguments, index, name, std::move(fallback));
  if (value.is_string()) return value.string();
  return interpreter.Error(
      absl::StrCat("a str is expected, not ", value.TypeName()));
}

inline absl::StatusOr<int64_t> GetInteger(Interpreter& interpreter,
                                          const Arguments& arguments,
                                          size_t index, absl::string_view name,
                                          Value fallback = {}) {
  const Value value = GetArgument(arguments, index, name, std::move(fallback));
  if (value.is_integer()) return value.integer();
  return interpreter.Error(
      absl::StrCat("an int is expected, not ", value.TypeName()));
}

}  // namespace weft::inline v0::jinja

#endif  // WEFT_MODELS_JINJA_ARGUMENTS_H_
