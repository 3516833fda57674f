// GBNF: what matches, what is refused and where, and the tokens that may come.
#include "models/grammar/grammar.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/grammar/matcher.h"
#include "models/grammar/states.h"
#include "models/sampler.h"
#include "tests/grammar_util.h"
#include "tests/spm_vocab.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::shared_ptr<const Grammar> Parse(absl::string_view text) {
  auto grammar = Grammar::Parse(text);
  EXPECT_TRUE(grammar.ok()) << grammar.status();
  return *std::move(grammar);
}

struct MatchCase {
  const char* grammar;
  std::vector<std::string> whole, begun, no;
};

TEST(Grammar, Matches) {
  const MatchCase kCases[] = {
      {"root ::= \"yes\" | \"no\"", {"yes", "no"}, {"", "y"}, {"yo", "yesn"}},
      {"root ::= \"\"", {""}, {}, {"a"}},
      {"root ::= [a-c]+ \"-\"? [^a-c\\n]", {"abc-d", "ad"}, {"ab"}, {"da"}},
      {"root ::= \"a\"{2} \"b\"{1,2} \"c\"{1,}",
       {"aabc", "aabbccc"},
       {"aab"},
       {"abc", "aabbbc"}},
      {"root ::= (\"a\" | \"b\")* \"c\"", {"c", "abbac"}, {"abba"}, {"d"}},
      // A class of letters of 1 to 4 bytes; bytes that are none do not match.
      {"root ::= [ä-ü中\\U0001F600]+",
       {"äöü", "中", "😀"},
       {"\xC3", "中\xF0\x9F"},
       {"a", "ý", "\xFF", "\xED\xA0\x80"}},
      {"root ::= . \"!\"", {"a!", "ä!", "\n!"}, {"\xF0\x9F"}, {"\x80!"}},
      {"root ::= \"\\x41\\u00e4\\U0001F600\\n\\\"\"", {"Aä😀\n\""}, {"A"}, {}},
      {"root ::= \"(\" root? \")\"", {"()", "((()))"}, {"(("}, {")", "())"}},
      // Rules in any order, comments, line ends where a rule goes on.
      {"# c\nroot ::= # c\n  a |\n  (b\n   c) # c\r\na ::= \"1\"\n\n"
       "b ::= \"2\"\nc ::= \"3\"",
       {"1", "23"},
       {"2"},
       {"3"}},
      {"root ::= a*\na ::= b*\nb ::= \"x\" | \"\"", {"", "xx"}, {}, {"y"}},
  };
  for (const MatchCase& c : kCases) {
    const auto grammar = Parse(c.grammar);
    for (const std::string& text : c.whole)
      EXPECT_EQ(MatchGrammar(grammar, text), GrammarMatch::kWhole)
          << c.grammar << ": " << text;
    for (const std::string& text : c.begun)
      EXPECT_EQ(MatchGrammar(grammar, text), GrammarMatch::kBegins)
          << c.grammar << ": " << text;
    for (const std::string& text : c.no)
      EXPECT_EQ(MatchGrammar(grammar, text), GrammarMatch::kNo)
          << c.grammar << ": " << text;
  }
}

