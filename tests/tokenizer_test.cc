// The SentencePiece tokenizer: each rule on a vocabulary of its own,
// properties, and time.
#include <chrono>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/tokenizer_util.h"

namespace weft {
namespace {

TEST(Tokenizer, MergesByScoreThenFromTheLeft) {
  SpmVocab vocab = SmallSpmVocab();
  const auto tokenizer = Make(vocab.Spec().Scalar(
      "tokenizer.ggml.add_space_prefix", GgufType::kBool, uint8_t{0}));
  const auto texts = [&](absl::string_view text) {
    std::vector<std::string> pieces;
    for (const Token token : Encode(*tokenizer, text))
      pieces.push_back(vocab.texts[static_cast<size_t>(token)]);
    return pieces;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(texts("abcd"), (Texts{"abcd"}));
  EXPECT_EQ(texts("aabcde"), (Texts{"a", "abcd", "e"}));
  // "ab" goes before "▁a", which has the lower score.
  EXPECT_EQ(texts(" abc"), (Texts{"▁", "ab", "c"}));
  EXPECT_EQ(texts(" acd"), (Texts{"▁a", "cd"}));
  // Three spaces: of two equal pairs the left one merges.
  EXPECT_EQ(texts("   "), (Texts{"▁▁", "▁"}));
  EXPECT_EQ(texts("é"), (Texts{"<0xC3>", "<0xA9>"}));
  EXPECT_EQ(texts("a\nb"), (Texts{"a", "<0x0A>", "b"}));
}

TEST(Tokenizer, AddsWhatTheFileAsks) {
  const SpmVocab vocab = SmallSpmVocab();
  const Token a = 260;  // "a", after <unk>, <s>, </s>, 256 bytes and "▁"
  const auto encode = [&](GgufSpec spec) {
    return Encode(*Make(spec), "a", {.add_special = true});
  };
  const Token space_a = 269;
  EXPECT_EQ(encode(vocab.Spec()), (Tokens{1, space_a}));
  EXPECT_EQ(encode(vocab.Spec().Scalar("tokenizer.ggml.add_space_prefix",
                                       GgufType::kBool, uint8_t{0})),
            (Tokens{1, a}));
  EXPECT_EQ(encode(vocab.Spec().Scalar("tokenizer.ggml.add_bos_token",
                                       GgufType::kBool, uint8_t{0})),
            (Tokens{space_a}));
  EXPECT_EQ(encode(vocab.Spec().Scalar("tokenizer.ggml.add_eos_token",
                                       GgufType::kBool, uint8_t{1})),
            (Tokens{1, space_a, 2}));
}

TEST(Tokenizer, SpecialTextsInText) {
  SpmVocab vocab = SmallSpmVocab();
  const Token user = vocab.Add("<mark>", 0, TokenType::kUserDefined);
  const auto tokenizer = Make(vocab.Spec());
  const Token space_a = 269;
  // User-defined ones are always found, and the text after one begins anew.
  EXPECT_EQ(Encode(*tokenizer, "a<mark>a"), (Tokens{space_a, user, space_a}));
  const Tokens parsed =
      Encode(*tokenizer, "a</s>a<unk>a", {.parse_special = true});
  EXPECT_EQ(parsed, (Tokens{space_a, 2, space_a, 0, space_a}));
  const Tokens plain = Encode(*tokenizer, "a</s>");
  for (const Token token : plain) EXPECT_NE(token, 2);
  EXPECT_EQ(Decode(*tokenizer, plain), "a</s>");
  EXPECT_EQ(Decode(*tokenizer, parsed), "a a a");
  EXPECT_EQ(Decode(*tokenizer, parsed, true), "a</s> a<unk> a");
}

TEST(Tokenizer, WhiteSpaceAfterSpecialTokensOfPhi3) {
  SpmVocab vocab = SmallSpmVocab();
  const Token user = vocab.Add("<|user|>", 0, TokenType::kControl);
  const Token space_a = 269;
  const Token space = 259;
  const EncodeOptions parse = {.parse_special = true};
  EXPECT_EQ(Encode(*Make(vocab.Spec()), "<|user|> a", parse),
            (Tokens{user, space, space_a}));
  const auto phi = Make(vocab.Spec().String("general.name", "My Phi-3 model"));
  EXPECT_EQ(Encode(*phi, "<|user|> \n\t\v\f\ra", parse),
            (Tokens{user, space_a}));
  EXPECT_EQ(Encode(*phi, "<|user|>\n", parse), (Tokens{user}));
  EXPECT_EQ(Encode(*phi, "<s> a", parse), (Tokens{1, space, space_a}));
}

TEST(Tokenizer, PiecesByType) {
  SpmVocab vocab = SmallSpmVocab();
  const Token user = vocab.Add("▁x", 0, TokenType::kUserDefined);
  const Token unused = vocab.Add("unused", 0, TokenType::kUnused);
  const Token odd = vocab.Add("▁\xED\xA0\x80▁\x80", 0);
  const auto tokenizer = Make(vocab.Spec());
  const auto piece = [&](Token token, bool special = false) {
    return tokenizer->Piece(token, special).value_or("error");
  };
  EXPECT_EQ(piece(0), "");
  EXPECT_EQ(piece(0, true), "<unk>");
  EXPECT_EQ(piece(1), "");
  EXPECT_EQ(piece(1, true), "<s>");
  EXPECT_EQ(piece(3 + 0xE4), "\xE4");
  EXPECT_EQ(piece(3), std::string(1, '\0'));
  EXPECT_EQ(piece(269), " a");
  EXPECT_EQ(piece(user), "▁x");
  EXPECT_EQ(piece(unused, true), "");
  EXPECT_EQ(piece(odd), " \xED\xA0\x80 \x80");
  for (const Token bad : {-1, tokenizer->vocab_size(), INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(tokenizer->Piece(bad).status().code(),
              absl::StatusCode::kOutOfRange);
    EXPECT_EQ(tokenizer->Decode({bad}).status().code(),
              absl::StatusCode::kOutOfRange);
    EXPECT_FALSE(tokenizer->IsEndOfGeneration(bad));
  }
}

TEST(Tokenizer, TokensKnownByTheirText) {
  SpmVocab vocab = SmallSpmVocab();
  const Token turn = vocab.Add("<end_of_turn>");
  const Token pad = vocab.Add("<PAD>");
  const auto tokenizer = Make(vocab.Spec());
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(turn));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(pad));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(2));
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(1));
  // They become control tokens.
  EXPECT_EQ(tokenizer->Piece(turn).value(), "");
  EXPECT_EQ(Encode(*tokenizer, "<end_of_turn>", {.parse_special = true}),
            (Tokens{turn}));
  // An id in the file goes before the text of the pad token.
  const auto with_id = Make(vocab.Spec().Scalar(
      "tokenizer.ggml.fim_pad_token_id", GgufType::kUint32, uint32_t{260}));
  EXPECT_TRUE(with_id->IsEndOfGeneration(260));
  EXPECT_FALSE(with_id->IsEndOfGeneration(pad));
}

