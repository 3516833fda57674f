#include "models/utf8.h"

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kBad[] = "\xEF\xBF\xBD";

// All of `text` in pieces of `size` bytes.
std::string Stream(absl::string_view text, size_t size) {
  Utf8Stream stream;
  std::string shown;
  for (size_t i = 0; i < text.size(); i += size) {
    shown += stream.Push(text.substr(i, size));
    EXPECT_TRUE(IsValidUtf8(shown));
  }
  return shown + stream.Finish();
}

TEST(Utf8, ReadsOneCharacter) {
  const auto size_of = [](absl::string_view text) {
    const Utf8Prefix prefix = ReadUtf8(text);
    EXPECT_EQ(prefix.kind, Utf8Prefix::kCharacter);
    return prefix.size;
  };
  EXPECT_EQ(size_of("a"), 1u);
  EXPECT_EQ(size_of(absl::string_view("\0", 1)), 1u);
  EXPECT_EQ(size_of("\x7F\x80"), 1u);
  EXPECT_EQ(size_of("\xC2\x80"), 2u);
  EXPECT_EQ(size_of("\xDF\xBF"), 2u);
  EXPECT_EQ(size_of("\xE0\xA0\x80"), 3u);
  EXPECT_EQ(size_of("\xED\x9F\xBF"), 3u);
  EXPECT_EQ(size_of("\xEE\x80\x80x"), 3u);
  EXPECT_EQ(size_of("\xF0\x90\x80\x80"), 4u);
  EXPECT_EQ(size_of("\xF4\x8F\xBF\xBF"), 4u);
}

TEST(Utf8, ValidMeansEncodedCodePoint) {
  const auto encode = [](uint32_t c) {
    std::string text;
    if (c < 0x80) return text += static_cast<char>(c);
    const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    const uint32_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    text += static_cast<char>(lead[more] | c >> (6 * more));
    for (int i = more - 1; i >= 0; --i)
      text += static_cast<char>(0x80 | (c >> (6 * i) & 0x3F));
    return text;
  };
  for (uint32_t c = 0; c < 0x110000; ++c) {
    const bool surrogate = c >= 0xD800 && c < 0xE000;
    ASSERT_EQ(IsValidUtf8(encode(c)), !surrogate) << c;
  }
  EXPECT_FALSE(IsValidUtf8(encode(0x110000)));
  EXPECT_FALSE(IsValidUtf8("\xC0\x80"));
  EXPECT_FALSE(IsValidUtf8("\xC1\xBF"));
  EXPECT_FALSE(IsValidUtf8("\xE0\x9F\xBF"));
  EXPECT_FALSE(IsValidUtf8("\xF0\x8F\xBF\xBF"));
  EXPECT_FALSE(IsValidUtf8("\xF8\x88\x80\x80\x80"));
  EXPECT_FALSE(IsValidUtf8("a\x80"));
  EXPECT_FALSE(IsValidUtf8("\xE4\xB8"));
  EXPECT_TRUE(IsValidUtf8(""));
}

TEST(Utf8Stream, HoldsBackWhatIsIncomplete) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("a\xF0"), "a");
  EXPECT_EQ(stream.Push("\x9F"), "");
  EXPECT_EQ(stream.Push(""), "");
  EXPECT_EQ(stream.Push("\x98"), "");
  EXPECT_EQ(stream.Push("\x80 b\xE4"), "\xF0\x9F\x98\x80 b");
  EXPECT_EQ(stream.Push("\xB8\xAD"), "\xE4\xB8\xAD");
  EXPECT_EQ(stream.Finish(), "");
}

TEST(Utf8Stream, FinishShowsTheRestOnce) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("\xF0\x9F\x98"), "");
  EXPECT_EQ(stream.Finish(), kBad);
  EXPECT_EQ(stream.Finish(), "");
  EXPECT_EQ(stream.Push("\x80"), kBad);  // nothing is left of the last text
}

TEST(Utf8Stream, ReplacesMaximalSubparts) {
  const struct {
    absl::string_view text;
    std::string shown;
  } kCases[] = {
      {"\x80", kBad},
      {"a\xFFz", absl::StrCat("a", kBad, "z")},
      {"\xBF\x80", absl::StrCat(kBad, kBad)},
      {"\xC3z", absl::StrCat(kBad, "z")},
      {"\xE4\xB8z", absl::StrCat(kBad, "z")},
      {"\xF0\x9F\x98z", absl::StrCat(kBad, "z")},
      {"\xE4\xE4\xB8\xAD", absl::StrCat(kBad, "\xE4\xB8\xAD")},
      // Overlong, surrogate, above U+10FFFF: no byte begins anything.
      {"\xC0\xAF", absl::StrCat(kBad, kBad)},
      {"\xE0\x80\xBF", absl::StrCat(kBad, kBad, kBad)},
      {"\xED\xA0\x80", absl::StrCat(kBad, kBad, kBad)},
      {"\xF4\x91\x92\x93", absl::StrCat(kBad, kBad, kBad, kBad)},
      // Tables 3-8 and 3-11 of the Unicode standard, version 15.
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41",
       absl::StrCat(kBad, kBad, kBad, kBad, kBad, kBad, kBad, kBad, "A")},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41",
       absl::StrCat(kBad, kBad, kBad, kBad, "A")},
  };
  for (const auto& c : kCases) {
    for (size_t size = 1; size <= c.text.size(); ++size)
      EXPECT_EQ(Stream(c.text, size), c.shown) << "pieces of " << size;
  }
}

TEST(Utf8Stream, ResultIsThatOfAnyCutting) {
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    static constexpr char kBytes[] =
        "a\x80\xBF\xC3\xE0\xA0\xED\x9F\xE4\xB8\xAD\xF0\x90\xF4\x8F\xFF";
    std::string text;
    for (size_t n = random() % 24; n > 0; --n) text += kBytes[random() % 16];
    const std::string whole = Stream(text, text.size() + 1);
    ASSERT_EQ(Stream(text, 1), whole);
    ASSERT_EQ(Stream(text, 1 + random() % 5), whole);
    ASSERT_TRUE(IsValidUtf8(whole));
    if (IsValidUtf8(text)) {
      ASSERT_EQ(whole, text);
    }
  }
}

}  // namespace
}  // namespace weft
