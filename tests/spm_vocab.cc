#include "tests/spm_vocab.h"

#include <cstdio>
#include <utility>

#include "graph/status_macros.h"

namespace weft::inline v0 {

Token SpmVocab::Add(std::string text, float score, TokenType type) {
  texts.push_back(std::move(text));
  scores.push_back(score);
  types.push_back(static_cast<int32_t>(type));
  return static_cast<Token>(texts.size()) - 1;
}

void SpmVocab::AddSpecials() {
  Add("<unk>", 0, TokenType::kUnknown);
  Add("<s>", 0, TokenType::kControl);
  Add("</s>", 0, TokenType::kControl);
}

void SpmVocab::AddBytes() {
  for (unsigned byte = 0; byte < 256; ++byte) {
    char text[7];
    std::snprintf(text, sizeof(text), "<0x%02X>", byte);
    Add(text, 0, TokenType::kByte);
  }
}

GgufSpec SpmVocab::Spec() const {
  GgufSpec spec;
  spec.String("tokenizer.ggml.model", "llama")
      .Strings("tokenizer.ggml.tokens", texts)
      .Array("tokenizer.ggml.scores", GgufType::kFloat32, scores)
      .Array("tokenizer.ggml.token_type", GgufType::kInt32, types)
      .Scalar("tokenizer.ggml.bos_token_id", GgufType::kUint32, uint32_t{1})
      .Scalar("tokenizer.ggml.eos_token_id", GgufType::kUint32, uint32_t{2})
      .Scalar("tokenizer.ggml.unknown_token_id", GgufType::kUint32,
              uint32_t{0});
  return spec;
}

SpmVocab SmallSpmVocab() {
  SpmVocab vocab;
  vocab.AddSpecials();
  vocab.AddBytes();
  for (const char* text : {"▁", "a", "b", "c", "d", "e", "f"})
    vocab.Add(text, -100);
  vocab.Add("ab", -1);
  vocab.Add("cd", -2);
  vocab.Add("abcd", -3);
  vocab.Add("▁a", -4);
  vocab.Add("▁▁", -5);
  return vocab;
}

absl::StatusOr<std::unique_ptr<Tokenizer>> MakeTokenizer(const GgufSpec& spec) {
  const std::string bytes = spec.Build();
  WEFT_ASSIGN_OR_RETURN(const GgufFile file,
                        GgufFile::Parse(AsBytes(bytes), "test"));
  return MakeTokenizer(file);
}

}  // namespace weft::inline v0
