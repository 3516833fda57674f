#include "models/grammar/gbnf_parser.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "graph/hash.h"
#include "graph/status_macros.h"
#include "models/grammar/grammar.h"
#include "models/input_error.h"
#include "models/utf8.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

// A guard against slips: kMaxGrammarCode is what bounds the work.
constexpr int64_t kMaxRepetitions = 100'000;

bool IsNameByte(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
         c == '_';
}

class GbnfParser {
 public:
  explicit GbnfParser(absl::string_view text) : text_(text) {}

  absl::StatusOr<std::vector<GbnfRule>> Run() {
    if (text_.size() > Grammar::kMaxTextBytes)
      return Error(
          StatusCode::kResourceExhausted, 0, "GBNF-5",
          absl::StrCat("the grammar has ", text_.size(), " bytes; at most ",
                       Grammar::kMaxTextBytes, " are allowed"));
    Rule("root", 0);
    for (SkipSpace(true); !AtEnd(); SkipSpace(true))
      WEFT_RETURN_IF_ERROR(ParseRule());
    for (const GbnfRule& rule : rules_) {
      if (rule.defined) continue;
      return Error(StatusCode::kInvalidArgument, rule.at, "GBNF-2",
                   absl::StrCat("there is no rule ", QuoteInput(rule.name)));
    }
    return std::move(rules_);
  }

 private:
  absl::Status Error(StatusCode code, size_t at, absl::string_view id,
                     absl::string_view what) const {
    return GbnfError(code, text_, at, id, what);
  }
  absl::Status Syntax(absl::string_view expected) const {
    const std::string found =
        AtEnd()
            ? "the end"
            : QuoteInput(text_.substr(at_, ReadUtf8(text_.substr(at_)).size));
    return Error(StatusCode::kInvalidArgument, at_, "GBNF-1",
                 absl::StrCat("found ", found, "; expected ", expected));
  }
  absl::Status TooMuch(size_t at, absl::string_view what) const {
    return Error(StatusCode::kResourceExhausted, at, "GBNF-5", what);
  }

  // Counts instructions before they are made.
  absl::Status Grow(int64_t instructions, size_t at) {
    size_ += instructions;
    if (size_ <= kMaxGrammarCode) return absl::OkStatus();
    return TooMuch(at,
                   "the grammar is too long with its repetitions written "
                   "out");
  }

  bool AtEnd() const { return at_ >= text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }
  bool Take(absl::string_view what) {
    if (!absl::StartsWith(text_.substr(at_), what)) return false;
    at_ += what.size();
    return true;
  }

  // Blanks and comments; line ends too if `lines`.
  void SkipSpace(bool lines) {
    for (; !AtEnd(); ++at_) {
      if (Peek() == '#')
        at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
      const char c = Peek();
      if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r'))) return;
    }
  }

