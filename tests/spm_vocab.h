// Small SentencePiece vocabularies for tests.
#ifndef WEFT_TESTS_SPM_VOCAB_H_
#define WEFT_TESTS_SPM_VOCAB_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/tokenizer.h"
#include "models/vocab.h"
#include "tests/gguf_builder.h"

namespace weft::inline v0 {

struct SpmVocab {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<int32_t> types;

  // Returns the new token's id.
  Token Add(std::string text, float score = 0,
            TokenType type = TokenType::kNormal);
  // <unk>, <s>, </s>
  void AddSpecials();
  // <0x00> to <0xFF>
  void AddBytes();

  GgufSpec Spec() const;
};

// 3 special tokens, 256 bytes, the space (U+2581), the letters a to f, and some
// longer texts of them: "ab" "cd" "abcd" "▁a" "▁▁".
SpmVocab SmallSpmVocab();

// The tokenizer of the file that `spec` describes, named "test".
absl::StatusOr<std::unique_ptr<Tokenizer>> MakeTokenizer(const GgufSpec& spec);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_SPM_VOCAB_H_
