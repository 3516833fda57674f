// The words of a text as BERT's vocabularies know them.
#ifndef WEFT_MODELS_BERT_WORDS_H_
#define WEFT_MODELS_BERT_WORDS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace weft::inline v0 {

struct BertOptions {
  bool lower_case = true;
  bool strip_accents = true;
};

// Cuts at white space, and around punctuation and Han characters, which are
// words of their own. Control characters, U+0000 and U+FFFD vanish, and so do
// bytes that are no UTF-8. With strip_accents a character becomes the first of
// its canonical decomposition (Unicode, NFD) and combining marks vanish; a
// Hangul syllable thus becomes its first consonant, as in llama.cpp.
std::vector<std::string> BertWords(absl::string_view text,
                                   const BertOptions& options);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_BERT_WORDS_H_