  absl::string_view TakeName() {
    const size_t begin = at_;
    while (!AtEnd() && IsNameByte(Peek())) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  // The number of a rule, which may not be defined yet.
  int32_t Rule(absl::string_view name, size_t at) {
    const auto [found, is_new] =
        numbers_.try_emplace(name, static_cast<int32_t>(rules_.size()));
    if (is_new) rules_.push_back({name, at, false, {}});
    return found->second;
  }

  absl::Status ParseRule() {
    const size_t begin = at_;
    const absl::string_view name = TakeName();
    if (name.empty()) return Syntax("the name of a rule");
    SkipSpace(false);
    if (!Take("::=")) return Syntax("::=");
    const auto number = static_cast<size_t>(Rule(name, begin));
    if (rules_.size() > Grammar::kMaxRules)
      return TooMuch(begin,
                     absl::StrCat("more than ", Grammar::kMaxRules, " rules"));
    if (rules_[number].defined)
      return Error(StatusCode::kInvalidArgument, begin, "GBNF-3",
                   absl::StrCat("the rule ", QuoteInput(name),
                                " is defined a second time"));
    SkipSpace(true);
    WEFT_ASSIGN_OR_RETURN(Code code, ParseChoices(0));
    if (!AtEnd() && Peek() != '\n' && Peek() != '\r')
      return Syntax("a part of the rule or the end of the line");
    code.push_back({Inst::kEnd});
    WEFT_RETURN_IF_ERROR(Grow(1, begin));
    rules_[number].defined = true;
    rules_[number].at = begin;
    rules_[number].code = std::move(code);
    return absl::OkStatus();
  }

  absl::StatusOr<Code> ParseChoices(int depth) {
    std::vector<Code> choices;
    do {
      SkipSpace(depth > 0 || !choices.empty());
      WEFT_ASSIGN_OR_RETURN(Code code, ParseSequence(depth));
      choices.push_back(std::move(code));
      WEFT_RETURN_IF_ERROR(Grow(2, at_));
    } while (Take("|"));
    return Alternatives(std::move(choices));
  }

  absl::StatusOr<Code> ParseSequence(int depth) {
    Code out;
    for (;; SkipSpace(depth > 0)) {
      const size_t begin = at_;
      const char c = Peek();
      if (AtEnd() || c == '|' || c == ')' || c == '\n' || c == '\r') return out;
      WEFT_ASSIGN_OR_RETURN(Code part, ParsePart(depth));
      if (c != '(')  // a group's parts are counted
        WEFT_RETURN_IF_ERROR(Grow(static_cast<int64_t>(part.size()), begin));
      SkipSpace(depth > 0);
      while (absl::StrContains("*+?{", Peek())) {
        WEFT_ASSIGN_OR_RETURN(part, ParseRepetition(part, begin));
        SkipSpace(depth > 0);
      }
      AppendCode(part, out);
    }
  }

  absl::StatusOr<Code> ParsePart(int depth) {
    Code out;
    const size_t begin = at_;
    const char c = Peek();
    if (c == '"') {
      ++at_;
      WEFT_RETURN_IF_ERROR(ParseLiteral(begin, out));
    } else if (c == '[') {
      ++at_;
      return ParseClass(begin);
    } else if (c == '.') {
      ++at_;
      return CharacterCode({}, /*negated=*/true);
    } else if (c == '(') {
      if (depth >= Grammar::kMaxNesting)
        return TooMuch(begin, absl::StrCat("nesting of more than ",
                                           Grammar::kMaxNesting, " groups"));
      ++at_;
      WEFT_ASSIGN_OR_RETURN(out, ParseChoices(depth + 1));
      if (!Take(")")) return Syntax(") to end a group");
    } else if (IsNameByte(c)) {
      out.push_back({Inst::kCall, 0, 0, Rule(TakeName(), begin)});
    } else if (c == '<' ||
               (c == '!' && at_ + 1 < text_.size() && text_[at_ + 1] == '<')) {
      return Error(StatusCode::kUnimplemented, begin, "GBNF-6",
                   "tokens, <...>, are not supported; expected a \"literal\"");
    } else {
      return Syntax("a \"literal\", [class], ., (group) or the name of a rule");
    }
    return out;
  }

  absl::Status ParseLiteral(size_t begin, Code& out) {
    while (!Take("\"")) {
      if (AtEnd())
        return Error(StatusCode::kInvalidArgument, begin, "GBNF-1",
                     "the literal has no closing \"");
      WEFT_ASSIGN_OR_RETURN(const uint32_t character, ParseCharacter());
      std::string bytes;
      AppendUtf8(character, bytes);
      AppendLiteral(bytes, out);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Code> ParseClass(size_t begin) {
    const bool negated = Take("^");
    CodePointRanges ranges;
    while (!Take("]")) {
      if (AtEnd())
        return Error(StatusCode::kInvalidArgument, begin, "GBNF-1",
                     "the class has no closing ]");
      const size_t at = at_;
      WEFT_ASSIGN_OR_RETURN(const uint32_t low, ParseCharacter());
      uint32_t high = low;
      if (Peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        WEFT_ASSIGN_OR_RETURN(high, ParseCharacter());
      }
      if (high < low)
        return Error(StatusCode::kInvalidArgument, at, "GBNF-1",
                     "the range of characters ends before it begins");
      ranges.emplace_back(low, high);
    }
    return CharacterCode(std::move(ranges), negated);
  }

  // A character of the text, or what an escape stands for.
  absl::StatusOr<uint32_t> ParseCharacter() {
    const size_t begin = at_;
    if (!Take("\\")) {
      const Utf8Prefix prefix = ReadUtf8(text_.substr(at_));
      if (prefix.kind != Utf8Prefix::kCharacter)
        return Syntax("a character in UTF-8");
      const uint32_t character = DecodeUtf8(text_.substr(at_, prefix.size));
      at_ += prefix.size;
      return character;
    }
    const char c = Peek();
    constexpr absl::string_view kNames = "nrt\\\"[]-^";
    constexpr absl::string_view kNamed = "\n\r\t\\\"[]-^";
    if (const size_t i = kNames.find(c); !AtEnd() && i != kNames.npos) {
      ++at_;
      return static_cast<unsigned char>(kNamed[i]);
    }
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t character = 0;
    const absl::string_view hex =
        text_.substr(std::min(at_ + 1, text_.size()), digits);
    if (digits == 0 || hex.size() < digits ||
        !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit) ||
        !absl::SimpleHexAtoi(hex, &character) || character > 0x10FFFF ||
        (character >= 0xD800 && character < 0xE000))
      return Error(
          StatusCode::kInvalidArgument, begin, "GBNF-1",
          "is no escape; expected one of \\n \\r \\t \\\\ \\\" \\[ \\] "
          "\\- \\^, \\xHH, \\uHHHH or \\UHHHHHHHH of a character");
    at_ += 1 + digits;
    return character;
  }

  absl::StatusOr<Code> ParseRepetition(const Code& code, size_t begin) {
    int64_t min = 0, max = -1;
    if (Take("+")) {
      min = 1;
    } else if (Take("?")) {
      max = 1;
    } else if (!Take("*")) {
      Take("{");
      SkipSpace(true);
      WEFT_ASSIGN_OR_RETURN(min, ParseCount());
      max = min;
      SkipSpace(true);
      if (Take(",")) {
        SkipSpace(true);
        max = -1;
        if (Peek() != '}') {
          WEFT_ASSIGN_OR_RETURN(max, ParseCount());
          if (max < min)
            return Error(StatusCode::kInvalidArgument, begin, "GBNF-1",
                         absl::StrCat("a repetition of at least ", min,
                                      " and at most ", max));
        }
      }
      SkipSpace(true);
      if (!Take("}")) return Syntax("} to end a repetition");
    }
    WEFT_RETURN_IF_ERROR(
        Grow(RepeatedSize(code, min, max) - static_cast<int64_t>(code.size()),
             begin));
    return Repeated(code, min, max);
  }

  absl::StatusOr<int64_t> ParseCount() {
    const size_t begin = at_;
    while (absl::ascii_isdigit(static_cast<unsigned char>(Peek()))) ++at_;
    if (begin == at_) return Syntax("a number of repetitions");
    int64_t count = 0;
    if (!absl::SimpleAtoi(text_.substr(begin, at_ - begin), &count) ||
        count > kMaxRepetitions)
      return TooMuch(begin, absl::StrCat("a repetition of more than ",
                                         kMaxRepetitions, " times"));
    return count;
  }

  absl::string_view text_;
  size_t at_ = 0;
  int64_t size_ = 0;
  std::vector<GbnfRule> rules_;
  HashMap<absl::string_view, int32_t> numbers_;
};

}  // namespace

absl::Status GbnfError(StatusCode code, absl::string_view text, size_t at,
                       absl::string_view id, absl::string_view what) {
  const absl::string_view before = text.substr(0, at);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return absl::Status(
      code, absl::StrCat("grammar: ", id, ": line ", line, ", column ",
                         at - begin + 1, ": ", what));
}

absl::StatusOr<std::vector<GbnfRule>> ParseGbnf(absl::string_view text) {
  return GbnfParser(text).Run();
}

}  // namespace weft::inline v0
