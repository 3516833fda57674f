// Byte-level BPE and WordPiece: rules, properties, broken vocabularies and
// hostile texts. Reference values are in tokenizer_golden_test.
#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/bert_words.h"
#include "models/byte_text.h"
#include "models/pre_tokenizers.h"
#include "models/regex_splitter.h"
#include "tests/bpe_vocab.h"
#include "tests/tokenizer_util.h"

namespace weft {
namespace {

using absl::StatusCode;

constexpr char kMerges[] = "tokenizer.ggml.merges";
constexpr char kMap[] = "tokenizer.ggml.precompiled_charsmap";

void ExpectError(const absl::Status& status, StatusCode code,
                 const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& part : parts)
    EXPECT_TRUE(absl::StrContains(status.message(), part))
        << status << " lacks " << part;
}

void ExpectError(const GgufSpec& spec, StatusCode code,
                 const std::vector<std::string>& parts) {
  ExpectError(MakeTokenizer(spec).status(), code, parts);
}

std::vector<std::string> Pieces(const Tokenizer& tokenizer,
                                absl::string_view text,
                                const EncodeOptions& options = {}) {
  std::vector<std::string> pieces;
  for (const Token token : Encode(tokenizer, text, options))
    pieces.push_back(tokenizer.Piece(token, true).value());
  return pieces;
}

using Strings = std::vector<std::string>;

TEST(ByteText, EveryByteAndBack) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  const std::string text = BytesToText(bytes);
  EXPECT_TRUE(IsValidUtf8(text));
  EXPECT_EQ(TextToBytes(text), bytes);
  EXPECT_EQ(BytesToText(" \n\t\x7F\xAD!~"), "ĠĊĉġŃ!~");
  // What stands for no byte stays.
  EXPECT_EQ(TextToBytes("▁中ń\xFF\x80"), "▁中ń\xFF\x80");
}

TEST(TokenizerBpe, MergesByRank) {
  const auto tokenizer = Make(SmallBpeVocab().Spec());
  EXPECT_EQ(Pieces(*tokenizer, "abcd"), (Strings{"abcd"}));
  // " a" comes first, so "abcd" is never made.
  EXPECT_EQ(Pieces(*tokenizer, "x abcd"), (Strings{"x", " a", "b", "cd"}));
  // Of equal ranks the left.
  EXPECT_EQ(Pieces(*tokenizer, "aaaaaaa"), (Strings{"aaaa", "aa", "a"}));
  // No merge over the edge of a word.
  EXPECT_EQ(Pieces(*tokenizer, "ab'd1c"), (Strings{"ab", "'", "d", "1", "c"}));
  EXPECT_EQ(Encode(*tokenizer, ""), Tokens{});
}

TEST(TokenizerBpe, IgnoreMerges) {
  BpeVocab vocab = SmallBpeVocab();
  vocab.Add("Ġbcd");  // made by no merge
  EXPECT_EQ(Pieces(*Make(vocab.Spec("gpt-2")), " bcd"),
            (Strings{" ", "b", "cd"}));
  EXPECT_EQ(Pieces(*Make(vocab.Spec("llama-bpe")), " bcd"), (Strings{" bcd"}));
  EXPECT_EQ(Pieces(*Make(vocab.Spec("llama-bpe")), " abcd"),
            (Strings{" abcd"}));
}

TEST(TokenizerBpe, SpecialTokens) {
  const auto tokenizer = Make(SmallBpeVocab().Spec().Scalar(
      "tokenizer.ggml.eos_token_id", GgufType::kUint32, 263u));
  ASSERT_EQ(tokenizer->Piece(263, true).value(), "<end>");
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(263));
  EXPECT_EQ(Pieces(*tokenizer, "a<mark>a<end>", {.parse_special = true}),
            (Strings{"a", "<mark>", "a", "<end>"}));
  EXPECT_EQ(Pieces(*tokenizer, "<mark><end>").size(), 6u);
  EXPECT_EQ(Decode(*tokenizer, Encode(*tokenizer, "<end>")), "<end>");
  // Parsed it is shown on demand only.
  const Tokens parsed = Encode(*tokenizer, "a<end>", {.parse_special = true});
  EXPECT_EQ(Decode(*tokenizer, parsed), "a");
  EXPECT_EQ(Decode(*tokenizer, parsed, true), "a<end>");
}

