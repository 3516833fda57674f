// Made-up SentencePiece vocabularies that work.
#ifndef WEFT_TOOLS_SYNTH_VOCAB_H_
#define WEFT_TOOLS_SYNTH_VOCAB_H_

#include <cstdint>

#include "tools/new_vocab.h"

namespace weft::inline v0 {

// <unk>, <s>, </s>, the 256 bytes and the space: any text can be encoded with
// these and comes back.
inline constexpr int64_t kMinSynthVocab = kSpecialsAndBytes + 1;

// A vocabulary of exactly `size` (at least kMinSynthVocab) tokens: the
// special ones and the bytes, then pieces of lower-case words, the best first,
// then the space and the printable ASCII characters. Each piece is what its own
// text is encoded to, as in a vocabulary that was trained. The pieces depend on
// `seed`.
NewVocab MakeSynthVocab(int64_t size, uint64_t seed);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_SYNTH_VOCAB_H_
