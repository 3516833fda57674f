// Python's methods of strings that filters need too.
#ifndef WEFT_MODELS_JINJA_TEXT_H_
#define WEFT_MODELS_JINJA_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace weft::inline v0::jinja {

std::string ToLower(absl::string_view text);
std::string ToUpper(absl::string_view text);
// The first character in upper case, the rest in lower case.
std::string Capitalize(absl::string_view text);
// The same for each run of letters.
std::string TitleCase(absl::string_view text);

// Takes characters off the ends: of `characters`, or Unicode white space where
// that is empty.
std::string Strip(absl::string_view text, absl::string_view characters,
                  bool left, bool right);

// Whether a character is Unicode white space as Python's str.isspace has it.
bool IsSpace(absl::string_view character);
bool IsLetter(absl::string_view character);
bool IsNumber(absl::string_view character);

// With & < > ' " as HTML entities.
std::string EscapeHtml(absl::string_view text);

}  // namespace weft::inline v0::jinja

#endif  // WEFT_MODELS_JINJA_TEXT_H_
