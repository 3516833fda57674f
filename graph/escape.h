// Names come from files and may hold any bytes; what is printed must not.
#ifndef WEFT_GRAPH_ESCAPE_H_
#define WEFT_GRAPH_ESCAPE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// `text` for one line of a terminal or a file: control characters (C0, DEL, C1,
// and the line and paragraph separators) become \x1b or \u2028, backslashes
// two, and what is no UTF-8 U+FFFD.
std::string Printable(absl::string_view text);

// `text` in double quotes as JSON wants it, in UTF-8. What is no UTF-8 becomes
// U+FFFD. Safe inside an HTML <script> too: "<" is written as \u003c.
std::string Quoted(absl::string_view text);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_ESCAPE_H_
