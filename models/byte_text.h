// Bytes as the texts of byte-level BPE tokens write them.
#ifndef WEFT_MODELS_BYTE_TEXT_H_
#define WEFT_MODELS_BYTE_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// GPT-2 writes each byte as one character, so that no token has white space or
// control characters: printable Latin-1 as itself, the 68 others as U+0100 and
// up, in order ("\x20" is U+0120).

// The characters of `bytes`.
std::string BytesToText(absl::string_view bytes);

// The bytes of a token's text. A character that stands for none is left as it
// is, and so are bytes that are no UTF-8.
std::string TextToBytes(absl::string_view text);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_BYTE_TEXT_H_
