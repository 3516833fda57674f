// Vocabularies of SentencePiece's kind that are to be written.
#ifndef WEFT_TOOLS_NEW_VOCAB_H_
#define WEFT_TOOLS_NEW_VOCAB_H_

#include <cstdint>
#include <string>
#include <vector>

#include "models/gguf_key_values.h"
#include "models/vocab.h"

namespace weft::inline v0 {

// Token i has texts[i], scores[i] and types[i].
struct NewVocab {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<int32_t> types;  // numbers of TokenType

  void Add(std::string text, float score, TokenType type);
  // <unk>, <s>, </s> and <0x00> to <0xFF>: any text can be encoded.
  void AddSpecialsAndBytes();
  // Sets the tokenizer.* keys.
  void AddTo(GgufKeyValues& key_values) const;
};

// Of AddSpecialsAndBytes.
inline constexpr int64_t kSpecialsAndBytes = 3 + 256;

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_NEW_VOCAB_H_
