#include "models/input_error.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace weft::inline v0 {

std::string FormatInputError(absl::string_view source,
                             const InputError& error) {
  std::string text = absl::StrCat(source, ": ", error.id);
  if (error.at) absl::StrAppend(&text, " at byte ", *error.at);
  absl::StrAppend(&text, ": ", error.field, " is ", error.value, "; expected ",
                  error.expected);
  if (!error.hint.empty()) absl::StrAppend(&text, "; ", error.hint);
  return text;
}

absl::Status MakeInputError(absl::StatusCode code, absl::string_view source,
                            const InputError& error) {
  return absl::Status(code, FormatInputError(source, error));
}

std::string QuoteInput(absl::string_view bytes) {
  constexpr size_t kLimit = 128;
  std::string escaped;
  // One byte at a time, so that the cut never splits an escape sequence.
  for (size_t i = 0; i < bytes.size(); ++i) {
    const std::string next = absl::CHexEscape(bytes.substr(i, 1));
    if (escaped.size() + next.size() > kLimit)
      return absl::StrCat("\"", escaped, "\"...");
    escaped += next;
  }
  return absl::StrCat("\"", escaped, "\"");
}

}  // namespace weft::inline v0
