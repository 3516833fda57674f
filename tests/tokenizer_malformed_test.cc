// Broken and odd vocabularies: each gets a defined status and a message that
// names what is wrong, or works. Tests are named by the error ids.
#include <algorithm>
#include <cmath>
#include <limits>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/tokenizer.h"
#include "tests/spm_vocab.h"

namespace weft {
namespace {

using absl::StatusCode;
using Tokens = std::vector<Token>;

constexpr char kModel[] = "tokenizer.ggml.model";
constexpr char kTokens[] = "tokenizer.ggml.tokens";
constexpr char kScores[] = "tokenizer.ggml.scores";
constexpr char kTypes[] = "tokenizer.ggml.token_type";

// Expects an error whose message has all of `parts`.
void ExpectError(const absl::Status& status, StatusCode code,
                 const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StartsWith(status.message(), "test: ")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "; expected ")) << status;
  for (const std::string& part : parts) {
    EXPECT_TRUE(absl::StrContains(status.message(), part))
        << status << " lacks " << part;
  }
}

// An error about a key that is there gives the byte of its value, or of the
// element; one about a key that is missing gives none.
void ExpectByte(const GgufSpec& spec, const std::string& message) {
  static const std::regex kForm(
      "test: TOK-V[0-9]+( at byte [0-9]+)?: ([a-z_.]+)(\\[([0-9]+)\\])? is");
  std::smatch match;
  if (!std::regex_search(message, match, kForm)) return;  // a getter's own
  const std::string key = match[2];
  const bool is_there =
      std::any_of(spec.keys.begin(), spec.keys.end(),
                  [&](const GgufKeySpec& k) { return k.key == key; });
  const size_t element = match[4].matched ? std::stoul(match[4]) : 0;
  EXPECT_EQ(
      match[1],
      is_there ? absl::StrCat(" at byte ", spec.OffsetOf(key, element)) : "")
      << message;
}

void ExpectError(const GgufSpec& spec, StatusCode code,
                 const std::vector<std::string>& parts) {
  const absl::Status status = MakeTokenizer(spec).status();
  ExpectError(status, code, parts);
  ExpectByte(spec, std::string(status.message()));
}