TEST(TokenizerBpe, BosAndEos) {
  const auto encode = [](GgufSpec spec) {
    return Encode(*Make(spec), "a", {.add_special = true});
  };
  const Token a = 'a';
  const GgufSpec gpt2 = SmallBpeVocab().Spec("gpt-2");
  const GgufSpec llama = SmallBpeVocab().Spec("llama-bpe");
  EXPECT_EQ(encode(gpt2), (Tokens{a}));
  EXPECT_EQ(encode(llama), (Tokens{11, a}));  // the usual BOS
  const auto flag = [](GgufSpec spec, const char* key, bool value) {
    return spec.Scalar(key, GgufType::kBool, static_cast<uint8_t>(value));
  };
  EXPECT_EQ(encode(flag(llama, "tokenizer.ggml.add_bos_token", false)),
            (Tokens{a}));
  EXPECT_EQ(encode(flag(gpt2, "tokenizer.ggml.add_bos_token", true)),
            (Tokens{11, a}));
  EXPECT_EQ(encode(flag(gpt2, "tokenizer.ggml.add_eos_token", true)),
            (Tokens{a, 11}));
  // GLM has no BOS unless the file names one.
  EXPECT_FALSE(Make(SmallBpeVocab().Spec("glm4"))->bos().has_value());
}

TEST(TokenizerBpe, SpaceBeforeMaskOfJina) {
  BpeVocab vocab = SmallBpeVocab();
  vocab.Add("<mask>", TokenType::kControl);
  const EncodeOptions parse = {.parse_special = true};
  EXPECT_EQ(Pieces(*Make(vocab.Spec("gpt-2")), "x <mask> a", parse),
            (Strings{"x", " ", "<mask>", " a"}));
  EXPECT_EQ(Pieces(*Make(vocab.Spec("jina-v2-de")), "x \n<mask> a", parse),
            (Strings{"x", "<mask>", " a"}));
}

TEST(TokenizerBpe, TextOfGemma4) {
  BpeVocab vocab;
  vocab.texts.clear();
  vocab.types.clear();
  for (int byte = 0; byte < 256; ++byte) {
    const std::string hex = Hex(std::string(1, static_cast<char>(byte)));
    vocab.Add(absl::StrCat("<0x", absl::AsciiStrToUpper(hex), ">"),
              TokenType::kByte);
  }
  for (const char* text : {"▁", "a", "b", "\n", "é"}) vocab.Add(text);
  vocab.Merge("▁", "a");
  vocab.Merge("▁a", "b");
  vocab.Add("\n\n");
  GgufSpec spec = vocab.Spec("gemma4");
  const auto tokenizer = Make(spec);
  EXPECT_EQ(
      Pieces(*tokenizer, "a ab\n\nb é中"),
      (Strings{"a", " ab", "\n\n", "b", " ", "é", "\xE4", "\xB8", "\xAD"}));
  EXPECT_EQ(Decode(*tokenizer, Encode(*tokenizer, "a ab é中\xFF")),
            "a ab é中\xFF");
}

// ---- names ----

TEST(TokenizerBpe, PreTokenizerNames) {
  const auto names = PreTokenizerNames();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_GE(names.size(), 80u);
  for (const absl::string_view name : names) {
    SCOPED_TRACE(name);
    const PreTokenizer* pre = FindPreTokenizer(name);
    ASSERT_NE(pre, nullptr);
    const auto splitter = RegexSplitter::Compile(pre->splits);
    EXPECT_TRUE(splitter.ok()) << splitter.status();
  }
  EXPECT_EQ(FindPreTokenizer(""), nullptr);
  EXPECT_EQ(FindPreTokenizer("llama"), nullptr);
}

