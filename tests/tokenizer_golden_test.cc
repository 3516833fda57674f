// The SentencePiece tokenizer against reference values of real and small
// models.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/tokenizer_util.h"

namespace weft {
namespace {

constexpr char kShared[] = WEFT_SHARED_DIR;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void ExpectGolden(const Tokenizer& tokenizer, const nlohmann::json& golden) {
  EXPECT_EQ(tokenizer.vocab_size(), golden["n_vocab"].get<int>());
  EXPECT_EQ(tokenizer.bos(), golden["bos"].get<Token>());
  EXPECT_EQ(tokenizer.eos(), golden["eos"].get<Token>());
  EXPECT_EQ(tokenizer.warnings().size(), 0u);
  ASSERT_GE(golden["strings"].size(), 28u);
  for (const nlohmann::json& entry : golden["strings"]) {
    const std::string text =
        absl::HexStringToBytes(entry["hex"].get<std::string>());
    SCOPED_TRACE(absl::CEscape(text));
    const Tokens special = entry["special"].get<Tokens>();
    const Tokens plain = entry["plain"].get<Tokens>();
    EXPECT_EQ(Encode(tokenizer, text, {.add_special = true}), special);
    EXPECT_EQ(Encode(tokenizer, text), plain);
    EXPECT_EQ(
        Encode(tokenizer, text, {.add_special = true, .parse_special = true}),
        entry["parsed"].get<Tokens>());
    EXPECT_EQ(Hex(Decode(tokenizer, special, true)),
              entry["detok_special_hex"].get<std::string>());
    EXPECT_EQ(Hex(Decode(tokenizer, plain)),
              entry["detok_plain_hex"].get<std::string>());
    EXPECT_EQ(Hex(Decode(tokenizer, special)),
              entry["detok_removed_hex"].get<std::string>());
  }
}

TEST(TokenizerGolden, Stories) {
  const std::string folder = absl::StrCat(kShared, "/golden/stories260K/");
  const std::string json = ReadFile(folder + "tokens.json");
  if (json.empty()) GTEST_SKIP() << "no reference values in " << folder;
  const auto golden = nlohmann::json::parse(json);
  for (const std::string& path :
       {absl::StrCat(kShared, "/models/stories260K.gguf"),
        folder + "stories260K-q8_0.gguf", folder + "stories260K-q4_0.gguf"}) {
    SCOPED_TRACE(path);
    const auto tokenizer = OpenTokenizer(path);
    ASSERT_NE(tokenizer, nullptr);
    ExpectGolden(*tokenizer, golden);
  }
}

TEST(TokenizerGolden, Story) {
  const std::string folder = absl::StrCat(kShared, "/golden/stories260K/");
  const std::string json = ReadFile(folder + "index.json");
  if (json.empty()) GTEST_SKIP() << "no reference values in " << folder;
  const auto tokenizer =
      OpenTokenizer(absl::StrCat(kShared, "/models/stories260K.gguf"));
  ASSERT_NE(tokenizer, nullptr);
  const std::string story = ReadFile(folder + "story.txt");
  const Tokens tokens = Encode(*tokenizer, story);
  EXPECT_EQ(tokens, nlohmann::json::parse(json)["story_tokens"].get<Tokens>());
  EXPECT_EQ(Decode(*tokenizer, tokens), story);
}

// tokens.json leaves out models whose results equal an earlier one's: all with
// a SentencePiece vocabulary have those of llama_gqa.
TEST(TokenizerGolden, SmallModels) {
  const std::string folder = absl::StrCat(kShared, "/golden/open/");
  const std::string json = ReadFile(folder + "tokens.json");
  if (json.empty()) GTEST_SKIP() << "no reference values in " << folder;
  const auto golden = nlohmann::json::parse(json)["llama_gqa"];
  int models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    SCOPED_TRACE(entry.path().string());
    const auto file = GgufFile::Open(entry.path().string());
    ASSERT_TRUE(file.ok()) << file.status();
    const auto kind = file->GetString("tokenizer.ggml.model");
    if (!kind.ok() || *kind != "llama") continue;
    ++models;
    const auto tokenizer = MakeTokenizer(*file);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    ExpectGolden(**tokenizer, golden);
  }
  EXPECT_GE(models, 8);
}

// A vocabulary with the texts and the ids that llama.cpp tests it with.
void ExpectVocabulary(const std::string& name) {
  const std::string path =
      absl::StrCat(kShared, "/golden/tokenizers/ggml-vocab-", name, ".gguf");
  const std::string inputs = ReadFile(path + ".inp");
  if (inputs.empty()) GTEST_SKIP() << "no " << path << ".inp";
  const auto tokenizer = OpenTokenizer(path);
  ASSERT_NE(tokenizer, nullptr);
  const std::vector<std::string> texts =
      absl::StrSplit(inputs, "\n__ggml_vocab_test__\n");
  const std::vector<std::string> lines =
      absl::StrSplit(ReadFile(path + ".out"), '\n');
  ASSERT_GE(texts.size(), 40u);
  ASSERT_GE(lines.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    SCOPED_TRACE(absl::CEscape(texts[i]));
    Tokens expected;
    for (absl::string_view id :
         absl::StrSplit(lines[i], ' ', absl::SkipEmpty()))
      EXPECT_TRUE(absl::SimpleAtoi(id, &expected.emplace_back()));
    const Tokens tokens = Encode(*tokenizer, texts[i]);
    EXPECT_EQ(tokens, expected);
    EXPECT_EQ(Decode(*tokenizer, tokens), texts[i]);
  }
}

TEST(TokenizerGolden, Llama) { ExpectVocabulary("llama-spm"); }
TEST(TokenizerGolden, Phi3) { ExpectVocabulary("phi-3"); }

TEST(TokenizerGolden, Phi3SpecialTokens) {
  const std::string path =
      absl::StrCat(kShared, "/golden/tokenizers/ggml-vocab-phi-3.gguf");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const auto tokenizer = OpenTokenizer(path);
  ASSERT_NE(tokenizer, nullptr);
  const EncodeOptions chat = {.add_special = true, .parse_special = true};
  // <|user|> and its like swallow the white space that follows.
  EXPECT_EQ(Encode(*tokenizer, "<|user|>\nHello<|end|>\n<|assistant|>\n", chat),
            (Tokens{1, 32010, 15043, 32007, 32001}));
  EXPECT_EQ(Encode(*tokenizer, "<s> Hello", chat),
            (Tokens{1, 1, 29871, 15043}));
  for (const Token end : {2, 32000, 32007})
    EXPECT_TRUE(tokenizer->IsEndOfGeneration(end)) << end;
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(32010));
}

}  // namespace
}  // namespace weft
