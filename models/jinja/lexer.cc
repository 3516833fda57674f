#include "models/jinja/lexer.h"

#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "graph/status_macros.h"
#include "models/input_error.h"
#include "models/utf8.h"

namespace weft::inline v0::jinja {
namespace {

// No more than the parser's nesting.
constexpr size_t kMaxBrackets = 200;

bool IsNameStart(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_';
}
bool IsNameChar(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
}
bool IsDigit(char c) {
  return absl::ascii_isdigit(static_cast<unsigned char>(c));
}

class Lexer {
 public:
  explicit Lexer(absl::string_view source) : source_(source) {}

  absl::StatusOr<std::vector<Token>> Run() {
    while (at_ < source_.size()) WEFT_RETURN_IF_ERROR(TextAndTag());
    Push(Token::kEnd, "");
    return std::move(tokens_);
  }

 private:
  absl::string_view Rest() const { return source_.substr(at_); }

  void Push(Token::Kind kind, std::string text) {
    tokens_.push_back({kind, std::move(text), Here()});
  }

  // Where at_ is; positions are asked for from left to right.
  Position Here() {
    for (; counted_ < at_; ++counted_) {
      ++position_.column;
      if (source_[counted_] == '\n') position_ = {position_.line + 1, 1};
    }
    return position_;
  }

  absl::Status Error(absl::string_view what) {
    return TemplateError(Here(), what);
  }

  // The text up to the next tag, and the tag.
  absl::Status TextAndTag() {
    size_t tag = at_;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == source_.npos || tag + 1 == source_.size()) {
        tag = source_.npos;
        break;
      }
      if (absl::StrContains("%{#", source_[tag + 1])) break;
      ++tag;
    }
    absl::string_view text = source_.substr(at_, tag - at_);
    if (tag == source_.npos) text = Rest();
    const char kind = tag == source_.npos ? '\0' : source_[tag + 1];
    const char mark =
        kind != '\0' && tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    if (mark == '-') {
      text = absl::StripTrailingAsciiWhitespace(text);
    } else if (mark != '+' && (kind == '%' || kind == '#')) {
      text = WithoutIndent(text);
    }
    if (!text.empty()) Push(Token::kText, std::string(text));
    if (kind == '\0') {
      at_ = source_.size();
      return absl::OkStatus();
    }
    at_ = tag;
    if (kind == '#') return Comment();
    const Position begin = Here();
    at_ += mark == '-' || (mark == '+' && kind == '%') ? 3 : 2;
    if (kind == '{')
      return Tag(Token::kPrintBegin, Token::kPrintEnd, "}}", begin);
    if (IsRaw()) return Raw(begin);
    return Tag(Token::kBlockBegin, Token::kBlockEnd, "%}", begin);
  }

  // Spaces from the beginning of the line to a block go (lstrip_blocks).
  absl::string_view WithoutIndent(absl::string_view text) const {
    size_t end = text.size();
    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t')) --end;
    const bool begins_line =
        end > 0 ? text[end - 1] == '\n' : at_ == 0 || source_[at_ - 1] == '\n';
    return begins_line ? text.substr(0, end) : text;
  }

  // What goes after the end of a tag.
  void Trim(char mark, bool is_block) {
    if (mark == '-') {
      while (at_ < source_.size() &&
             absl::ascii_isspace(static_cast<unsigned char>(source_[at_])))
        ++at_;
    } else if (is_block && mark != '+' && at_ < source_.size() &&
               source_[at_] == '\n') {
      ++at_;  // trim_blocks
    }
  }

  absl::Status Comment() {
    const size_t end = source_.find("#}", at_ + 2);
    if (end == source_.npos) return Error("a comment that does not end");
    const char mark = end > at_ + 2 ? source_[end - 1] : '\0';
    at_ = end + 2;
    Trim(mark, true);
    return absl::OkStatus();
  }

  static absl::string_view SkipSpace(absl::string_view text) {
    return absl::StripLeadingAsciiWhitespace(text);
  }

  bool IsRaw() const {
    absl::string_view rest = SkipSpace(Rest());
    if (!absl::ConsumePrefix(&rest, "raw")) return false;
    rest = SkipSpace(rest);
    return absl::StartsWith(rest, "%}") || absl::StartsWith(rest, "-%}") ||
           absl::StartsWith(rest, "+%}");
  }

