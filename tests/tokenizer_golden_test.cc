// Tokenizers of all kinds against reference values of real and small models.
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
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

// What llama_detokenize does to the text of most BPE families and of BERT, and
// token-by-token text does not: a space goes before ?!., and before 's 'm 're
// 've, and so do both around a lone apostrophe.
std::string CleanSpaces(const std::string& text) {
  const auto drop_space_before =
      [](const std::string& from,
         const std::function<bool(absl::string_view rest)>& matches) {
        std::string out;
        for (size_t i = 0; i < from.size(); ++i) {
          const absl::string_view rest = absl::string_view(from).substr(i + 1);
          if (from[i] != ' ' || !matches(rest)) out += from[i];
        }
        return out;
      };
  std::string out = drop_space_before(text, [](absl::string_view rest) {
    return !rest.empty() && absl::StrContains("?!.,", rest.substr(0, 1));
  });
  out = absl::StrReplaceAll(out, {{" ' ", "'"}});
  return drop_space_before(out, [](absl::string_view rest) {
    for (const absl::string_view tail : {"'s", "'m", "'re", "'ve"})
      if (absl::StartsWith(rest, tail)) return true;
    return false;
  });
}

struct Expectations {
  bool clean_spaces = false;  // in the expected texts
};

void ExpectString(const Tokenizer& tokenizer, const nlohmann::json& entry,
                  const Expectations& expectations) {
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
  const auto expect_text = [&](const std::string& got, const char* key) {
    EXPECT_EQ(Hex(expectations.clean_spaces ? CleanSpaces(got) : got),
              entry[key].get<std::string>())
        << key;
  };
  expect_text(Decode(tokenizer, special, true), "detok_special_hex");
  expect_text(Decode(tokenizer, plain), "detok_plain_hex");
  expect_text(Decode(tokenizer, special), "detok_removed_hex");
}

void ExpectGolden(const Tokenizer& tokenizer, const nlohmann::json& golden,
                  const Expectations& expectations = {}) {
  EXPECT_EQ(tokenizer.vocab_size(), golden["n_vocab"].get<int>());
  EXPECT_EQ(tokenizer.bos(), golden["bos"].get<Token>());
  EXPECT_EQ(tokenizer.eos(), golden["eos"].get<Token>());
  EXPECT_EQ(tokenizer.warnings().size(), 0u);
  ASSERT_GE(golden["strings"].size(), 28u);
  for (const nlohmann::json& entry : golden["strings"])
    ExpectString(tokenizer, entry, expectations);
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

// tokens.json leaves out models whose results equal an earlier one's: which
// that is follows from the pre-tokenizer and the ids.
std::string EntryOf(const std::string& model, const GgufFile& file,
                    const nlohmann::json& golden) {
  if (golden.contains(model)) return model;
  if (file.GetString("tokenizer.ggml.model").value() == "llama")
    return "llama_gqa";
  // The others are like gpt2 but for the pre-tokenizer, which none of the texts
  // tells apart.
  const auto eos = file.GetUint32("tokenizer.ggml.eos_token_id").value();
  return file.Has("tokenizer.ggml.bos_token_id") && eos == 511 ? "gpt2"
                                                               : "qwen2";
}

// By the names of tokenizer.ggml.pre.
bool CleansSpaces(const GgufFile& file) {
  if (file.GetString("tokenizer.ggml.model").value() == "llama") return false;
  const absl::string_view pre = file.GetString("tokenizer.ggml.pre").value();
  return pre != "qwen2" && pre != "gpt-4o" && pre != "deepseek-llm" &&
         pre != "deepseek-coder" && pre != "kimi-k2";
}

TEST(TokenizerGolden, SmallModels) {
  const std::string folder = absl::StrCat(kShared, "/golden/open/");
  const std::string json = ReadFile(folder + "tokens.json");
  if (json.empty()) GTEST_SKIP() << "no reference values in " << folder;
  const auto golden = nlohmann::json::parse(json);
  size_t models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    const std::string model = entry.path().stem().string();
    if (absl::StrContains(model, '-')) continue;  // the same, quantised
    SCOPED_TRACE(model);
    const auto file = GgufFile::Open(entry.path().string());
    ASSERT_TRUE(file.ok()) << file.status();
    const auto tokenizer = MakeTokenizer(*file);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    const std::string same = EntryOf(model, *file, golden);
    ++models;
    ExpectGolden(**tokenizer, golden[same],
                 {.clean_spaces = CleansSpaces(*file)});
  }
  EXPECT_GE(models, 21u);
}

