#include "graph/escape.h"

#include <cstddef>

#include "absl/strings/str_cat.h"

namespace weft::inline v0 {
namespace {

// Bytes of the well-formed UTF-8 sequence (RFC 3629) that `text` begins with, 0
// when there is none.
size_t Utf8Length(absl::string_view text) {
  const auto byte = [text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const auto is_between = [&byte](size_t i, int low, int high) {
    return byte(i) >= low && byte(i) <= high;
  };
  const int first = byte(0);
  if (first < 0x80) return 1;
  if (is_between(0, 0xC2, 0xDF)) return is_between(1, 0x80, 0xBF) ? 2 : 0;
  // The second byte rules out overlong forms, surrogates and what lies beyond
  // U+10FFFF.
  const int low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const int high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (!is_between(1, low, high) || !is_between(2, 0x80, 0xBF)) return 0;
  if (is_between(0, 0xE0, 0xEF)) return 3;
  return is_between(0, 0xF0, 0xF4) && is_between(3, 0x80, 0xBF) ? 4 : 0;
}

// The code point of a well-formed sequence.
uint32_t CodePoint(absl::string_view sequence) {
  const auto byte = [sequence](size_t i) {
    return static_cast<uint32_t>(static_cast<unsigned char>(sequence[i]));
  };
  if (sequence.size() == 1) return byte(0);
  uint32_t point = byte(0) & (0x7Fu >> sequence.size());
  for (size_t i = 1; i < sequence.size(); ++i)
    point = point << 6 | (byte(i) & 0x3F);
  return point;
}

bool IsControl(uint32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x2028 ||
         point == 0x2029;
}

// Appends each character of `text` as `write` puts it.
template <class F>
std::string ByCharacter(absl::string_view text, F write) {
  std::string out;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) {
      out += "\xEF\xBF\xBD";  // U+FFFD
      text.remove_prefix(1);
      continue;
    }
    write(text.substr(0, length), CodePoint(text.substr(0, length)), out);
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace

std::string Printable(absl::string_view text) {
  return ByCharacter(
      text, [](absl::string_view character, uint32_t point, std::string& out) {
        if (point == '\\')
          out += "\\\\";
        else if (!IsControl(point))
          absl::StrAppend(&out, character);
        else if (point < 0x100)
          absl::StrAppend(&out, "\\x", absl::Hex(point, absl::kZeroPad2));
        else
          absl::StrAppend(&out, "\\u", absl::Hex(point, absl::kZeroPad4));
      });
}

std::string Quoted(absl::string_view text) {
  const std::string inside = ByCharacter(
      text, [](absl::string_view character, uint32_t point, std::string& out) {
        if (point == '"' || point == '\\')
          absl::StrAppend(&out, "\\", character);
        else if (point == '\n')
          out += "\\n";
        else if (IsControl(point) || point == '<')
          absl::StrAppend(&out, "\\u", absl::Hex(point, absl::kZeroPad4));
        else
          absl::StrAppend(&out, character);
      });
  return absl::StrCat("\"", inside, "\"");
}

}  // namespace weft::inline v0
