// Small byte-level BPE vocabularies for tests.
#ifndef WEFT_TESTS_BPE_VOCAB_H_
#define WEFT_TESTS_BPE_VOCAB_H_

#include <cstdint>
#include <string>
#include <vector>

#include "models/tokenizer.h"
#include "models/vocab.h"
#include "tests/gguf_builder.h"

namespace weft::inline v0 {

struct BpeVocab {
  std::vector<std::string> texts;  // as in a file: "Ġthe"
  std::vector<int32_t> types;
  std::vector<std::string> merges;

  // The 256 bytes as tokens 0 to 255.
  BpeVocab();
  // Returns the new token's id.
  Token Add(std::string text, TokenType type = TokenType::kNormal);
  // The merge of two texts, and the token that it makes.
  Token Merge(const std::string& left, const std::string& right);

  GgufSpec Spec(absl::string_view pre = "gpt-2") const;
};

// With "Ġa" "ab" "cd" "abcd" "Ġabcd" "aa" "aaaa" and, at the end, the control
// token "<end>", which is EOS, and the user-defined "<mark>".
BpeVocab SmallBpeVocab();

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_BPE_VOCAB_H_