TEST(TokenizerBpe, UnknownNamesWarn) {
  const auto tokenizer = Make(SmallBpeVocab().Spec("what\x1b"));
  ASSERT_EQ(tokenizer->warnings().size(), 1u);
  EXPECT_TRUE(
      absl::StrContains(tokenizer->warnings()[0],
                        "test: tokenizer.ggml.pre is unknown, \"what\\x1b\"; "))
      << tokenizer->warnings()[0];
  EXPECT_EQ(Encode(*tokenizer, "a1234"),
            Encode(*Make(SmallBpeVocab().Spec("default")), "a1234"));
  GgufSpec missing = SmallBpeVocab().Spec();
  missing.keys.erase(missing.keys.begin() + 1);
  const auto without = Make(missing);
  ASSERT_EQ(without->warnings().size(), 1u);
  EXPECT_TRUE(absl::StrContains(without->warnings()[0], "is missing"));
}

// ---- broken files ----

TEST(TokenizerMalformed, V10_MissingByte) {
  BpeVocab vocab = SmallBpeVocab();
  vocab.texts[0xC3] = "nothing";
  const auto tokenizer = Make(vocab.Spec());
  EXPECT_EQ(Decode(*tokenizer, Encode(*tokenizer, "ab ж")), "ab ж");
  ExpectError(tokenizer->Encode("é", {}).status(),
              StatusCode::kFailedPrecondition,
              {"test: TOK-V10", "byte token 0xC3 missing"});
}

TEST(TokenizerMalformed, V11_Merges) {
  const BpeVocab vocab = SmallBpeVocab();
  GgufSpec spec = vocab.Spec();
  ASSERT_EQ(spec.keys.back().key, kMerges);
  spec.keys.pop_back();
  ExpectError(spec, StatusCode::kFailedPrecondition,
              {"TOK-V11", kMerges, "missing"});
  ExpectError(GgufSpec(spec).Scalar(kMerges, GgufType::kUint32, 1u),
              StatusCode::kInvalidArgument, {kMerges});
  ExpectError(GgufSpec(spec).Array<uint32_t>(kMerges, GgufType::kUint32, {1}),
              StatusCode::kInvalidArgument,
              {"TOK-V11", kMerges, "element type string", "uint32"});
  for (const char* bad : {"", "ab", " ", "a ", " b", "a  b", "a b c", "a b ",
                          "a zz", "zz b", "a\tb", "b a", "a b\n"}) {
    BpeVocab broken = vocab;
    broken.merges.insert(broken.merges.begin() + 2, bad);
    ExpectError(broken.Spec(), StatusCode::kInvalidArgument,
                {absl::StrCat("test: TOK-V11 at byte ",
                              broken.Spec().OffsetOf(kMerges, 2),
                              ": tokenizer.ggml.merges[2] is \""),
                 absl::CHexEscape(bad)});
  }
  // None at all is fine, and so is one that comes twice: the first counts.
  EXPECT_NE(Make(GgufSpec(spec).Strings(kMerges, {})), nullptr);
  BpeVocab twice = vocab;
  twice.merges.push_back("Ġ a");
  EXPECT_EQ(Pieces(*Make(twice.Spec()), " abcd"), (Strings{" a", "b", "cd"}));
}

GgufSpec UnigramSpec() {
  GgufSpec spec;
  spec.String("tokenizer.ggml.model", "t5")
      .Strings("tokenizer.ggml.tokens", {"<pad>", "</s>", "<unk>", "▁", "a"})
      .Array("tokenizer.ggml.token_type", GgufType::kInt32,
             std::vector<int32_t>{3, 3, 2, 1, 1});
  return spec;
}

