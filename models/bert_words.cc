#include "models/bert_words.h"

#include <utf8proc.h>

#include <cstdint>

#include "models/utf8.h"

namespace weft::inline v0 {
namespace {

// What to do with a character.
enum class Kind {
  kLetter,   // part of a word
  kWord,     // a word of its own
  kSpace,    // ends a word
  kNothing,  // as if it were not there
  kAccent,
};

bool IsWhiteSpace(int32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// The blocks that BERT takes for Chinese; that of extension E begins later than
// in Unicode.
bool IsHan(int32_t c) {
  struct Range {
    int32_t first, last;
  };
  constexpr Range kHan[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
                            {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
                            {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F},
                            {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
  for (const Range& range : kHan)
    if (c >= range.first && c <= range.last) return true;
  return false;
}

Kind KindOf(int32_t c) {
  if (IsWhiteSpace(c)) return Kind::kSpace;
  if (c == 0 || c == 0xFFFD) return Kind::kNothing;
  if (IsHan(c)) return Kind::kWord;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CS:
      return Kind::kNothing;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return Kind::kAccent;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return Kind::kWord;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
      return c < 0x7F ? Kind::kWord : Kind::kLetter;
    default:
      return Kind::kLetter;
  }
}

int32_t FirstDecomposed(int32_t c) {
  utf8proc_int32_t parts[32];
  int last_class = 0;
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(c, parts, 32, UTF8PROC_DECOMPOSE, &last_class);
  return count > 0 && count <= 32 ? parts[0] : c;
}

void AppendUtf8(int32_t c, std::string& out) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t size = utf8proc_encode_char(c, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

// Takes the first character off a text, U+FFFD where there is none.
int32_t NextCharacter(absl::string_view& text) {
  const Utf8Prefix prefix = ReadUtf8(text);
  int32_t c = 0xFFFD;
  if (prefix.kind == Utf8Prefix::kCharacter) {
    utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                     static_cast<utf8proc_ssize_t>(prefix.size), &c);
    text.remove_prefix(prefix.size);
  } else {
    text.remove_prefix(1);
  }
  return c;
}

}  // namespace

std::vector<std::string> BertWords(absl::string_view text,
                                   const BertOptions& options) {
  std::vector<std::string> words;
  bool open = false;  // the last word may grow
  while (!text.empty()) {
    int32_t c = NextCharacter(text);
    if (options.strip_accents) c = FirstDecomposed(c);
    const Kind kind = KindOf(c);
    if (kind == Kind::kNothing) continue;
    if (kind == Kind::kAccent && options.strip_accents) continue;
    if (kind == Kind::kSpace) {
      open = false;
      continue;
    }
    if (kind == Kind::kWord || !open) words.emplace_back();
    AppendUtf8(options.lower_case ? utf8proc_tolower(c) : c, words.back());
    open = kind != Kind::kWord;
  }
  return words;
}

}  // namespace weft::inline v0
