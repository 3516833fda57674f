// How byte-level BPE vocabularies cut a text into words before merging.
#ifndef WEFT_MODELS_PRE_TOKENIZERS_H_
#define WEFT_MODELS_PRE_TOKENIZERS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

// One pass over all pieces that there are so far. What matches becomes a piece
// of its own (or as `cut` says), what lies between matches too. A piece is a
// whole text to the pattern: neither ^, $ nor a lookaround sees what lies
// beyond it.
struct PreSplit {
  // Perl syntax over Unicode characters, and names: \s is Unicode's White_Space
  // (also within [...]), \h the same without \r and \n, and <contraction>,
  // <tail>, <mark> what pre_tokenizers.cc says. Written so that it
  // never goes back over text more than once for each character.
  absl::string_view pattern;
  enum Cut {
    kMatch,      // before the match and after it
    kThousands,  // and into groups of three characters, counted from its end
    kGroups,     // before each such group only
  };
  Cut cut = kMatch;
};

// What a name of tokenizer.ggml.pre means.
struct PreTokenizer {
  absl::Span<const PreSplit> splits;
  // A word that is a token's text is that token, whatever the merges make.
  bool ignore_merges = false;
  bool add_bos = false;  // where the file says nothing
  // Tokens are text with U+2581 for a space, as SentencePiece's are, not bytes.
  bool raw_text = false;
  bool newline_words = false;  // a run of \n that is a token's text is it
};

// Null for a name that nobody has. The names are those that llama.cpp knows;
// their patterns are its too: where it departs from what a model's authors
// published, the ids of GGUF files are those that it gives.
const PreTokenizer* FindPreTokenizer(absl::string_view name);

// All names, sorted.
absl::Span<const absl::string_view> PreTokenizerNames();

// A pattern with its names written out, as PCRE2 takes it.
std::string ExpandPattern(absl::string_view pattern);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_PRE_TOKENIZERS_H_
