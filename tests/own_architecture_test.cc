// A program outside the library that brings an architecture of its own gives
// what an independent engine gives.
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/blocks.h"
#include "models/engine.h"
#include "ops/ops.h"
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

// ---- Mistakes in an architecture ----

int line_of_mistake = 0;

void BuildWithMistake(ModelBuilder& b) {
  const Sizes c = ReadSizes(b);
  if (!b.status().ok()) return;
  const Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  const Value down = b.Weight("blk.0.ffn_down.weight", {c.width, c.hidden});
  Value x = Embed(b, table);
  line_of_mistake = __LINE__ + 1;
  x = Linear(x, down);  // which takes what is c.hidden wide
  x = RmsNorm(x, c.eps) * b.Vector("output_norm.weight", c.width);
  b.Finish(x, Logits(b, x, table));
}

// One error, that of the first wrong line, with what is wrong there.
TEST(OwnArchitecture, ModelLoadNamesTheLineOfAMistake) {
  const Architecture architecture = {"llama", BuildWithMistake};
  LoadOptions options;
  options.architectures = {&architecture};
  const absl::Status status = Model::Load(TinyLlamaPath(), options).status();
  EXPECT_EQ(status,
            absl::InvalidArgumentError(absl::StrCat(
                "own_architecture_test.cc:", line_of_mistake,
                ": matmul(%7 f32[T,32], blk.0.ffn_down.weight q8_0[32,64]): "
                "C2: inner dims differ (32 vs 64)")));
}

}  // namespace
}  // namespace weft::inline v0
