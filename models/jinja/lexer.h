// Templates cut into tokens.
#ifndef WEFT_MODELS_JINJA_LEXER_H_
#define WEFT_MODELS_JINJA_LEXER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft::inline v0::jinja {

struct Position {
  int line = 1;
  int column = 1;  // in bytes
};

struct Token {
  enum Kind {
    kText,        // outside of all tags
    kBlockBegin,  // {%
    kBlockEnd,
    kPrintBegin,  // {{
    kPrintEnd,
    kName,
    kString,  // its text without quotes and escapes
    kInteger,
    kFloat,
    kOperator,
    kEnd,  // of the template; always the last
  };
  Kind kind;
  std::string text;
  Position at;
};

// "JINJA-1: line 3, column 7: ..." as InvalidArgument.
absl::Status TemplateError(const Position& at, absl::string_view what);

// Comments go, and with them the white space that tags take away: as Jinja does
// with trim_blocks and lstrip_blocks. InvalidArgument for a tag that does not
// end, a character that no expression has, or text that is no UTF-8;
// ResourceExhausted (JINJA-3) for more than 200 open brackets.
absl::StatusOr<std::vector<Token>> Tokenize(absl::string_view source);

}  // namespace weft::inline v0::jinja

#endif  // WEFT_MODELS_JINJA_LEXER_H_