TEST(TokenizerMalformed, V13_CharsMap) {
  const auto with = [](std::string bytes) {
    return UnigramSpec().Array(
        kMap, GgufType::kUint8,
        std::vector<uint8_t>(bytes.begin(), bytes.end()));
  };
  const auto map = [](std::vector<uint32_t> units, std::string replacements) {
    std::string bytes = LittleEndian(static_cast<uint32_t>(4 * units.size()));
    for (const uint32_t unit : units) bytes += LittleEndian(unit);
    return bytes + replacements;
  };
  EXPECT_NE(Make(with("")), nullptr);
  for (const size_t size : {1, 2, 3}) {
    ExpectError(with(std::string(size, '\0')), StatusCode::kInvalidArgument,
                {"TOK-V13", kMap, absl::StrCat(size, " bytes")});
  }
  // Sizes that leave no room for replacements, or are no multiple of 4.
  for (const uint32_t size : {0u, 2u, 4u, 8u, 400u, 0xFFFFFFFCu, 0xFFFFFFFFu})
    ExpectError(with(LittleEndian(size) + std::string(4, '\0')),
                StatusCode::kInvalidArgument, {"TOK-V13", kMap});
  // A trie of "A" -> "a": the root's children begin at unit 0, that of byte
  // 0x41 is unit 0x41, its value in unit 0x41 ^ 0x20.
  std::vector<uint32_t> units(256);
  units[0x41] = 0x20u << 10 | 1u << 8 | 0x41;
  units[0x61] = 1u << 31 | 0;
  const auto good = Make(with(map(units, std::string("a\0", 2))));
  EXPECT_EQ(Encode(*good, "Aa"), (Tokens{4, 4}));
  ExpectError(with(map(units, "a")), StatusCode::kInvalidArgument,
              {"TOK-V13", "NUL"});
  for (const uint32_t value : {2u, 3u, 0x7FFFFFFFu}) {
    std::vector<uint32_t> bad = units;
    bad[0x61] = 1u << 31 | value;
    ExpectError(with(map(bad, std::string("a\0", 2))),
                StatusCode::kInvalidArgument,
                {"TOK-V13", absl::StrCat("byte of replacements ", value)});
  }
  for (const size_t unit : {0u, 0x41u}) {
    std::vector<uint32_t> bad = units;
    bad[unit] = 0x1FFFFFu << 10 | 1u << 8 | (unit & 0xFF);
    ExpectError(with(map(bad, std::string("a\0", 2))),
                StatusCode::kInvalidArgument, {"TOK-V13", "unit"});
  }
  ExpectError(UnigramSpec().Strings(kMap, {"a"}), StatusCode::kInvalidArgument,
              {"TOK-V13", kMap, "string"});
  ExpectError(UnigramSpec().String(kMap, "a"), StatusCode::kInvalidArgument,
              {kMap});
}

TEST(TokenizerMalformed, V6_TokensThatAreNeeded) {
  GgufSpec bert;
  bert.String("tokenizer.ggml.model", "bert")
      .Strings("tokenizer.ggml.tokens", {"[UNK]", "[CLS]", "[SEP]", "▁a"});
  for (const char* key : {"bos", "seperator", "unknown"}) {
    GgufSpec spec = bert;
    uint32_t id = 0;
    for (const char* other : {"unknown", "bos", "seperator"}) {
      if (absl::string_view(other) != key) {
        spec.Scalar(absl::StrCat("tokenizer.ggml.", other, "_token_id"),
                    GgufType::kUint32, id);
      }
      ++id;
    }
    ExpectError(spec, StatusCode::kFailedPrecondition, {"TOK-V6", key});
  }
  GgufSpec t5;
  t5.String("tokenizer.ggml.model", "t5")
      .Strings("tokenizer.ggml.tokens", {"a", "b"});
  ExpectError(t5, StatusCode::kFailedPrecondition, {"TOK-V6", "unknown"});
}

// ---- WordPiece ----

TEST(WordPiece, Words) {
  EXPECT_EQ(
      BertWords("Hello, Wörld! a中b\t\u200Bx\u0301y  ~c", {}),
      (Strings{"hello", ",", "world", "!", "a", "中", "b", "xy", "~", "c"}));
  EXPECT_EQ(BertWords("É $5 €5 가", {.strip_accents = false}),
            (Strings{"é", "$", "5", "€5", "가"}));
  EXPECT_EQ(BertWords("É", {.lower_case = false}), (Strings{"E"}));
  EXPECT_EQ(BertWords(std::string("a\0b\xFF\xED\xA0\x80", 7), {}),
            (Strings{"ab"}));
  EXPECT_EQ(BertWords(" \n\u3000", {}), Strings{});
}