TEST(Tokenizer, UnknownTokenWithoutByteTokens) {
  SpmVocab vocab;
  vocab.AddSpecials();
  const Token space = vocab.Add("▁");
  const Token a = vocab.Add("a");
  const auto tokenizer = Make(vocab.Spec());
  EXPECT_EQ(Encode(*tokenizer, "a中\xFF"), (Tokens{space, a, 0, 0}));
}

// ---- properties ----

std::string RandomText(std::mt19937& random, bool valid) {
  static constexpr char32_t kSample[] = U" a\nbé中𝄞\u0001�Ωcdef\u0000\u00A0";
  std::string text;
  const size_t size = random() % 60;
  for (size_t i = 0; i < size; ++i) {
    if (!valid && random() % 3 == 0) {
      text += static_cast<char>(random());
      continue;
    }
    const char32_t c =
        random() % 4 == 0 ? 0x20 + random() % 0xD000 : kSample[random() % 16];
    if (c == 0x2581) continue;  // reads as a space
    if (c < 0x80) {
      text += static_cast<char>(c);
    } else if (c < 0x800) {
      text += {static_cast<char>(0xC0 | c >> 6),
               static_cast<char>(0x80 | (c & 0x3F))};
    } else if (c < 0x10000) {
      text += {static_cast<char>(0xE0 | c >> 12),
               static_cast<char>(0x80 | (c >> 6 & 0x3F)),
               static_cast<char>(0x80 | (c & 0x3F))};
    } else {
      text += "\U0001D11E";
    }
  }
  return text;
}

void ExpectRoundTrips(const Tokenizer& tokenizer) {
  for (uint32_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const bool valid = seed % 4 != 0;
    const std::string text = RandomText(random, valid);
    ASSERT_TRUE(!valid || IsValidUtf8(text));
    if (absl::StrContains(text, "▁")) continue;
    const Tokens tokens = Encode(tokenizer, text);
    ASSERT_EQ(Hex(Decode(tokenizer, tokens)), Hex(text));
    // Shown token by token, what is valid comes out unchanged.
    Utf8Stream stream;
    std::string shown;
    for (const Token token : tokens)
      shown += stream.Push(tokenizer.Piece(token).value());
    shown += stream.Finish();
    if (valid && !text.empty()) {
      ASSERT_EQ(shown, absl::StrCat(" ", text));
    }
    ASSERT_TRUE(IsValidUtf8(shown));
  }
}