TEST(Grammar, Refuses) {
  struct {
    std::string grammar;
    absl::StatusCode code;
    const char* message;
  } const kCases[] = {
      {"", absl::StatusCode::kInvalidArgument, "there is no rule \"root\""},
      {"a ::= \"x\"", absl::StatusCode::kInvalidArgument, "no rule \"root\""},
      {"root ::= a\n\na ::= nix", absl::StatusCode::kInvalidArgument,
       "GBNF-2: line 3, column 7: there is no rule \"nix\""},
      {"root ::= \"a\"\nroot ::= \"b\"", absl::StatusCode::kInvalidArgument,
       "GBNF-3: line 2, column 1"},
      {"root ::= \"a", absl::StatusCode::kInvalidArgument,
       "GBNF-1: line 1, column 10: the literal has no closing"},
      {"root ::= [a", absl::StatusCode::kInvalidArgument, "no closing ]"},
      {"root ::= (\"a\"", absl::StatusCode::kInvalidArgument,
       "found the end; expected )"},
      {"root ::= \"a\" )", absl::StatusCode::kInvalidArgument,
       "column 14: found \")\""},
      {"root ::= *", absl::StatusCode::kInvalidArgument, "found \"*\""},
      {"root ::= \"a\"{", absl::StatusCode::kInvalidArgument,
       "a number of repetitions"},
      {"root ::= \"a\"{3,2}", absl::StatusCode::kInvalidArgument, "at least 3"},
      {"root ::= [z-a]", absl::StatusCode::kInvalidArgument, "range"},
      {"root ::= \"\\q\"", absl::StatusCode::kInvalidArgument, "no escape"},
      {"root ::= \"\\uD800\"", absl::StatusCode::kInvalidArgument, "no escape"},
      {"root ::= \"\xFF\"", absl::StatusCode::kInvalidArgument, "UTF-8"},
      {"root = \"a\"", absl::StatusCode::kInvalidArgument, "expected ::="},
      {"root ::= <think>", absl::StatusCode::kUnimplemented, "tokens"},
      // Left recursion: direct, through others, behind what may be empty.
      {"root ::= root \"a\"", absl::StatusCode::kInvalidArgument,
       "left recursion: the rule \"root\""},
      {"root ::= a\na ::= b\nb ::= \"x\" | a",
       absl::StatusCode::kInvalidArgument, "left recursion"},
      {"root ::= e* root \"a\"\ne ::= \"x\"?",
       absl::StatusCode::kInvalidArgument, "left recursion"},
      {"root ::= root", absl::StatusCode::kInvalidArgument, "left recursion"},
      // Budgets.
      {absl::StrCat("root ::= ", std::string(60'000, '('), "\"a\"",
                    std::string(60'000, ')')),
       absl::StatusCode::kResourceExhausted, "nesting"},
      {"root ::= \"a\"{1000000}", absl::StatusCode::kResourceExhausted,
       "more than 100000 times"},
      {"root ::= \"a\"{99999999999999999999}",
       absl::StatusCode::kResourceExhausted, "times"},
      {"root ::= ((\"a\"{1000}){1000}){1000}",
       absl::StatusCode::kResourceExhausted, "too long"},
      {std::string(Grammar::kMaxTextBytes + 1, ' '),
       absl::StatusCode::kResourceExhausted, "bytes"},
  };
  for (const auto& c : kCases) {
    const absl::Status status = Grammar::Parse(c.grammar).status();
    EXPECT_EQ(status.code(), c.code) << c.grammar.substr(0, 60) << status;
    EXPECT_THAT(status.message(),
                AllOf(HasSubstr("grammar: GBNF-"), HasSubstr(c.message)))
        << c.grammar.substr(0, 60);
  }
  std::string many;
  for (int i = 0; i < 10'001; ++i)
    absl::StrAppend(&many, "r", i, " ::= \"\"\n");
  EXPECT_THAT(Grammar::Parse(many).status().message(), HasSubstr("rules"));
}

TEST(Grammar, LongChainsAndAmbiguity) {
  // 5000 rules, each the beginning of the one before.
  std::string chain = "root ::= r0\n";
  for (int i = 0; i < 5000; ++i)
    absl::StrAppend(&chain, "r", i, " ::= r", i + 1, " \"x\"?\n");
  absl::StrAppend(&chain, "r5000 ::= \"a\"\n");
  EXPECT_EQ(MatchGrammar(Parse(chain), "axxx"), GrammarMatch::kWhole);
  // A thousand ways to be at any place, and one too many.
  std::string wide = "root ::= r0\n";
  for (int i = 0; i < 30; ++i)
    absl::StrAppend(&wide, "r", i, " ::= r", i + 1, " \"x\" | r", i + 1,
                    " \"y\"\n");
  absl::StrAppend(&wide, "r30 ::= \"a\"\n");
  const auto tokenizer = MakeTokenizer(SmallSpmVocab().Spec());
  ASSERT_TRUE(tokenizer.ok());
  const absl::Status status =
      GrammarMatcher::Make(Parse(wide),
                           std::make_shared<const TokenPieces>(**tokenizer))
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(status.message(), HasSubstr("too ambiguous"));
}

// A right recursion returns to the state that it came from, so that nothing
// grows with the text; so does a repetition.
TEST(Grammar, StatesDoNotGrow) {
  for (const char* text :
       {"root ::= \"a\" root | \"b\"", "root ::= [a-z]* \"!\""}) {
    GrammarStates states(Parse(text));
    GrammarStates::Id at = states.start();
    for (int i = 0; i < 1000; ++i) at = states.Next(at, 'a');
    EXPECT_LE(states.size(), 4u) << text;
  }
}

class GrammarMatcherTest : public testing::Test {
 protected:
  void SetUp() override {
    SpmVocab vocab = SmallSpmVocab();
    for (const char* text : {"\":", "{\"", "\"}", "äö", "bc", "12", "3}", "}}"})
      vocab.Add(text, -10);
    auto tokenizer = MakeTokenizer(vocab.Spec());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    pieces_ = std::make_shared<const TokenPieces>(**tokenizer);
  }
  bool IsAllowed(absl::Span<const uint64_t> allowed, Token token) {
    return (allowed[static_cast<size_t>(token) / 64] >> (token % 64) & 1) != 0;
  }

  std::shared_ptr<const TokenPieces> pieces_;
};

// At every place of a text: a token may come exactly if the text with it begins
// something.
TEST_F(GrammarMatcherTest, AllowsWhatCanGoOn) {
  const auto grammar =
      Parse("root ::= \"{\\\"\" [a-cä-ü]{1,3} \"\\\":\" ([0-9]+ | root) \"}\"");
  auto matcher = GrammarMatcher::Make(grammar, pieces_);
  ASSERT_TRUE(matcher.ok()) << matcher.status();
  const std::string text = "{\"aä\":{\"b\":12}}";
  for (int round = 0; round < 2; ++round, matcher->Reset()) {
    for (size_t n = 0; n <= text.size(); ++n) {
      const std::string begin = text.substr(0, n);
      const auto allowed = matcher->Allowed();
      ASSERT_TRUE(allowed.ok()) << allowed.status();
      for (Token token = 0; token < pieces_->size(); ++token) {
        const bool whole = MatchGrammar(grammar, begin) == GrammarMatch::kWhole;
        const std::string next = absl::StrCat(begin, (*pieces_)[token]);
        const bool want = pieces_->EndsText(token)
                              ? whole
                              : next != begin && MatchGrammar(grammar, next) !=
                                                     GrammarMatch::kNo;
        ASSERT_EQ(IsAllowed(*allowed, token), want) << next;
      }
      // Byte by byte; <0x00> is token 3.
      if (n < text.size())
        matcher->Accept(3 + static_cast<unsigned char>(text[n]));
    }
    EXPECT_TRUE(matcher->CanEnd());
  }
  matcher->Accept(3 + 'z');
  const auto none = matcher->Allowed();
  ASSERT_TRUE(none.ok()) << none.status();
  for (const uint64_t word : *none) EXPECT_EQ(word, 0u);
}

// Whatever the model wants, the text comes out right.
TEST_F(GrammarMatcherTest, InTheChain) {
  SamplerOptions options = {.temperature = 1};
  options.grammar = Parse("root ::= \"ab\" [cd]{2} \"12\"");
  for (uint64_t seed = 0; seed < 20; ++seed) {
    options.seed = seed;
    auto sampler = Sampler::Make(options, pieces_);
    ASSERT_TRUE(sampler.ok()) << sampler.status();
    std::string text;
    const std::vector<float> logits(static_cast<size_t>(pieces_->size()), 0.0f);
    for (int i = 0; i < 10; ++i) {
      const Token token = sampler->Sample(logits).value();
      if (pieces_->EndsText(token)) break;
      sampler->Accept(token);
      absl::StrAppend(&text, (*pieces_)[token]);
    }
    EXPECT_EQ(MatchGrammar(options.grammar, text), GrammarMatch::kWhole)
        << text;
  }
  auto sampler = Sampler::Make(options, pieces_);
  sampler->Observe(5);  // a prompt's tokens are not the grammar's
  sampler->Accept(3 + 'z');
  const std::vector<float> logits(static_cast<size_t>(pieces_->size()), 0.0f);
  EXPECT_THAT(sampler->Sample(logits).status().message(),
              HasSubstr("the grammar allows none"));
  sampler->RestartGrammar();
  EXPECT_TRUE(sampler->Sample(logits).ok());
  EXPECT_FALSE(Sampler::Make(options).ok());
}

}  // namespace
}  // namespace weft
