// README.md shows code that compiles: its C++ block is the marked part of the
// example, and its picture of the folders is what is there.
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/golden.h"

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
