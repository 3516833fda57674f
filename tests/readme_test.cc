// README.md shows what is there: its C++ blocks are the marked parts of
// examples that are compiled, what it says they print is what they print, and
// its table of folders and their order are the real ones.
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/golden.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

std::string Between(const std::string& text, const std::string& begin,
                    const std::string& end) {
  const size_t first = text.find(begin);
  if (first == std::string::npos) return "";
  const size_t from = first + begin.size();
  return text.substr(from, text.find(end, from) - from);
}

// Without the indentation of main()'s body.
std::string Unindented(const std::string& code) {
  std::string out;
  for (absl::string_view line : absl::StrSplit(code, '\n')) {
    if (line.substr(0, 2) == "  ") line.remove_prefix(2);
    if (!line.empty()) absl::StrAppend(&out, line, "\n");
  }
  return out;
}

std::string Example(const std::string& name) {
  return ReadText(std::string(WEFT_SOURCE_DIR) + "/tests/examples/" + name);
}

TEST(Readme, ShowsTheExamplesThatAreCompiled) {
  const std::string root = WEFT_SOURCE_DIR;
  const std::string readme = ReadText(root + "/README.md");
  const std::string shown = Between(readme, "```cpp\n", "```");
  ASSERT_FALSE(shown.empty());
  EXPECT_EQ(shown, Unindented(Between(Example("feed_forward.cc"),
                                      "// [readme]\n", "  // [/readme]")));
  const std::string program = Between(readme, "## In a program", "## Seeing");
  EXPECT_EQ(Between(program, "```cpp\n", "```"),
            Between(Example("generate.cc"), "// [readme]\n", "// [/readme]"));
  const std::string rest = Between(readme, "## Recipes", "## What works");
  EXPECT_EQ(
      Between(rest, "```cpp\n", "```"),
      Between(Example("own_architecture.cc"), "// [readme]\n", "// [/readme]"));
}

std::string Readme() {
  return ReadText(std::string(WEFT_SOURCE_DIR) + "/README.md");
}

TEST(Readme, ShowsTheGraphThatTheExamplePrints) {
  const ToolResult result = RunTool("../tests/examples_feed_forward", {});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string shown = Between(
      Readme(), "It prints, after the lines of inputs and weights:\n\n```\n",
      "```");
  ASSERT_FALSE(shown.empty());
  ASSERT_TRUE(absl::EndsWith(result.out, shown)) << result.out;
  // All nodes are shown.
  const std::string rest =
      result.out.substr(0, result.out.size() - shown.size());
  for (const absl::string_view line : absl::StrSplit(rest, '\n'))
    EXPECT_TRUE(line.empty() || absl::StrContains(line, " = input(") ||
                absl::StrContains(line, " = weight("))
        << line;
}

TEST(Readme, QuotesTheErrorOfAWrongShape) {
  Graph g;
  const Dim t = Dim::Symbol("T", 512);
  const Value x = g.Input("x", DType::kF32, {t, 64});
  const Value h = RmsNorm(x, 1e-5) * g.Weight("norm", DType::kF32, {64});
  Linear(h, g.Weight("up", DType::kQ8_0, {192, 32}));
  const std::string message(g.status().message());
  const std::string place = "feed_forward.cc:15: ";
  const std::string quoted = place + message.substr(message.find(": ") + 2);
  // As in the text, where it is broken into lines.
  const std::string text = absl::StrReplaceAll(Readme(), {{"\n", " "}});
  EXPECT_TRUE(absl::StrContains(text, "`" + quoted + "`")) << quoted;
  const std::string code = Example("feed_forward.cc");
  const std::vector<std::string> lines = absl::StrSplit(code, '\n');
  EXPECT_TRUE(absl::StrContains(lines[14], "g.Weight(\"up\"")) << lines[14];
}

// house_rules.cmake, which checks every file, has the order from there.
TEST(Readme, TellsTheDirectionOfIncludes) {
  const std::string rules =
      ReadText(std::string(WEFT_SOURCE_DIR) + "/tests/house_rules.cmake");
  const std::string line = Between(Readme(), "include direction:", "(");
  std::vector<std::string> folders = absl::StrSplit(line, "<-");
  for (std::string& folder : folders) absl::StripAsciiWhitespace(&folder);
  ASSERT_EQ(folders.size(), 5u) << line;
  for (size_t i = 0; i < folders.size(); ++i) {
    const std::string may = Between(rules, "set(" + folders[i] + "_may", ")");
    EXPECT_TRUE(absl::StrContains(may, folders[i] + "/")) << folders[i];
    for (size_t later = i + 1; later < folders.size(); ++later)
      EXPECT_FALSE(absl::StrContains(may, folders[later] + "/"))
          << folders[i] << " before " << folders[later];
  }
}

TEST(Readme, NamesEveryFolder) {
  const std::string root = WEFT_SOURCE_DIR;
  const std::string readme = ReadText(root + "/README.md");
  for (const char* folder : {"graph", "ops", "backends", "models", "tools",
                             "tests", "third_party"}) {
    EXPECT_TRUE(std::filesystem::is_directory(root + "/" + folder));
    EXPECT_NE(readme.find(absl::StrCat("`", folder, "/`")), std::string::npos)
        << folder;
  }
}

}  // namespace
}  // namespace weft::inline v0