  absl::Status Raw(const Position& begin) {
    at_ = source_.find("%}", at_);
    const char first_mark = source_[at_ - 1];
    at_ += 2;
    Trim(first_mark, true);
    for (size_t tag = at_; (tag = source_.find("{%", tag)) != source_.npos;
         ++tag) {
      size_t inside = tag + 2;
      const char mark = inside < source_.size() ? source_[inside] : '\0';
      if (mark == '-' || mark == '+') ++inside;
      absl::string_view rest = SkipSpace(source_.substr(inside));
      if (!absl::ConsumePrefix(&rest, "endraw")) continue;
      rest = SkipSpace(rest);
      char end_mark = '\0';
      if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
        end_mark = rest[0];
        rest.remove_prefix(1);
      }
      if (!absl::ConsumePrefix(&rest, "%}")) continue;
      absl::string_view text = source_.substr(at_, tag - at_);
      if (mark == '-')
        text = absl::StripTrailingAsciiWhitespace(text);
      else if (mark != '+')
        text = WithoutIndent(text);
      Push(Token::kText, std::string(text));
      at_ = source_.size() - rest.size();
      Trim(end_mark, true);
      return absl::OkStatus();
    }
    return TemplateError(begin, "a raw block that does not end");
  }

  absl::Status Tag(Token::Kind begin, Token::Kind end, absl::string_view close,
                   const Position& where) {
    tokens_.push_back({begin, "", where});
    std::string open;  // brackets: "}}" within braces closes two dicts
    while (true) {
      while (at_ < source_.size() &&
             absl::ascii_isspace(static_cast<unsigned char>(source_[at_])))
        ++at_;
      if (at_ >= source_.size())
        return TemplateError(where, "a tag that does not end");
      const char mark = source_[at_];
      const bool marked =
          mark == '-' || (mark == '+' && end == Token::kBlockEnd);
      if ((open.empty() || open.back() != '{') &&
          (absl::StartsWith(Rest(), close) ||
           (marked && absl::StartsWith(source_.substr(at_ + 1), close)))) {
        Push(end, "");
        at_ += marked ? 3 : 2;
        Trim(marked ? mark : '\0', end == Token::kBlockEnd);
        return absl::OkStatus();
      }
      WEFT_RETURN_IF_ERROR(Expression(open));
    }
  }

  absl::Status Expression(std::string& open) {
    const char c = source_[at_];
    if (c == '"' || c == '\'') return String();
    if (IsDigit(c)) return Number();
    if (IsNameStart(c)) {
      size_t end = at_;
      while (end < source_.size() && IsNameChar(source_[end])) ++end;
      Push(Token::kName, std::string(source_.substr(at_, end - at_)));
      at_ = end;
      return absl::OkStatus();
    }
    for (const absl::string_view op : {"//", "**", "==", "!=", "<=", ">="}) {
      if (!absl::StartsWith(Rest(), op)) continue;
      Push(Token::kOperator, std::string(op));
      at_ += 2;
      return absl::OkStatus();
    }
    if (!absl::StrContains("+-*/%~<>=.,:|()[]{}", c)) {
      return Error(absl::StrCat("a character that does not belong here: ",
                                QuoteInput(Rest().substr(0, 1))));
    }
    if (absl::StrContains("([{", c)) open += c;
    if (absl::StrContains(")]}", c) && !open.empty()) open.pop_back();
    if (open.size() > kMaxBrackets) {
      const Position at = Here();
      return absl::ResourceExhaustedError(
          absl::StrCat("JINJA-3: line ", at.line, ", column ", at.column,
                       ": nesting of more than ", kMaxBrackets));
    }
    Push(Token::kOperator, std::string(1, c));
    ++at_;
    return absl::OkStatus();
  }

  absl::Status Number() {
    size_t end = at_;
    bool is_float = false;
    const auto digits = [&] {
      while (end < source_.size() &&
             (IsDigit(source_[end]) || source_[end] == '_'))
        ++end;
    };
    digits();
    if (end + 1 < source_.size() && source_[end] == '.' &&
        IsDigit(source_[end + 1])) {
      is_float = true;
      ++end;
      digits();
    }
    if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      size_t power = end + 1;
      if (power < source_.size() &&
          (source_[power] == '+' || source_[power] == '-'))
        ++power;
      if (power < source_.size() && IsDigit(source_[power])) {
        is_float = true;
        end = power;
        digits();
      }
    }
    Push(is_float ? Token::kFloat : Token::kInteger,
         absl::StrReplaceAll(source_.substr(at_, end - at_), {{"_", ""}}));
    at_ = end;
    return absl::OkStatus();
  }

  absl::Status String() {
    const Position begin = Here();
    const char quote = source_[at_];
    std::string text;
    for (size_t i = at_ + 1; i < source_.size(); ++i) {
      if (source_[i] == quote) {
        tokens_.push_back({Token::kString, std::move(text), begin});
        at_ = i + 1;
        return absl::OkStatus();
      }
      if (source_[i] == '\\' && i + 1 < source_.size()) {
        Escape(i, text);
      } else {
        text += source_[i];
      }
    }
    return TemplateError(begin, "a string that does not end");
  }

  // Reads the escape at `i`, as Python does, and leaves `i` at its end.
  void Escape(size_t& i, std::string& text) const {
    const char c = source_[++i];
    constexpr absl::string_view kNames = "abfnrtv\\'\"\n";
    constexpr absl::string_view kMeant = "\a\b\f\n\r\t\v\\'\"";
    const size_t known = kNames.find(c);
    if (known != kNames.npos) {
      if (c != '\n') text += kMeant[known];
      return;
    }
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;
    if (digits > 0 && i + digits < source_.size() &&
        absl::SimpleHexAtoi(source_.substr(i + 1, digits), &code) &&
        code <= 0x10FFFF) {
      AppendUtf8(code, text);
      i += digits;
    } else if (c >= '0' && c <= '7') {
      size_t end = i;
      while (end < source_.size() && end < i + 3 && source_[end] >= '0' &&
             source_[end] <= '7')
        code = 8 * code + static_cast<uint32_t>(source_[end++] - '0');
      AppendUtf8(code, text);
      i = end - 1;
    } else {
      text += {'\\', c};
    }
  }

  const absl::string_view source_;
  size_t at_ = 0;
  size_t counted_ = 0;
  Position position_;
  std::vector<Token> tokens_;
};

}  // namespace

absl::Status TemplateError(const Position& at, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "JINJA-1: line ", at.line, ", column ", at.column, ": ", what));
}

absl::StatusOr<std::vector<Token>> Tokenize(absl::string_view source) {
  if (!IsValidUtf8(source))
    return TemplateError({}, "the template is no valid UTF-8");
  // One line feed at the end goes, and lines end as in Unix.
  const std::string lines =
      absl::StrReplaceAll(source, {{"\r\n", "\n"}, {"\r", "\n"}});
  absl::string_view text = lines;
  absl::ConsumeSuffix(&text, "\n");
  return Lexer(text).Run();
}

}  // namespace weft::inline v0::jinja
