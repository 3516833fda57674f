// A program outside the library that brings an architecture of its own gives
// what an independent engine gives.
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/golden.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

constexpr char kProgram[] = "../tests/examples_own_architecture";

TEST(OwnArchitecture, LogitsEqualTheReference) {
  const GoldenModel golden = LoadOpen("qwen2", "");
  if (golden.prompts.empty())
    GTEST_SKIP() << "no reference values in " << WEFT_SHARED_DIR;
  for (const GoldenPrompt& prompt : golden.prompts) {
    std::vector<std::string> args = {golden.path};
    for (const Token token : prompt.tokens) args.push_back(absl::StrCat(token));
    const ToolResult result = RunTool(kProgram, args);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    std::istringstream out(result.out);
    float worst = 0;
    for (const float want : prompt.logits) {
      float got = 0;
      ASSERT_TRUE(out >> got);
      worst = std::max(worst, std::abs(got - want));
    }
    // As in architectures_test.
    EXPECT_LE(worst, 1e-3f) << prompt.name;
  }
}

TEST(OwnArchitecture, SaysWhatIsWrong) {
  const ToolResult other = RunTool(kProgram, {TinyLlamaPath(), "1"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_EQ(other.err, "own_architecture: the file is no qwen2\n");
}

}  // namespace
}  // namespace weft::inline v0