std::unique_ptr<Tokenizer> Make(const GgufSpec& spec) {
  auto tokenizer = MakeTokenizer(spec);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

// The small vocabulary without a key, to which a test adds its own.
GgufSpec Without(absl::string_view key) {
  GgufSpec spec = SmallSpmVocab().Spec();
  std::vector<GgufKeySpec> kept;
  for (const GgufKeySpec& old : spec.keys)
    if (old.key != key) kept.push_back(old);
  spec.keys = kept;
  return spec;
}

size_t SmallSize() { return SmallSpmVocab().texts.size(); }

TEST(TokenizerMalformed, V1_Tokens) {
  ExpectError(Without(kTokens), StatusCode::kFailedPrecondition,
              {"TOK-V1", kTokens, "missing"});
  ExpectError(Without(kTokens).Scalar(kTokens, GgufType::kUint32, 5u),
              StatusCode::kInvalidArgument, {kTokens});
  ExpectError(Without(kTokens).String(kTokens, "a"),
              StatusCode::kInvalidArgument, {kTokens});
  ExpectError(
      Without(kTokens).Array<uint32_t>(kTokens, GgufType::kUint32, {1, 2, 3}),
      StatusCode::kInvalidArgument,
      {"TOK-V1", kTokens, "element type string", "uint32"});
  ExpectError(Without(kTokens).Strings(kTokens, {}),
              StatusCode::kInvalidArgument, {"TOK-V1", kTokens, "empty"});
}

TEST(TokenizerMalformed, V2_Scores) {
  const size_t n = SmallSize();
  const auto spec = Without(kScores);
  const auto expect = [&](GgufSpec with, absl::string_view type) {
    ExpectError(with, StatusCode::kInvalidArgument,
                {"TOK-V2", kScores, "element type", std::string(type)});
  };
  expect(
      GgufSpec(spec).Array(kScores, GgufType::kFloat64, std::vector<double>(n)),
      "float64");
  expect(GgufSpec(spec).Array(kScores, GgufType::kInt8, std::vector<int8_t>(n)),
         "int8");
  expect(
      GgufSpec(spec).Array(kScores, GgufType::kUint8, std::vector<uint8_t>(n)),
      "uint8");
  expect(GgufSpec(spec).Strings(kScores, std::vector<std::string>(n, "1")),
         "string");
  ExpectError(GgufSpec(spec).Scalar(kScores, GgufType::kFloat32, 1.0f),
              StatusCode::kInvalidArgument, {kScores});
  for (const size_t count : {size_t{0}, n - 1, n + 1}) {
    ExpectError(GgufSpec(spec).Array(kScores, GgufType::kFloat32,
                                     std::vector<float>(count)),
                StatusCode::kInvalidArgument,
                {"TOK-V2", absl::StrCat(count, " scores"), absl::StrCat(n)});
  }
  std::vector<float> scores(n);
  scores[7] = std::nanf("");
  ExpectError(GgufSpec(spec).Array(kScores, GgufType::kFloat32, scores),
              StatusCode::kInvalidArgument,
              {"TOK-V2", "tokenizer.ggml.scores[7] is NaN"});
}

TEST(TokenizerMalformed, V2_ScoresThatAreFine) {
  EXPECT_NE(Make(Without(kScores)), nullptr);
  std::vector<float> scores(SmallSize(),
                            -std::numeric_limits<float>::infinity());
  scores[266] = std::numeric_limits<float>::infinity();  // "ab"
  scores[267] = -0.0f;
  const auto tokenizer =
      Make(Without(kScores).Array(kScores, GgufType::kFloat32, scores));
  EXPECT_EQ(tokenizer->Encode("abcd", {}).value(), (Tokens{259, 268}));
}

TEST(TokenizerMalformed, V4_Types) {
  const size_t n = SmallSize();
  const auto spec = Without(kTypes);
  ExpectError(GgufSpec(spec).Array(kTypes, GgufType::kUint8,
                                   std::vector<uint8_t>(n, 1)),
              StatusCode::kInvalidArgument,
              {"TOK-V4", kTypes, "element type int32", "uint8"});
  ExpectError(GgufSpec(spec).Array(kTypes, GgufType::kFloat32,
                                   std::vector<float>(n, 1)),
              StatusCode::kInvalidArgument, {"TOK-V4", kTypes, "float32"});
  for (const size_t count : {size_t{0}, n - 1, n + 1}) {
    ExpectError(GgufSpec(spec).Array(kTypes, GgufType::kInt32,
                                     std::vector<int32_t>(count, 1)),
                StatusCode::kInvalidArgument,
                {"TOK-V4", absl::StrCat(count, " types"), absl::StrCat(n)});
  }
  for (const int32_t bad : {0, 7, -1, INT32_MAX, INT32_MIN}) {
    std::vector<int32_t> types(n, 1);
    types[9] = bad;
    ExpectError(GgufSpec(spec).Array(kTypes, GgufType::kInt32, types),
                StatusCode::kInvalidArgument,
                {"TOK-V4", absl::StrCat(kTypes, "[9] is ", bad), "1 to 6"});
  }
  EXPECT_NE(Make(spec), nullptr);  // without types all are normal
  EXPECT_NE(Make(GgufSpec(spec).Array(kTypes, GgufType::kUint32,
                                      std::vector<uint32_t>(n, 1))),
            nullptr);
}

TEST(TokenizerMalformed, V5_SpecialIds) {
  const uint32_t n = static_cast<uint32_t>(SmallSize());
  for (const std::string name :
       {"bos", "eos", "unknown", "padding", "eot", "eom", "seperator", "mask",
        "cls", "fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep",
        "fim_sep"}) {
    const std::string key = absl::StrCat("tokenizer.ggml.", name, "_token_id");
    const bool may_be_none = name == "padding" || name == "seperator";
    const GgufSpec spec = Without(key);
    for (const uint32_t id : {n, n + 1, 1u << 31, UINT32_MAX}) {
      const GgufSpec with = GgufSpec(spec).Scalar(key, GgufType::kUint32, id);
      if (id == UINT32_MAX && may_be_none) {
        EXPECT_NE(Make(with), nullptr);
        continue;
      }
      ExpectError(with, StatusCode::kOutOfRange,
                  {"TOK-V5", absl::StrCat(key, " is ", id),
                   absl::StrCat("n_vocab being ", n)});
    }
    for (const int32_t id : {-1, -2, INT32_MIN}) {
      const GgufSpec with = GgufSpec(spec).Scalar(key, GgufType::kInt32, id);
      if (id == -1 && may_be_none) {
        EXPECT_NE(Make(with), nullptr);
        continue;
      }
      ExpectError(with, StatusCode::kOutOfRange,
                  {"TOK-V5", absl::StrCat(key, " is ", id)});
    }
    EXPECT_NE(Make(GgufSpec(spec).Scalar(key, GgufType::kUint32, n - 1)),
              nullptr);
    EXPECT_NE(Make(GgufSpec(spec).Scalar(key, GgufType::kUint64, uint64_t{3})),
              nullptr);
    ExpectError(GgufSpec(spec).String(key, "1"), StatusCode::kInvalidArgument,
                {key});
    ExpectError(GgufSpec(spec).Scalar(key, GgufType::kFloat32, 1.0f),
                StatusCode::kInvalidArgument, {key});
  }
}

TEST(TokenizerMalformed, V5_DefaultsOutsideTheVocabulary) {
  GgufSpec spec;
  spec.String(kModel, "llama").Strings(kTokens, {"a"});
  const auto tokenizer = Make(spec);
  EXPECT_FALSE(tokenizer->bos().has_value());
  EXPECT_FALSE(tokenizer->eos().has_value());
  EXPECT_EQ(
      tokenizer->Encode("a", {.add_special = true, .parse_special = true})
          .value(),
      (Tokens{0, 0}));  // the space is unknown, and 0 is the unknown token
}

TEST(TokenizerMalformed, V6_Flags) {
  for (const char* key :
       {"tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token",
        "tokenizer.ggml.add_space_prefix"}) {
    ExpectError(Without(key).Scalar(key, GgufType::kUint32, 1u),
                StatusCode::kInvalidArgument, {key});
    ExpectError(Without(key).String(key, "true"), StatusCode::kInvalidArgument,
                {key});
  }
}

TEST(TokenizerMalformed, V7_RepeatedText) {
  SpmVocab vocab = SmallSpmVocab();
  const Token first = vocab.Add("<x\x1b>", 0, TokenType::kUserDefined);
  vocab.Add("zz");
  const Token last = vocab.Add("zz");
  vocab.Add("<x\x1b>", 0, TokenType::kUserDefined);
  vocab.Add("z");
  const auto tokenizer = Make(vocab.Spec());
  ASSERT_EQ(tokenizer->warnings().size(), 1u);
  EXPECT_TRUE(absl::StrContains(tokenizer->warnings()[0],
                                "2 repeated texts, such as \"zz\""))
      << tokenizer->warnings()[0];
  EXPECT_EQ(tokenizer->Encode("zz", {}).value(), (Tokens{259, last}));
  EXPECT_EQ(tokenizer->Encode("<x\x1b>", {}).value(), (Tokens{first}));
}

TEST(TokenizerMalformed, V8_OddTexts) {
  SpmVocab vocab = SmallSpmVocab();
  const Token empty = vocab.Add("", 0, TokenType::kControl);
  vocab.Add("", 0, TokenType::kUserDefined);
  const Token nul = vocab.Add(std::string("a\0", 2), 100);
  const Token long_user =
      vocab.Add(std::string(65536, 'f'), 0, TokenType::kUserDefined);
  const Token long_normal = vocab.Add(std::string(65535, 'f'), 0);
  const auto tokenizer = Make(vocab.Spec());
  EXPECT_EQ(tokenizer->Piece(empty, true).value(), "");
  EXPECT_EQ(tokenizer->Piece(nul).value(), std::string("a\0", 2));
  EXPECT_EQ(tokenizer->Piece(long_normal).value().size(), 65535u);
  ASSERT_EQ(tokenizer->warnings().size(), 1u);
  EXPECT_TRUE(absl::StrContains(tokenizer->warnings()[0], "2 empty texts"));
  const EncodeOptions parse = {.parse_special = true};
  EXPECT_EQ(tokenizer->Encode("", parse).value(), Tokens{});
  EXPECT_EQ(tokenizer->Encode(std::string("\0", 1), parse).value(),
            (Tokens{259, 3}));
  EXPECT_EQ(tokenizer->Encode(std::string("a\0", 2), parse).value(),
            (Tokens{259, nul}));
  EXPECT_EQ(tokenizer->Encode(std::string(3 * 65536, 'f'), parse).value(),
            (Tokens{long_user, long_user, long_user}));
}

TEST(TokenizerMalformed, V10_QuotedTextIsCut) {
  SpmVocab vocab = SmallSpmVocab();
  vocab.Add(std::string(1000, '\x1b'), 0, TokenType::kByte);
  const absl::Status status = MakeTokenizer(vocab.Spec()).status();
  ExpectError(status, StatusCode::kInvalidArgument,
              {"TOK-V10", "tokenizer.ggml.tokens[271] is \"\\x1b\\x1b"});
  EXPECT_LT(status.message().size(), 300u);
  EXPECT_FALSE(absl::StrContains(status.message(), "\x1b"));
}

TEST(TokenizerMalformed, V10_ByteTokens) {
  SpmVocab vocab = SmallSpmVocab();
  const size_t e4 = 3 + 0xE4;
  ASSERT_EQ(vocab.texts[e4], "<0xE4>");
  vocab.texts[e4] = "other";
  vocab.types[e4] = 1;
  const auto tokenizer = Make(vocab.Spec());
  ExpectError(tokenizer->Encode("a中", {}).status(),
              StatusCode::kFailedPrecondition,
              {"TOK-V10", "byte token 0xE4 missing"});
  EXPECT_TRUE(tokenizer->Encode("aé", {}).ok());
  // Lower case is read as well.
  vocab.texts[e4] = "<0xe4>";
  vocab.types[e4] = 6;
  EXPECT_EQ(Make(vocab.Spec())->Encode("中", {}).value(),
            (Tokens{259, 3 + 0xE4, 3 + 0xB8, 3 + 0xAD}));
  for (const std::string text : {"", "<", "<0x", "<0xE4", "<0xE>", "<0xG4>",
                                 "<0x 4>", "<0XE4>", "<0xE44>", "x0xE4>"}) {
    vocab.texts[e4] = text;
    ExpectError(vocab.Spec(), StatusCode::kInvalidArgument,
                {"TOK-V10", "tokenizer.ggml.tokens[231]"});
  }
}

TEST(TokenizerMalformed, V10_NoByteTokens) {
  GgufSpec spec;
  spec.String(kModel, "llama").Strings(kTokens, {"a", "b"});
  spec.Scalar("tokenizer.ggml.add_space_prefix", GgufType::kBool, uint8_t{0});
  EXPECT_EQ(Make(spec)->Encode("ab!", {}).value(), (Tokens{0, 1, 0}));
}

TEST(TokenizerMalformed, V14_Kinds) {
  ExpectError(Without(kModel), StatusCode::kFailedPrecondition,
              {"TOK-V14", kModel, "missing", "\"llama\"", "tokenizer.json"});
  for (const char* kind :
       {"rwkv", "plamo2", "whitespace", "", "Llama", "llama\n"}) {
    ExpectError(
        Without(kModel).String(kModel, kind), StatusCode::kUnimplemented,
        {"TOK-V14", kModel,
         absl::string_view(kind) == "llama\n" ? "\"llama\\n\""
                                              : absl::StrCat("\"", kind, "\""),
         "supported", "\"llama\""});
  }
  for (const char* kind : {"no_vocab", "none"}) {
    ExpectError(Without(kModel).String(kModel, kind),
                StatusCode::kFailedPrecondition,
                {"TOK-V14", kModel, kind, "no vocabulary"});
  }
  ExpectError(Without(kModel).Scalar(kModel, GgufType::kUint32, 1u),
              StatusCode::kFailedPrecondition,
              {"TOK-V14", kModel, "uint32", "a string"});
  ExpectError(Without(kModel).Strings(kModel, {"llama"}),
              StatusCode::kFailedPrecondition, {"TOK-V14", kModel, "array"});
  // This kind has no pre-tokenizer, so any name is fine; a number is not.
  GgufSpec pre = SmallSpmVocab().Spec();
  EXPECT_NE(Make(GgufSpec(pre).String("tokenizer.ggml.pre", "what")), nullptr);
  ExpectError(GgufSpec(pre).Scalar("tokenizer.ggml.pre", GgufType::kUint32, 1u),
              StatusCode::kFailedPrecondition,
              {"TOK-V14", "tokenizer.ggml.pre", "uint32", "a string"});
}

TEST(TokenizerMalformed, V16_TextsThatAreNoUtf8) {
  for (const std::string odd :
       {"\x80", "\xBF\x80", "\xC3", "\xED\xA0\x80", "\xC0\xAF",
        "\xF5\x80\x80\x80", "a\xFF▁", "▁\xE2\x96"}) {
    SpmVocab vocab = SmallSpmVocab();
    const Token normal = vocab.Add(odd, 10);
    const auto tokenizer = Make(vocab.Spec());
    std::string bytes = tokenizer->Piece(normal).value();
    EXPECT_EQ(bytes.size(), odd.size() - (absl::StrContains(odd, "▁") ? 2 : 0));
    const std::string text = absl::StrCat("x", odd, "\xC3\xA9 \x96\x81");
    const Tokens tokens = tokenizer->Encode(text, {}).value();
    std::string expected = text;
    if (const size_t at = text.find("▁"); at != text.npos)
      expected.replace(at, 3, " ");
    EXPECT_EQ(tokenizer->Decode(tokens).value(), expected);
    // The same as a user-defined token, matched in any text.
    SpmVocab user = SmallSpmVocab();
    const Token token = user.Add(odd, 0, TokenType::kUserDefined);
    EXPECT_EQ(Make(user.Spec())->Encode(odd, {}).value(), (Tokens{token}));
    EXPECT_EQ(Make(user.Spec())->Piece(token).value(), odd);
  }
}

TEST(TokenizerMalformed, V20_TooMuchSpecialText) {
  SpmVocab vocab = SmallSpmVocab();
  vocab.Add(std::string(1 << 20, '-'), 0, TokenType::kControl);
  ExpectError(vocab.Spec(), StatusCode::kResourceExhausted,
              {"TOK-V20", "bytes", "at most 1048576"});
}

TEST(TokenizerMalformed, V22_NoNewlineToken) {
  SpmVocab vocab = SmallSpmVocab();
  vocab.texts[3 + '\n'] = "nothing";
  vocab.types[3 + '\n'] = 1;
  const auto tokenizer = Make(vocab.Spec());
  EXPECT_TRUE(tokenizer->Encode("a b", {}).ok());
  ExpectError(tokenizer->Encode("\n", {}).status(),
              StatusCode::kFailedPrecondition, {"byte token 0x0A missing"});
}

}  // namespace
}  // namespace weft
