// What tests do with tokenizers. Failures are those of the calling test.
#ifndef WEFT_TESTS_TOKENIZER_UTIL_H_
#define WEFT_TESTS_TOKENIZER_UTIL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "models/tokenizer.h"
#include "tests/gguf_builder.h"
#include "tests/spm_vocab.h"

namespace weft::inline v0 {

using Tokens = std::vector<Token>;

// The tokenizer of a file; null when it has none.
inline std::unique_ptr<Tokenizer> OpenTokenizer(const std::string& path) {
  auto file = GgufFile::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  if (!file.ok()) return nullptr;
  auto tokenizer = MakeTokenizer(*file);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

inline std::unique_ptr<Tokenizer> Make(const GgufSpec& spec) {
  auto tokenizer = MakeTokenizer(spec);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

inline Tokens Encode(const Tokenizer& tokenizer, absl::string_view text,
                     const EncodeOptions& options = {}) {
  auto tokens = tokenizer.Encode(text, options);
  EXPECT_TRUE(tokens.ok()) << tokens.status();
  return tokens.value_or(Tokens{kNoToken});
}

inline std::string Decode(const Tokenizer& tokenizer, const Tokens& tokens,
                          bool special = false) {
  auto text = tokenizer.Decode(tokens, special);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.value_or("error");
}

inline std::string Hex(absl::string_view bytes) {
  return absl::BytesToHexString(bytes);
}

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_TOKENIZER_UTIL_H_
