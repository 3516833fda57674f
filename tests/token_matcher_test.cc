#include "models/token_matcher.h"

#include <algorithm>
#include <ctime>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

// "plain" as itself, a token as "[text]".
std::string Show(const std::vector<TextPart>& parts) {
  std::string shown;
  for (const TextPart& part : parts) {
    EXPECT_FALSE(part.text.empty());
    if (part.token == kNoToken) {
      absl::StrAppend(&shown, part.text, "|");
    } else {
      absl::StrAppend(&shown, "[", part.text, "=", part.token, "]");
    }
  }
  return shown;
}

// llama.cpp's rule, one token after the other.
std::vector<TextPart> SplitSlowly(std::vector<SpecialText> specials,
                                  absl::string_view text, bool parse_special) {
  std::sort(specials.begin(), specials.end(),
            [](const SpecialText& a, const SpecialText& b) {
              if (a.text.size() != b.text.size())
                return a.text.size() > b.text.size();
              return a.token < b.token;
            });
  std::vector<TextPart> parts;
  if (!text.empty()) parts.push_back({text, kNoToken});
  for (const SpecialText& special : specials) {
    if (special.text.empty() || (special.only_parsed && !parse_special))
      continue;
    std::vector<TextPart> next;
    for (const TextPart& part : parts) {
      absl::string_view rest = part.text;
      size_t at;
      while (part.token == kNoToken &&
             (at = rest.find(special.text)) != rest.npos) {
        if (at > 0) next.push_back({rest.substr(0, at), kNoToken});
        next.push_back({special.text, special.token});
        rest.remove_prefix(at + special.text.size());
        if (special.strip_after) rest = absl::StripLeadingAsciiWhitespace(rest);
      }
      if (!rest.empty()) next.push_back({rest, part.token});
    }
    parts = next;
  }
  return parts;
}

TEST(TokenMatcher, Rules) {
  const TokenMatcher matcher({{"<s>", 1, true},
                              {"<s>", 9, true},
                              {"", 2},
                              {"ab", 3},
                              {"bcd", 4},
                              {"<<", 5},
                              {"x", 6, false, true},
                              {" y", 7}});
  const auto split = [&](absl::string_view text, bool parse = true) {
    return Show(matcher.Split(text, parse));
  };
  EXPECT_EQ(split(""), "");
  EXPECT_EQ(split("plain"), "plain|");
  EXPECT_EQ(split("a<s>"), "a|[<s>=1]");
  EXPECT_EQ(split("a<s>", false), "a<s>|");
  EXPECT_EQ(split("<s><s>"), "[<s>=1][<s>=1]");
  // The longest goes first, not the leftmost.
  EXPECT_EQ(split("abcd"), "a|[bcd=4]");
  EXPECT_EQ(split("abab"), "[ab=3][ab=3]");
  EXPECT_EQ(split("<<<"), "[<<=5]<|");
  // White space goes, but not into the next token.
  EXPECT_EQ(split("x \n z"), "[x=6]z|");
  EXPECT_EQ(split("x  y"), "[x=6][ y=7]");
  EXPECT_EQ(split("x "), "[x=6]");
}

TEST(TokenMatcher, NoTokens) {
  EXPECT_EQ(Show(TokenMatcher({}).Split("text", true)), "text|");
}

TEST(TokenMatcher, SplitsAsTheRuleSays) {
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const auto text = [&random](size_t size) {
      std::string result;
      while (result.size() < size) result += "aab \xFF"[random() % 5];
      return result;
    };
    std::vector<std::string> texts(random() % 7);
    std::vector<SpecialText> specials;
    for (std::string& special : texts) special = text(random() % 6);
    // Ids in another order than the texts, each once.
    for (const std::string& special : texts) {
      specials.push_back({special, static_cast<Token>(specials.size() * 5 % 7),
                          random() % 3 == 0, random() % 3 == 0});
    }
    const TokenMatcher matcher(specials);
    const std::string input = text(random() % 40);
    for (const bool parse : {false, true}) {
      ASSERT_EQ(Show(matcher.Split(input, parse)),
                Show(SplitSlowly(specials, input, parse)))
          << '"' << input << '"';
    }
  }
}

// Seconds of this thread's own, whatever else the machine does.
double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

TEST(TokenMatcher, TimeDoesNotGrowWithTokens) {
  std::vector<std::string> texts;
  std::vector<SpecialText> specials;
  for (size_t i = 1; i < 1000; ++i) texts.emplace_back(i, '<');
  for (int i = 0; i < 6000; ++i)
    texts.push_back(absl::StrCat("<unused", i, ">"));
  for (const std::string& text : texts)
    specials.push_back({text, static_cast<Token>(specials.size())});
  const std::string input(1'000'000, '<');
  const auto seconds = [&](std::vector<SpecialText> some, size_t parts) {
    const TokenMatcher matcher(std::move(some));
    const double begin = CpuSeconds();
    EXPECT_EQ(matcher.Split(input, true).size(), parts);
    return CpuSeconds() - begin;
  };
  // As a fraction of what 7 tokens take: one look through the text for each
  // would be a thousand times as long.
  const double few = seconds({specials.begin(), specials.begin() + 7}, 142858);
  EXPECT_LT(seconds(specials, 1002), 100 * few);
}

}  // namespace
}  // namespace weft