TEST(WordPiece, LongestFirstOrUnknown) {
  GgufSpec spec;
  spec.String("tokenizer.ggml.model", "bert")
      .Strings("tokenizer.ggml.tokens", {"[UNK]", "[CLS]", "[SEP]", "▁un",
                                         "▁unaff", "aff", "able", "a", "▁,"})
      .Array("tokenizer.ggml.token_type", GgufType::kInt32,
             std::vector<int32_t>{2, 3, 3, 1, 1, 1, 1, 1, 1})
      .Scalar("tokenizer.ggml.unknown_token_id", GgufType::kUint32, 0u)
      .Scalar("tokenizer.ggml.bos_token_id", GgufType::kUint32, 1u)
      .Scalar("tokenizer.ggml.seperator_token_id", GgufType::kUint32, 2u);
  const auto tokenizer = Make(spec);
  EXPECT_EQ(Encode(*tokenizer, "UNaffable, unx un"), (Tokens{4, 6, 8, 0, 3}));
  EXPECT_EQ(Encode(*tokenizer, "un", {.add_special = true}), (Tokens{1, 3, 2}));
  EXPECT_EQ(Decode(*tokenizer, {1, 4, 6, 8, 2}), " unaffable ,");
}

// ---- properties ----

std::string RandomText(std::mt19937& random) {
  std::string text;
  for (size_t n = random() % 80; n > 0; --n) {
    switch (random() % 6) {
      case 0:
        text += static_cast<char>(random());
        break;
      case 1:
        absl::StrAppend(&text, "é中𝄞\u0301 \u00A0٣");
        break;
      case 2:
        text += std::string(random() % 9, " \n\r1a'"[random() % 6]);
        break;
      default:
        text += "abcd abcd'sLL12 .,\n\t~"[random() % 21];
    }
  }
  return text;
}

TEST(TokenizerProperty, BpeDecodeOfEncode) {
  const BpeVocab vocab = SmallBpeVocab();
  for (const absl::string_view name : PreTokenizerNames()) {
    if (FindPreTokenizer(name)->raw_text) continue;
    SCOPED_TRACE(name);
    const auto tokenizer = Make(vocab.Spec(name));
    for (uint32_t seed = 1; seed <= 60; ++seed) {
      std::mt19937 random(seed);
      const std::string text = RandomText(random);
      ASSERT_EQ(Hex(Decode(*tokenizer, Encode(*tokenizer, text))), Hex(text))
          << "seed " << seed;
    }
  }
}

TEST(TokenizerProperty, BpeWithRealVocabularies) {
  for (const char* name : {"gpt-2", "deepseek-coder"}) {
    const std::string path = absl::StrCat(
        WEFT_SHARED_DIR, "/golden/tokenizers/ggml-vocab-", name, ".gguf");
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
    const auto tokenizer = OpenTokenizer(path);
    ASSERT_NE(tokenizer, nullptr);
    for (uint32_t seed = 1; seed <= 500; ++seed) {
      std::mt19937 random(seed);
      const std::string text = RandomText(random);
      // deepseek-coder has user-defined tokens for bytes that no UTF-8 has.
      if (absl::string_view(name) != "gpt-2" && !IsValidUtf8(text)) continue;
      ASSERT_EQ(Hex(Decode(*tokenizer, Encode(*tokenizer, text))), Hex(text))
          << name << ", seed " << seed;
    }
  }
}

// The rule itself, in quadratic time.
Strings MergeSlowly(const BpeVocab& vocab, const std::string& text) {
  Strings parts;
  for (const char c : text) parts.push_back(std::string(1, c));
  while (true) {
    size_t best = parts.size();
    size_t best_rank = vocab.merges.size();
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto at = std::find(vocab.merges.begin(), vocab.merges.end(),
                                absl::StrCat(parts[i], " ", parts[i + 1]));
      const auto rank = static_cast<size_t>(at - vocab.merges.begin());
      if (rank >= best_rank) continue;
      best = i;
      best_rank = rank;
    }
    if (best == parts.size()) return parts;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(TokenizerProperty, BpeMergesAsTheRuleSays) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    BpeVocab vocab;
    Strings known = {"a", "b", "c"};
    for (int i = 0; i < 15; ++i) {
      const std::string left = known[random() % known.size()];
      const std::string right = known[random() % known.size()];
      vocab.Merge(left, right);
      known.push_back(left + right);
    }
    std::string text;
    for (size_t n = random() % 60; n > 0; --n) text += "abc"[random() % 3];
    ASSERT_EQ(Pieces(*Make(vocab.Spec()), text), MergeSlowly(vocab, text))
        << "seed " << seed << " " << text;
  }
}

}  // namespace
}  // namespace weft
