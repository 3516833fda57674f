// weft-eval on a small model: its commands, files and messages.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "tests/golden.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

std::string ModelFlag() { return absl::StrCat("--model=", TinyLlamaPath()); }

ToolResult Eval(const std::string& command, std::vector<std::string> args,
                const ToolOptions& options = {}) {
  args.insert(args.begin(), {command, ModelFlag()});
  return RunTool("weft-eval", args, options);
}

TEST(WeftEval, TokenizesAndDetokenizes) {
  const ToolResult ids = Eval("tokenize", {"--text=abcd", "--special"});
  ExpectSuccess(ids);
  EXPECT_EQ(ids.out.substr(0, 2), "1 ");
  EXPECT_EQ(CountLines(ids.out), 1);
  for (const char* separator : {",", " "}) {
    const std::string list = absl::StrReplaceAll(
        absl::StripAsciiWhitespace(ids.out), {{" ", separator}});
    const ToolResult text =
        Eval("detokenize", {"--tokens=" + list, "--special"});
    ExpectSuccess(text);
    EXPECT_EQ(text.out, "<s> abcd");
  }
}

TEST(WeftEval, TextIsTakenByteForByte) {
  const std::string path = ScratchPath("text");
  const std::string text("a\r\n\0\xFF z\n", 8);
  WriteBytes(path, text);
  const ToolResult ids = Eval("tokenize", {"--file=" + path});
  ExpectSuccess(ids);
  EXPECT_EQ(Eval("tokenize", {"--file=-"}, {.input = text}).out, ids.out);
  EXPECT_EQ(Eval("detokenize", {"--tokens=" + ids.out}).out, text);
}

TEST(WeftEval, SaysWhichTokenIsWrong) {
  ExpectFailure(Eval("greedy", {"--tokens=1,2,x,4"}), "weft-eval",
                "item 3 of --tokens is \"x\"");
  ExpectFailure(Eval("greedy", {"--tokens=1,,2"}), "weft-eval", "item 2");
  ExpectFailure(Eval("greedy", {"--tokens=-1"}), "weft-eval", "item 1");
  ExpectFailure(Eval("greedy", {}), "weft-eval", "--tokens");
  ExpectFailure(Eval("greedy", {"--tokens=1,999"}), "weft-eval", "999");
  ExpectFailure(Eval("detokenize", {"--tokens=999"}), "weft-eval", "999");
}

TEST(WeftEval, ListsItsCommands) {
  ExpectFailure(Eval("train", {}), "weft-eval", "perplexity");
  ExpectFailure(RunTool("weft-eval", {}), "weft-eval", "tokenize");
}

TEST(WeftEval, RefusesAContextThatIsTooSmall) {
  ExpectFailure(Eval("greedy", {"--tokens=1,3,4", "--context=2"}), "weft-eval",
                "--context is 2");
  ExpectFailure(Eval("perplexity", {"--text=ab", "--context=1"}), "weft-eval",
                "context");
}

TEST(WeftEval, GreedyEqualsTheBestLogits) {
  const std::string out = ScratchPath("logits.f32");
  ExpectSuccess(Eval("logits", {"--tokens=1,259,260", "--out=" + out}));
  const std::vector<float> logits = ReadFloats(out);
  const size_t vocab = logits.size() / 3;
  EXPECT_EQ(logits.size(), 3 * vocab);
  const auto last = logits.end() - static_cast<std::ptrdiff_t>(vocab);
  const auto best = std::max_element(last, logits.end()) - last;
  const ToolResult ids =
      Eval("greedy", {"--tokens=1,259,260", "--max_tokens=3"});
  ExpectSuccess(ids);
  EXPECT_TRUE(absl::StartsWith(ids.out, absl::StrCat(best, " "))) << ids.out;
}

TEST(WeftEval, ResultsAreTheSameForAnyChunk) {
  const std::string whole = ScratchPath("whole.f32");
  const std::string parts = ScratchPath("parts.f32");
  const std::string tokens = "--tokens=1,259,260,261,262,263,264";
  ExpectSuccess(Eval("logits", {tokens, "--out=" + whole}));
  for (const char* chunk : {"--chunk=1", "--chunk=3"}) {
    ExpectSuccess(Eval("logits", {tokens, "--out=" + parts, chunk}));
    EXPECT_EQ(ReadText(whole), ReadText(parts)) << chunk;
  }
}

TEST(WeftEval, ACrippledOutputLeavesNothingBehind) {
  const std::string folder = ScratchPath("out");
  std::filesystem::create_directory(folder);
  const std::string out = folder + "/logits.f32";
  const ToolResult result =
      Eval("logits", {"--tokens=1,259,260", "--out=" + out},
           {.max_file_bytes = 1000});
  ExpectFailure(result, "weft-eval", "cannot write " + out);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(WeftEval, NamesAnUnwritableOutput) {
  for (const char* path : {"/no/such/folder/x", "/", "/dev/null/x"})
    ExpectFailure(Eval("logits", {"--tokens=1", absl::StrCat("--out=", path)}),
                  "weft-eval", absl::StrCat("cannot write ", path));
  ExpectFailure(Eval("logits", {"--tokens=1", "--out=/dev/full"}), "weft-eval",
                "No space left");
}

}  // namespace
}  // namespace weft::inline v0