// One vocabulary under the names of several pre-tokenizers.
TEST(TokenizerGolden, PreTokenizers) {
  const std::string folder = absl::StrCat(kShared, "/golden/vocab/");
  const std::string json = ReadFile(folder + "tokens.json");
  if (json.empty()) GTEST_SKIP() << "no reference values in " << folder;
  const auto golden = nlohmann::json::parse(json);
  const auto file = GgufFile::Open(folder + "bpe.gguf");
  ASSERT_TRUE(file.ok()) << file.status();
  GgufSpec spec;
  for (const absl::string_view key : file->keys()) {
    if (key == "tokenizer.ggml.pre") continue;
    const absl::string_view raw = file->GetRaw(key).value();
    spec.keys.push_back({std::string(key),
                         static_cast<uint32_t>(file->TypeOf(key).value()),
                         std::string(raw.substr(4))});
  }
  const auto texts = golden["strings_hex"].get<std::vector<std::string>>();
  for (const auto& [pre, expected] : golden["pre"].items()) {
    SCOPED_TRACE(pre);
    GgufSpec named = spec;
    named.String("tokenizer.ggml.pre", pre);
    const std::string bytes = named.Build();
    const auto renamed = GgufFile::Parse(AsBytes(bytes), "test");
    ASSERT_TRUE(renamed.ok()) << renamed.status();
    const auto tokenizer = MakeTokenizer(*renamed);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    EXPECT_EQ((*tokenizer)->warnings().size(), 0u);
    EXPECT_EQ((*tokenizer)->bos(), golden["bos"].get<Token>());
    EXPECT_EQ((*tokenizer)->eos(), golden["eos"].get<Token>());
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::string text = absl::HexStringToBytes(texts[i]);
      SCOPED_TRACE(absl::CEscape(text));
      const Tokens plain = expected["plain"][i].get<Tokens>();
      EXPECT_EQ(Encode(**tokenizer, text), plain);
      EXPECT_EQ(Encode(**tokenizer, text,
                       {.add_special = true, .parse_special = true}),
                expected["parsed"][i].get<Tokens>());
      const std::string decoded = Decode(**tokenizer, plain);
      EXPECT_EQ(decoded, text);
      EXPECT_EQ(Hex(CleansSpaces(*renamed) ? CleanSpaces(decoded) : decoded),
                expected["detok_plain_hex"][i].get<std::string>());
    }
  }
}

// A vocabulary with the texts and the ids that llama.cpp tests it with.
void ExpectVocabulary(const std::string& name, bool reversible = true) {
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
    if (reversible) {
      EXPECT_EQ(Decode(*tokenizer, tokens), texts[i]);
    }
  }
}

TEST(TokenizerGolden, Llama) { ExpectVocabulary("llama-spm"); }
TEST(TokenizerGolden, Phi3) { ExpectVocabulary("phi-3"); }
TEST(TokenizerGolden, Gpt2) { ExpectVocabulary("gpt-2"); }
TEST(TokenizerGolden, DeepseekCoder) { ExpectVocabulary("deepseek-coder"); }
TEST(TokenizerGolden, Starcoder) { ExpectVocabulary("starcoder"); }
// Case, accents and white space are lost.
TEST(TokenizerGolden, Bert) { ExpectVocabulary("bert-bge", false); }

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
