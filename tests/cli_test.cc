// The parts that the programs are made of.
#include "tools/cli.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tools/describe.h"
#include "tools/eval.h"
#include "tools/terminal.h"

ABSL_FLAG(std::string, cli_test_text, "", "a text");
ABSL_FLAG(int32_t, cli_test_number, 7,
          "a number with a description so long that it does not fit into one "
          "line of the help, nor really into two of them, and is wrapped");
ABSL_FLAG(bool, cli_test_switch, false, "a switch");
ABSL_FLAG(bool, cli_test_hidden, false, "not listed by the program");

namespace weft::inline v0 {
namespace {

Program TestProgram(bool takes_words = false) {
  return {.name = "prog",
          .usage = "prog: does things\n",
          .groups = {{"All",
                      {"cli_test_text", "cli_test_number", "cli_test_switch"}}},
          .bare = {{"cli_test_text", "bare"}},
          .takes_words = takes_words};
}

absl::StatusOr<Arguments> Parse(std::vector<std::string> args,
                                bool takes_words = false) {
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  return ParseArguments(TestProgram(takes_words), argv);
}

TEST(ParseArguments, TakesValuesInEveryForm) {
  ASSERT_TRUE(Parse({"--cli_test_number=1"}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_cli_test_number), 1);
  ASSERT_TRUE(Parse({"--cli_test_number", "-2"}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_cli_test_number), -2);
  ASSERT_TRUE(Parse({"-cli_test_number=3"}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_cli_test_number), 3);
  ASSERT_TRUE(Parse({"--cli_test_text=a=b"}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_cli_test_text), "a=b");
}

TEST(ParseArguments, TakesSwitchesAndBareFlags) {
  const auto args = Parse({"--cli_test_switch", "--cli_test_text"});
  ASSERT_TRUE(args.ok()) << args.status();
  EXPECT_TRUE(absl::GetFlag(FLAGS_cli_test_switch));
  EXPECT_EQ(absl::GetFlag(FLAGS_cli_test_text), "bare");
  EXPECT_TRUE(args->Given("cli_test_text"));
  EXPECT_FALSE(args->Given("cli_test_number"));
  ASSERT_TRUE(Parse({"--nocli_test_switch"}).ok());
  EXPECT_FALSE(absl::GetFlag(FLAGS_cli_test_switch));
}

TEST(ParseArguments, TakesWordsWhereTheyMayBe) {
  const auto args = Parse({"a", "--cli_test_number=1", "-", "--", "--b"}, true);
  ASSERT_TRUE(args.ok()) << args.status();
  EXPECT_EQ(args->words, (std::vector<std::string>{"a", "-", "--b"}));
  EXPECT_FALSE(Parse({"a"}).ok());
}

TEST(ParseArguments, RefusesTheRest) {
  const struct {
    std::vector<std::string> args;
    const char* says;
  } cases[] = {
      {{"--cli_test_number=x"}, "cli_test_number"},
      {{"--cli_test_number"}, "--cli_test_number needs a value"},
      {{"--cli_test_number", "--cli_test_switch"}, "needs a value"},
      {{"--cli_test_number=99999999999"}, "cli_test_number"},
      {{"--cli_test_switch=maybe"}, "cli_test_switch"},
      {{"--nocli_test_number"}, "unknown flag --nocli_test_number"},
      {{"--cli_test_hidden"}, "unknown flag --cli_test_hidden"},
      {{"--"}, nullptr},
      {{"---"}, "unknown flag"},
  };
  for (const auto& c : cases) {
    const absl::Status status = Parse(c.args).status();
    EXPECT_EQ(status.ok(), c.says == nullptr) << c.args[0];
    if (c.says == nullptr) continue;
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_TRUE(absl::StrContains(status.message(), c.says)) << status;
    EXPECT_TRUE(absl::EndsWith(status.message(), "see prog --help"));
  }
}

TEST(HelpText, ListsFlagsWithDefaults) {
  EXPECT_EQ(HelpText(TestProgram()),
            R"(prog: does things

All
  --cli_test_text=...     a text
  --cli_test_number=7     a number with a description so long that it does not
                          fit into one line of the help, nor really into two of
                          them, and is wrapped
  --cli_test_switch       a switch
)");
}

TEST(WithoutControls, KeepsTextAndReplacesTheRest) {
  EXPECT_EQ(WithoutControls("a\tb\n\u00E9"), "a\tb\n\u00E9");
  EXPECT_EQ(WithoutControls("\x1B[31m\r\x7F"), "\uFFFD[31m\uFFFD\uFFFD");
  EXPECT_EQ(WithoutControls("\u0085\u009B\u00A0"), "\uFFFD\uFFFD\u00A0");
}

TEST(ParseTokens, CommasOrBlanks) {
  EXPECT_EQ(*ParseTokens("1,2, 30"), (std::vector<Token>{1, 2, 30}));
  EXPECT_EQ(*ParseTokens(" 1 2\n30\n"), (std::vector<Token>{1, 2, 30}));
  for (const char* bad : {"", " ", "1,", ",1", "1;2", "1 -2", "4294967296"})
    EXPECT_TRUE(absl::IsInvalidArgument(ParseTokens(bad).status())) << bad;
}

TEST(NegativeLogLikelihood, IsThatOfSoftmax) {
  const std::vector<float> logits = {0, std::log(3.0f), 1000};
  EXPECT_NEAR(NegativeLogLikelihood({logits.data(), 2}, 0), std::log(4), 1e-7);
  EXPECT_NEAR(NegativeLogLikelihood({logits.data(), 2}, 1), std::log(4.0 / 3),
              1e-7);
  EXPECT_NEAR(NegativeLogLikelihood(logits, 0), 1000, 1e-7);
}

Placement InArena(int64_t bytes, int first, int last) {
  Placement place;
  place.storage = Storage::kArena;
  place.bytes = bytes;
  place.first = first;
  place.last = last;
  return place;
}

TEST(PeakOfArena, AddsWhatIsNeededAtTheSameTime) {
  Plan plan;
  EXPECT_EQ(PeakOfArena(plan).bytes, 0);
  plan.steps = {0, 1, 2};
  // An input, an intermediate result, the output.
  plan.values = {InArena(100, -1, 1), InArena(64, 1, 2), InArena(10, 2, 3)};
  const ArenaUse peak = PeakOfArena(plan);
  EXPECT_EQ(peak.bytes, 128 + 64);
  EXPECT_EQ(peak.step, 1);
}

}  // namespace
}  // namespace weft::inline v0
