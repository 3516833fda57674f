// The examples run and say what they should; tools/dev package builds the same
// files against an installed weft.
#include <string>

#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/golden.h"
#include "tests/greedy.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

std::string Path(const std::string& name) {
  return std::string(WEFT_SOURCE_DIR) + "/tests/examples/" + name;
}

ToolResult RunExample(const std::string& name, std::vector<std::string> args,
                      const ToolOptions& options = {}) {
  return RunTool("../tests/examples_" + name, args, options);
}

TEST(Examples, DigitsAreLearntAndRecognised) {
  const std::string weights = ::testing::TempDir() + "digits.gguf";
  const ToolResult trained = RunExample("train_digits", {weights});
  ExpectSuccess(trained);
  // "993 of 1000 right": pictures with 4 of 64 pixels changed can be
  // unreadable.
  const std::vector<std::string> lines = absl::StrSplit(trained.out, '\n');
  ASSERT_GE(lines.size(), 2u) << trained.out;
  EXPECT_GE(std::stoi(lines[lines.size() - 2]), 970) << trained.out;
  const ToolResult result =
      RunExample("digits", {weights}, {.input = ReadText(Path("digits.txt"))});
  ExpectSuccess(result);
  EXPECT_EQ(result.out, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
  EXPECT_EQ(RunExample("digits", {TinyLlamaPath()}, {.input = "#\n"}).exit_code,
            1);
}

TEST(Examples, EightConversationsAreEachWhatItIsAlone) {
  const std::string path = SharedPath("models/stories260K.gguf");
  if (path.empty()) GTEST_SKIP() << "no model in " << WEFT_SHARED_DIR;
  const std::vector<std::string> prompts = {
      "Once upon a time",    "Lily and Tom", "One day, a cat", "The sun was",
      "There was a big dog", "Mom said",     "In the park",    "A little bird"};
  const ToolResult together = RunExample("conversations", {path});
  ExpectSuccess(together);
  std::vector<std::string> lines = absl::StrSplit(together.out, '\n');
  lines.pop_back();  // behind the last end of a line
  ASSERT_EQ(lines.size(), prompts.size()) << together.out;
  for (size_t i = 0; i < prompts.size(); ++i) {
    // Each goes on as the other program's text does.
    ASSERT_EQ(lines[i].substr(0, prompts[i].size()), prompts[i]);
    const std::string text = lines[i].substr(prompts[i].size());
    EXPECT_GT(text.size(), 20u) << prompts[i];
    const ToolResult alone = RunExample("generate", {path, prompts[i]});
    ExpectSuccess(alone);
    EXPECT_EQ(alone.out.substr(0, text.size()), text) << prompts[i];
  }
}

TEST(Examples, TwoModelsAtOnce) {
  const ToolResult result =
      RunExample("two_models", {TinyLlamaPath(), TinyLlamaPath(), "a b a b"});
  ExpectSuccess(result);
  const std::vector<std::string> lines = absl::StrSplit(result.out, '\n');
  ASSERT_EQ(lines.size(), 3u) << result.out;
  EXPECT_EQ(lines[0], lines[1]);
  EXPECT_GT(std::stod(lines[0]), 0.1);
}

TEST(Examples, SayWhatIsWrong) {
  const ToolResult none = RunExample("generate", {"/no/such/file", "x"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_NE(none.err.find("/no/such/file"), std::string::npos);
}

}  // namespace
}  // namespace weft::inline v0
