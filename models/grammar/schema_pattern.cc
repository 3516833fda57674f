#include "models/grammar/schema_pattern.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/status_macros.h"
#include "models/grammar/code.h"
#include "models/grammar/schema_json.h"
#include "models/input_error.h"
#include "models/utf8.h"

namespace weft::inline v0 {
namespace {

constexpr int kMaxNesting = 100;
constexpr uint32_t kLast = 0x10FFFF;

// Of one character, as JSON writes it in a string.
std::string InJson(uint32_t character) {
  if (character == '"' || character == '\\')
    return absl::StrCat("\\", std::string(1, static_cast<char>(character)));
  if (character < 0x20)
    return absl::StrCat("\\u", absl::Hex(character, absl::kZeroPad4));
  std::string text;
  AppendUtf8(character, text);
  return text;
}

CodePointRanges Complement(CodePointRanges ranges) {
  std::sort(ranges.begin(), ranges.end());
  CodePointRanges out;
  uint32_t next = 0;
  for (const auto& [low, high] : ranges) {
    if (low > next) out.emplace_back(next, low - 1);
    next = std::max(next, high + 1);
  }
  if (next <= kLast) out.emplace_back(next, kLast);
  return out;
}

// What \d, \w, \s and their opposites mean.
bool NamedClass(char name, CodePointRanges& out) {
  CodePointRanges ranges;
  switch (absl::ascii_tolower(static_cast<unsigned char>(name))) {
    case 'd':
      ranges = {{'0', '9'}};
      break;
    case 'w':
      ranges = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
      break;
    case 's':
      ranges = {{'\t', '\r'}, {' ', ' '}, {0xA0, 0xA0}};
      break;
    default:
      return false;
  }
  if (absl::ascii_isupper(static_cast<unsigned char>(name)))
    ranges = Complement(std::move(ranges));
  out.insert(out.end(), ranges.begin(), ranges.end());
  return true;
}

// A class of GBNF, and beside it what JSON writes with a backslash. A class
// that holds nothing is one that no character is in.
std::string ClassToGbnf(const CodePointRanges& ranges) {
  // Characters that JSON escapes, apart from those of the class.
  std::vector<std::string> choices;
  CodePointRanges plain;
  for (const auto& [low, high] : ranges) {
    uint32_t from = low;
    for (uint32_t c = low; c <= std::min<uint32_t>(high, '\\'); ++c) {
      if (c >= 0x20 && c != '"' && c != '\\') continue;
      choices.push_back(GbnfLiteral(InJson(c)));
      if (c > from) plain.emplace_back(from, c - 1);
      from = c + 1;
    }
    if (from <= high) plain.emplace_back(from, high);
  }
  std::string text;
  for (const auto& [low, high] : plain)
    absl::StrAppend(&text, "\\U",
                    absl::Hex(low >= 0xD800 && low < 0xE000 ? 0xE000 : low,
                              absl::kZeroPad8),
                    "-\\U",
                    absl::Hex(high >= 0xD800 && high < 0xE000 ? 0xD7FF : high,
                              absl::kZeroPad8));
  if (!text.empty() || choices.empty())
    choices.insert(choices.begin(), absl::StrCat("[", text, "]"));
  if (choices.size() == 1) return choices[0];
  return absl::StrCat("(", absl::StrJoin(choices, " | "), ")");
}

class PatternParser {
 public:
  PatternParser(absl::string_view text, absl::string_view char_rule)
      : text_(text), char_rule_(char_rule) {}

  absl::StatusOr<std::string> Run() {
    const bool from_start = Take("^");
    WEFT_ASSIGN_OR_RETURN(const std::string body, Choices(0));
    if (at_ < text_.size()) return Error("unexpected )");
    if (choices_at_top_ && (from_start || ends_))
      return Error("^ and $ beside | belong to one side only; write ^(?:a|b)$");
    const std::string any = absl::StrCat(char_rule_, "*");
    return absl::StrCat(R"("\"" )", from_start ? "" : absl::StrCat(any, " "),
                        "(", body, ") ", ends_ ? "" : absl::StrCat(any, " "),
                        R"("\"")");
  }

