#include "tools/new_vocab.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace weft::inline v0 {

void NewVocab::Add(std::string text, float score, TokenType type) {
  texts.push_back(std::move(text));
  scores.push_back(score);
  types.push_back(static_cast<int32_t>(type));
}

void NewVocab::AddSpecialsAndBytes() {
  Add("<unk>", 0, TokenType::kUnknown);
  Add("<s>", 0, TokenType::kControl);
  Add("</s>", 0, TokenType::kControl);
  for (unsigned byte = 0; byte < 256; ++byte)
    Add(absl::StrFormat("<0x%02X>", byte), 0, TokenType::kByte);
}

void NewVocab::AddTo(GgufKeyValues& key_values) const {
  key_values.SetString("tokenizer.ggml.model", "llama");
  key_values.SetString("tokenizer.ggml.pre", "default");
  key_values.SetStrings("tokenizer.ggml.tokens", texts);
  key_values.SetFloats("tokenizer.ggml.scores", scores);
  key_values.SetInt32s("tokenizer.ggml.token_type", types);
  key_values.SetUint32("tokenizer.ggml.unknown_token_id", 0);
  key_values.SetUint32("tokenizer.ggml.bos_token_id", 1);
  key_values.SetUint32("tokenizer.ggml.eos_token_id", 2);
  key_values.SetBool("tokenizer.ggml.add_bos_token", true);
  key_values.SetBool("tokenizer.ggml.add_eos_token", false);
}

}  // namespace weft::inline v0