TEST(TokenizerProperty, DecodeOfEncode) {
  ExpectRoundTrips(*Make(SmallSpmVocab().Spec()));
}

TEST(TokenizerProperty, DecodeOfEncodeWithRealVocabulary) {
  const std::string path = absl::StrCat(
      WEFT_SHARED_DIR, "/golden/tokenizers/ggml-vocab-llama-spm.gguf");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const auto tokenizer = OpenTokenizer(path);
  ASSERT_NE(tokenizer, nullptr);
  ExpectRoundTrips(*tokenizer);
}

// The rule itself, in quadratic time.
std::vector<std::string> MergeSlowly(const SpmVocab& vocab,
                                     absl::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const Utf8Prefix prefix = ReadUtf8(text);
    const bool whole = prefix.kind == Utf8Prefix::kCharacter;
    parts.emplace_back(text.substr(0, whole ? prefix.size : 1));
    text.remove_prefix(parts.back().size());
  }
  const auto score = [&](const std::string& wanted) {
    for (size_t i = vocab.texts.size(); i-- > 0;)
      if (vocab.texts[i] == wanted) return vocab.scores[i];
    return -1e30f;
  };
  while (true) {
    size_t best = 0;
    float best_score = -1e29f;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const float s = score(parts[i] + parts[i + 1]);
      if (s <= best_score) continue;
      best = i;
      best_score = s;
    }
    if (best_score == -1e29f) return parts;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(TokenizerProperty, MergesAsTheRuleSays) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const std::vector<std::string> letters = {"▁", "a", "b", "\x80", "é"};
    SpmVocab vocab;
    vocab.AddSpecials();
    vocab.AddBytes();
    for (const std::string& letter : letters) vocab.Add(letter);
    for (int i = 0; i < 12; ++i) {
      std::string text;
      for (size_t n = 2 + random() % 3; n > 0; --n)
        text += letters[random() % letters.size()];
      vocab.Add(text, static_cast<float>(random() % 5));
    }
    const auto tokenizer = Make(vocab.Spec().Scalar(
        "tokenizer.ggml.add_space_prefix", GgufType::kBool, uint8_t{0}));
    std::string text;
    for (size_t n = random() % 40; n > 0; --n)
      text += letters[random() % letters.size()];
    std::vector<std::string> parts;
    for (const Token token : Encode(*tokenizer, text))
      parts.push_back(vocab.texts[static_cast<size_t>(token)]);
    ASSERT_EQ(parts, MergeSlowly(vocab, text)) << Hex(text);
  }
}

// ---- size ----

TEST(TokenizerSize, V17_MegabyteOfOneCharacter) {
  SpmVocab vocab = SmallSpmVocab();
  std::string run = "A";
  for (int i = 0; i < 5; ++i, run += run) vocab.Add(run, -10);
  run = "\n";
  for (int i = 0; i < 31; ++i, run += "\n")
    vocab.Add(run, 0, TokenType::kUserDefined);
  const auto tokenizer = Make(vocab.Spec());
  for (const char* character : {"A", "Z", "中", ".", " ", "\n", "<", "a"}) {
    std::string text;
    while (text.size() < 1'000'000) text += character;
    const auto begin = std::chrono::steady_clock::now();
    const Tokens tokens = Encode(*tokenizer, text, {.parse_special = true});
    const std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - begin;
    // Sanitizers and emulators take several times as long: the linear 0.1 s
    // has much room below a limit that no quadratic time would meet.
    EXPECT_LT(time.count(), 5.0) << absl::CEscape(character);
    RecordProperty(absl::StrCat("seconds_", Hex(character)),
                   absl::StrCat(time.count()));
    EXPECT_GT(tokens.size(), 10'000u);
  }
}

TEST(TokenizerSize, LimitOfText) {
  const auto tokenizer = Make(SmallSpmVocab().Spec());
  std::string text(Tokenizer::kMaxTextBytes + 1, 'a');
  const absl::Status status = tokenizer->Encode(text, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "test: TOK-V19: text to encode is 16777217 bytes; expected at most "
            "16777216");
  text.assign(1u << 20, ' ');
  EXPECT_TRUE(tokenizer->Encode(text, {}).ok());
}

}  // namespace
}  // namespace weft
