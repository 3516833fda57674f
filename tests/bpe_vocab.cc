#include "tests/bpe_vocab.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "models/byte_text.h"

namespace weft::inline v0 {

BpeVocab::BpeVocab() {
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    Add(BytesToText(absl::string_view(&text, 1)));
  }
}

Token BpeVocab::Add(std::string text, TokenType type) {
  texts.push_back(std::move(text));
  types.push_back(static_cast<int32_t>(type));
  return static_cast<Token>(texts.size()) - 1;
}

Token BpeVocab::Merge(const std::string& left, const std::string& right) {
  merges.push_back(absl::StrCat(left, " ", right));
  return Add(left + right);
}

GgufSpec BpeVocab::Spec(absl::string_view pre) const {
  GgufSpec spec;
  spec.String("tokenizer.ggml.model", "gpt2")
      .String("tokenizer.ggml.pre", pre)
      .Strings("tokenizer.ggml.tokens", texts)
      .Array("tokenizer.ggml.token_type", GgufType::kInt32, types)
      .Strings("tokenizer.ggml.merges", merges);
  return spec;
}

BpeVocab SmallBpeVocab() {
  BpeVocab vocab;
  vocab.Merge("Ġ", "a");
  vocab.Merge("a", "b");
  vocab.Merge("c", "d");
  vocab.Merge("ab", "cd");
  vocab.Merge("Ġ", "abcd");
  vocab.Merge("a", "a");
  vocab.Merge("aa", "aa");
  vocab.Add("<end>", TokenType::kControl);
  vocab.Add("<mark>", TokenType::kUserDefined);
  return vocab;
}

}  // namespace weft::inline v0
