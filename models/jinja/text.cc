#include "models/jinja/text.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_replace.h"
#include "models/jinja/value.h"

namespace weft::inline v0::jinja {
namespace {

int32_t CodePoint(absl::string_view character) {
  utf8proc_int32_t code = -1;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(character.data()),
                   static_cast<utf8proc_ssize_t>(character.size()), &code);
  return code;
}

void AppendMapped(absl::string_view character,
                  utf8proc_int32_t (*map)(utf8proc_int32_t), std::string& out) {
  const int32_t code = CodePoint(character);
  if (code < 0) {
    out.append(character.data(), character.size());
    return;
  }
  if (code == 0xDF && map == utf8proc_toupper) {
    out += "SS";
    return;
  }
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t size = utf8proc_encode_char(map(code), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

std::string Map(absl::string_view text,
                utf8proc_int32_t (*map)(utf8proc_int32_t)) {
  std::string out;
  for (const absl::string_view character : Characters(text))
    AppendMapped(character, map, out);
  return out;
}

}  // namespace

std::string ToLower(absl::string_view text) {
  return Map(text, utf8proc_tolower);
}

std::string ToUpper(absl::string_view text) {
  return Map(text, utf8proc_toupper);
}

std::string Capitalize(absl::string_view text) {
  std::string out;
  bool first = true;
  for (const absl::string_view character : Characters(text)) {
    AppendMapped(character, first ? utf8proc_toupper : utf8proc_tolower, out);
    first = false;
  }
  return out;
}

std::string TitleCase(absl::string_view text) {
  std::string out;
  bool first = true;
  for (const absl::string_view character : Characters(text)) {
    AppendMapped(character, first ? utf8proc_toupper : utf8proc_tolower, out);
    first = !IsLetter(character);
  }
  return out;
}

bool IsSpace(absl::string_view character) {
  const int32_t c = CodePoint(character);
  return (c >= 0x9 && c <= 0xD) || (c >= 0x1C && c <= 0x20) || c == 0x85 ||
         c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool IsLetter(absl::string_view character) {
  switch (utf8proc_category(CodePoint(character))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return true;
    default:
      return false;
  }
}

bool IsNumber(absl::string_view character) {
  return utf8proc_category(CodePoint(character)) == UTF8PROC_CATEGORY_ND;
}

std::string Strip(absl::string_view text, absl::string_view characters,
                  bool left, bool right) {
  const std::vector<absl::string_view> parts = Characters(text);
  const std::vector<absl::string_view> set = Characters(characters);
  const auto goes = [&](absl::string_view character) {
    if (set.empty()) return IsSpace(character);
    return std::find(set.begin(), set.end(), character) != set.end();
  };
  size_t begin = 0, end = parts.size();
  while (left && begin < end && goes(parts[begin])) ++begin;
  while (right && end > begin && goes(parts[end - 1])) --end;
  std::string out;
  for (size_t i = begin; i < end; ++i)
    out.append(parts[i].data(), parts[i].size());
  return out;
}

std::string EscapeHtml(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"},
                                    {"<", "&lt;"},
                                    {">", "&gt;"},
                                    {"'", "&#39;"},
                                    {"\"", "&#34;"}});
}

}  // namespace weft::inline v0::jinja
