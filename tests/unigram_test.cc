// The Unigram tokenizer against SentencePiece: tests/golden/make_unigram.py
// made the models and the ids.
#include <algorithm>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/tokenizer_util.h"

namespace weft {
namespace {

nlohmann::json Models() {
  std::ifstream in(absl::StrCat(WEFT_SOURCE_DIR, "/tests/golden/unigram.json"));
  return nlohmann::json::parse(in);
}

GgufSpec SpecOf(const nlohmann::json& model) {
  const std::string map =
      absl::HexStringToBytes(model["charsmap"].get<std::string>());
  GgufSpec spec;
  spec.String("tokenizer.ggml.model", "t5")
      .Strings("tokenizer.ggml.tokens",
               model["tokens"].get<std::vector<std::string>>())
      .Array("tokenizer.ggml.scores", GgufType::kFloat32,
             model["scores"].get<std::vector<float>>())
      .Array("tokenizer.ggml.token_type", GgufType::kInt32,
             model["types"].get<std::vector<int32_t>>())
      .Array("tokenizer.ggml.precompiled_charsmap", GgufType::kInt8,
             std::vector<int8_t>(map.begin(), map.end()));
  for (const char* flag : {"add_space_prefix", "remove_extra_whitespaces"}) {
    spec.Scalar(absl::StrCat("tokenizer.ggml.", flag), GgufType::kBool,
                static_cast<uint8_t>(model[flag].get<bool>()));
  }
  return spec;
}

TEST(Unigram, AsSentencePiece) {
  for (const nlohmann::json& model : Models()) {
    SCOPED_TRACE(model["name"]);
    const auto tokenizer = Make(SpecOf(model));
    ASSERT_NE(tokenizer, nullptr);
    EXPECT_EQ(tokenizer->eos(), 1);
    EXPECT_FALSE(tokenizer->bos().has_value());
    ASSERT_GE(model["texts"].size(), 26u);
    for (const nlohmann::json& entry : model["texts"]) {
      const std::string text = entry["text"];
      SCOPED_TRACE(absl::CEscape(text));
      const bool keeps_spaces = !model["remove_extra_whitespaces"].get<bool>();
      // SentencePiece puts its space before nothing but spaces as well.
      if (keeps_spaces && text == " ") continue;
      Tokens ids = entry["ids"].get<Tokens>();
      EXPECT_EQ(Encode(*tokenizer, text), ids);
      ids.push_back(1);
      EXPECT_EQ(Encode(*tokenizer, text, {.add_special = true}), ids);
    }
  }
}

TEST(Unigram, BytesOfUnknownCharacters) {
  const auto tokenizer = Make(SpecOf(Models()[1]));
  ASSERT_NE(tokenizer, nullptr);
  for (const std::string text : {"你好 z", "a😀b", "中"}) {
    EXPECT_EQ(Decode(*tokenizer, Encode(*tokenizer, text)), text);
  }
  // What is no UTF-8 is normalised to U+FFFD.
  EXPECT_EQ(Decode(*tokenizer, Encode(*tokenizer, "a\xED\xA0\x80\xFF")),
            "a\uFFFD\uFFFD\uFFFD\uFFFD");
}

TEST(Unigram, V17_MegabyteOfOneCharacter) {
  const auto tokenizer = Make(SpecOf(Models()[1]));
  ASSERT_NE(tokenizer, nullptr);
  for (const char* character : {"a", "z", "中", " ", "\n", "\xED"}) {
    std::string text;
    while (text.size() < 1'000'000) text += character;
    const std::clock_t begin = std::clock();
    Encode(*tokenizer, text);
    // The linear 0.1 s has room for an emulator or a sanitizer below this.
    EXPECT_LT(std::clock() - begin, 10 * CLOCKS_PER_SEC)
        << absl::CEscape(character);
  }
}

// As llama.cpp has it and SentencePiece has not: the text on each side of a
// user-defined token is a text of its own.
TEST(Unigram, UserDefinedTokens) {
  nlohmann::json model = Models()[0];
  const auto before = model["tokens"].size();
  model["tokens"].push_back("ﬁ");
  model["scores"].push_back(-50);
  model["types"].push_back(4);
  const auto tokenizer = Make(SpecOf(model));
  ASSERT_NE(tokenizer, nullptr);
  const Token user = static_cast<Token>(before);
  const Tokens there = Encode(*tokenizer, "there");
  Tokens expected = there;
  expected.push_back(user);
  expected.insert(expected.end(), there.begin(), there.end());
  EXPECT_EQ(Encode(*tokenizer, "thereﬁ there"), expected);
}

// The best way by trying all of them.
double BestScore(const nlohmann::json& model, const std::string& text,
                 size_t begin) {
  if (begin == text.size()) return 0;
  double best = -1e30;
  const auto tokens = model["tokens"].get<std::vector<std::string>>();
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (model["types"][i] != 1 || tokens[i].empty() ||
        text.compare(begin, tokens[i].size(), tokens[i]) != 0)
      continue;
    const double score = model["scores"][i].get<float>();
    best = std::max(best,
                    score + BestScore(model, text, begin + tokens[i].size()));
  }
  return best;
}

TEST(Unigram, NoWayIsBetter) {
  const nlohmann::json model = Models()[0];
  const auto tokenizer = Make(SpecOf(model));
  ASSERT_NE(tokenizer, nullptr);
  for (const char* text : {"there", "mother", "in the h", "stones"}) {
    double score = 0;
    for (const Token token : Encode(*tokenizer, text))
      score += model["scores"][static_cast<size_t>(token)].get<float>();
    const std::string spaced =
        absl::StrCat("▁", absl::StrReplaceAll(text, {{" ", "▁"}}));
    // Rounding of a few sums in float64.
    EXPECT_NEAR(score, BestScore(model, spaced, 0), 1e-9) << text;
  }
}

}  // namespace
}  // namespace weft
