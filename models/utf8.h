// UTF-8 as tokenizers and detokenizers need it.
#ifndef WEFT_MODELS_UTF8_H_
#define WEFT_MODELS_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// U+FFFD, what stands for bytes that are no character.
inline constexpr absl::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// What a text begins with.
struct Utf8Prefix {
  enum Kind {
    kCharacter,   // one whole character
    kInvalid,     // bytes that no continuation makes valid
    kIncomplete,  // the beginning of a character; the text ends within it
  };
  Kind kind;
  // Bytes it takes, at least 1. For the last two kinds the longest run that
  // begins a valid character ("maximal subpart"), or one byte.
  size_t size;
};

// Looks at the beginning of `text`, which must not be empty. Well-formed means
// table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing
// above U+10FFFF.
Utf8Prefix ReadUtf8(absl::string_view text);

// The code point of one character, as ReadUtf8 finds it; of bytes that are no
// character some number.
uint32_t DecodeUtf8(absl::string_view character);
// Appends a code point of at most U+10FFFF.
void AppendUtf8(uint32_t code_point, std::string& out);

// True when `text` is well-formed UTF-8.
bool IsValidUtf8(absl::string_view text);

// Joins pieces into a stream of valid UTF-8: bytes of a character that is not
// complete yet are held back until the next piece completes it; bytes that can
// never become valid are replaced by U+FFFD, one for each maximal subpart
// (Unicode standard, section 3.9). One object per text; not thread-safe.
class Utf8Stream {
 public:
  // Adds `piece` and returns what can be shown now (possibly "").
  std::string Push(absl::string_view piece);
  // The rest: an incomplete character as U+FFFD. The stream is then as new.
  std::string Finish();

 private:
  std::string held_;  // at most 3 bytes between calls
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_UTF8_H_