 private:
  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(
        "pattern ", QuoteInput(text_), " at byte ", at_, ": ", what));
  }
  bool AtEnd() const { return at_ >= text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }
  bool Take(absl::string_view what) {
    if (!absl::StartsWith(text_.substr(at_), what)) return false;
    at_ += what.size();
    return true;
  }

  absl::StatusOr<std::string> Choices(int depth) {
    std::vector<std::string> choices;
    do {
      WEFT_ASSIGN_OR_RETURN(std::string sequence, Sequence(depth));
      choices.push_back(sequence.empty() ? "\"\"" : std::move(sequence));
    } while (Take("|"));
    if (depth == 0) choices_at_top_ = choices.size() > 1;
    return absl::StrJoin(choices, " | ");
  }

  absl::StatusOr<std::string> Sequence(int depth) {
    std::string out;
    while (!AtEnd() && Peek() != '|' && Peek() != ')') {
      if (depth == 0 && Peek() == '$' && at_ + 1 == text_.size()) {
        ends_ = true;
        ++at_;
        break;
      }
      WEFT_ASSIGN_OR_RETURN(std::string atom, Atom(depth));
      WEFT_ASSIGN_OR_RETURN(const std::string times, Quantifier());
      absl::StrAppend(&out, out.empty() ? "" : " ", atom, times);
    }
    return out;
  }

  absl::StatusOr<std::string> Atom(int depth) {
    const char c = Peek();
    if (absl::StrContains("*+?{", c))
      return Error("there is nothing to repeat");
    if (c == '^' || c == '$')
      return Error("anchors are supported at the ends only");
    if (c == '(') return Group(depth);
    if (c == '[') return Class();
    if (Take(".")) {
      CodePointRanges line_ends = {{'\n', '\n'}, {'\r', '\r'}};
      return ClassToGbnf(Complement(line_ends));
    }
    if (CodePointRanges named; c == '\\' && at_ + 1 < text_.size() &&
                               NamedClass(text_[at_ + 1], named)) {
      at_ += 2;
      std::sort(named.begin(), named.end());
      return ClassToGbnf(named);
    }
    WEFT_ASSIGN_OR_RETURN(const uint32_t character, Character());
    return GbnfLiteral(InJson(character));
  }

  absl::StatusOr<std::string> Group(int depth) {
    if (depth >= kMaxNesting) return Error("groups are nested too deeply");
    Take("(");
    if (Peek() == '?' && !Take("?:"))
      return Error("lookaround and named groups, (?, are not supported");
    WEFT_ASSIGN_OR_RETURN(const std::string body, Choices(depth + 1));
    if (!Take(")")) return Error("a group has no closing )");
    return absl::StrCat("(", body, ")");
  }

  absl::StatusOr<std::string> Class() {
    Take("[");
    const bool negated = Take("^");
    CodePointRanges ranges;
    while (!Take("]")) {
      if (AtEnd()) return Error("a class has no closing ]");
      if (Peek() == '\\' && at_ + 1 < text_.size() &&
          NamedClass(text_[at_ + 1], ranges)) {
        at_ += 2;
        continue;
      }
      WEFT_ASSIGN_OR_RETURN(const uint32_t low, Character());
      uint32_t high = low;
      if (Peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        WEFT_ASSIGN_OR_RETURN(high, Character());
      }
      if (high < low) return Error("a range ends before it begins");
      ranges.emplace_back(low, high);
    }
    // Twice, so that overlapping ranges become one.
    CodePointRanges others = Complement(std::move(ranges));
    return ClassToGbnf(negated ? others : Complement(std::move(others)));
  }

  absl::StatusOr<uint32_t> Character() {
    if (AtEnd()) return Error("a character is missing");
    if (!Take("\\")) {
      const Utf8Prefix prefix = ReadUtf8(text_.substr(at_));
      const uint32_t character = DecodeUtf8(text_.substr(at_, prefix.size));
      at_ += prefix.size;
      return character;
    }
    constexpr absl::string_view kNames = "nrtfv0";
    constexpr absl::string_view kMeant("\n\r\t\f\v\0", 6);
    const char c = Peek();
    if (const size_t i = kNames.find(c); !AtEnd() && i != kNames.npos) {
      ++at_;
      return static_cast<unsigned char>(kMeant[i]);
    }
    if (c == 'x' || c == 'u') {
      const size_t digits = c == 'x' ? 2 : 4;
      const absl::string_view hex = text_.substr(at_ + 1, digits);
      uint32_t character = 0;
      if (hex.size() < digits ||
          !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit) ||
          !absl::SimpleHexAtoi(hex, &character) ||
          (character >= 0xD800 && character < 0xE000))
        return Error("is no escape of a character");
      at_ += 1 + digits;
      return character;
    }
    // \b, \p, \1 and the like mean more than themselves.
    if (AtEnd() || absl::ascii_isalnum(static_cast<unsigned char>(c)))
      return Error(absl::StrCat("the escape \\", text_.substr(at_, 1),
                                " is not supported"));
    ++at_;
    return static_cast<unsigned char>(c);
  }

  absl::StatusOr<std::string> Quantifier() {
    const size_t begin = at_;
    if (!Take("*") && !Take("+") && !Take("?") && Take("{")) {
      const size_t end = text_.find('}', at_);
      if (end == text_.npos ||
          text_.substr(at_, end - at_).find_first_not_of("0123456789,") !=
              absl::string_view::npos)
        return Error("a repetition is no {n}, {n,} or {n,m}");
      at_ = end + 1;
    }
    const std::string times(text_.substr(begin, at_ - begin));
    if (!times.empty()) Take("?");  // lazy: the same texts match
    if (!times.empty() && absl::StrContains("*+?{", Peek()) && !AtEnd())
      return Error("there is nothing to repeat");
    return times;
  }

  absl::string_view text_;
  absl::string_view char_rule_;
  size_t at_ = 0;
  bool ends_ = false;
  bool choices_at_top_ = false;
};

}  // namespace

absl::StatusOr<std::string> PatternToGbnf(absl::string_view pattern,
                                          absl::string_view char_rule) {
  return PatternParser(pattern, char_rule).Run();
}

}  // namespace weft::inline v0
