// Tokenizers take time and memory in proportion to the text, whatever it is.
#include <algorithm>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/pre_tokenizers.h"
#include "models/regex_splitter.h"
#include "tests/bpe_vocab.h"
#include "tests/cost.h"
#include "tests/sanitizer.h"
#include "tests/tokenizer_util.h"

namespace weft {
namespace {

// Whether `run`, which works on a text of 1 MB, took less than a second and
// than 64 kB of stack. A sanitizer or an emulator only has to show that time is
// linear: if it were not, it would be minutes.
void ExpectCheap(absl::FunctionRef<void()> run) {
  constexpr bool kSlow = kSanitized || sizeof(WEFT_EMULATOR) > 1;
  const Cost cost = CostOf(run);
  EXPECT_LT(cost.seconds, kSlow ? 20.0 : 1.0);
  EXPECT_LT(cost.stack_bytes, 64'000u);
}

std::string Repeated(absl::string_view unit, size_t bytes) {
  std::string text;
  while (text.size() < bytes) absl::StrAppend(&text, unit);
  return text;
}

TEST(TokenizerSize, MegabyteOfOneCharacter) {
  SpmVocab vocab = SmallSpmVocab();
  std::string run = "A";
  for (int i = 0; i < 5; ++i, run += run) vocab.Add(run, -10);
  run = "\n";
  for (int i = 0; i < 31; ++i, run += "\n")
    vocab.Add(run, 0, TokenType::kUserDefined);
  const auto tokenizer = Make(vocab.Spec());
  for (const char* character : {"A", "Z", "中", ".", " ", "\n", "<", "a"}) {
    SCOPED_TRACE(absl::CEscape(character));
    const std::string text = Repeated(character, 1'000'000);
    Tokens tokens;
    ExpectCheap(
        [&] { tokens = Encode(*tokenizer, text, {.parse_special = true}); });
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

double CpuSeconds(const std::function<void()>& run) {
  const std::clock_t begin = std::clock();
  run();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

// One name for each of the different ones.
std::vector<absl::string_view> DifferentPreTokenizers() {
  std::vector<absl::string_view> names;
  std::vector<PreSplit const*> seen;
  for (const absl::string_view name : PreTokenizerNames()) {
    const PreSplit* splits = FindPreTokenizer(name)->splits.data();
    if (std::find(seen.begin(), seen.end(), splits) != seen.end()) continue;
    seen.push_back(splits);
    names.push_back(name);
  }
  return names;
}

// Runs of characters, and runs before something that makes a match of the run
// fail. Quadratic time would take minutes for the first 64 KiB; linear is some
// milliseconds, with room for a sanitizer or an emulator.
TEST(TokenizerSize, EveryPreTokenizerIsLinear) {
  std::vector<std::string> texts;
  for (const char* unit : {"A", "中", "~", " ", "\n", "1", "'", "\u0301",
                           "\xED\xA0\x80", "Aa", " \n", "1a"})
    for (const char* tail : {"", "中"})
      texts.push_back(Repeated(unit, 65536) + tail);
  for (const absl::string_view name : DifferentPreTokenizers()) {
    const auto splitter =
        RegexSplitter::Compile(FindPreTokenizer(name)->splits);
    ASSERT_TRUE(splitter.ok()) << splitter.status();
    for (const std::string& text : texts) {
      SCOPED_TRACE(absl::StrCat(name, " ", absl::CEscape(text.substr(0, 4)),
                                "...", absl::CEscape(text.substr(65535))));
      absl::StatusOr<std::vector<uint32_t>> ends;
      const double seconds = CpuSeconds([&] { ends = splitter->Split(text); });
      ASSERT_TRUE(ends.ok()) << ends.status();
      ASSERT_EQ(ends->back(), text.size());
      ASSERT_LT(seconds, 2.0);
    }
  }
}

// What follows the split is the same for all of them; see below.
TEST(TokenizerSize, MegabyteOfOneCharacterEveryPreTokenizer) {
  if (sizeof(WEFT_EMULATOR) > 1 || kSanitized)
    GTEST_SKIP() << "64 KiB are split above, and time says nothing here";
  std::vector<std::string> texts;
  for (const char* unit : {"A", "Z", "中", ".", " ", "\n"})
    texts.push_back(Repeated(unit, 1'000'000));
  for (const absl::string_view name : DifferentPreTokenizers()) {
    const auto splitter =
        RegexSplitter::Compile(FindPreTokenizer(name)->splits);
    ASSERT_TRUE(splitter.ok()) << splitter.status();
    for (const std::string& text : texts) {
      SCOPED_TRACE(absl::StrCat(name, " ", absl::CEscape(text.substr(0, 3))));
      absl::StatusOr<std::vector<uint32_t>> ends;
      ExpectCheap([&] { ends = splitter->Split(text); });
      ASSERT_TRUE(ends.ok()) << ends.status();
      EXPECT_EQ(ends->back(), text.size());
    }
  }
}

// A word of a megabyte, merged and not, and as many words as bytes.
TEST(TokenizerSize, MegabyteOfOneCharacterBpe) {
  BpeVocab vocab = SmallBpeVocab();
  vocab.Merge("aaaa", "aaaa");
  vocab.Merge("Ġ", "Ġ");
  for (const char* name : {"gpt-2", "gpt-4o"}) {
    const auto tokenizer = Make(vocab.Spec(name));
    for (const char* unit : {"a", " ", "\n", "\xED"}) {
      SCOPED_TRACE(absl::StrCat(name, " ", absl::CEscape(unit)));
      const std::string text = Repeated(unit, 1'000'000);
      Tokens tokens;
      ExpectCheap([&] { tokens = Encode(*tokenizer, text); });
      EXPECT_GT(tokens.size(), 100'000u);
    }
  }
}

}  // namespace
}  // namespace weft
