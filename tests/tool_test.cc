// The programs as users see them: output, messages, exit codes.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "models/utf8.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

std::string ModelFlag() { return absl::StrCat("--model=", TinyLlamaPath()); }

// Columns that a line takes, as far as tests need it: characters.
size_t Columns(absl::string_view line) {
  size_t n = 0;
  for (; !line.empty(); ++n) line.remove_prefix(ReadUtf8(line).size);
  return n;
}

// ---- All programs ----

class EveryProgram : public testing::TestWithParam<std::string> {
 protected:
  // Arguments with which it would work, but for those that the test adds.
  std::vector<std::string> Valid(const std::string& model) const {
    if (GetParam() == "weft-synth")
      return {"--preset=tiny", "--out=" + ScratchPath("synth.gguf")};
    if (GetParam() == "weft-quantize")
      return {"--in=" + TinyLlamaPath(), "--type=f32", "--dry_run"};
    if (GetParam() == "weft-train") {
      const std::string corpus = ScratchPath("corpus.txt");
      WriteBytes(corpus, "Once upon a time there was a cat.");
      return {"--corpus=" + corpus, "--out=" + ScratchPath("trained.gguf")};
    }
    if (GetParam() == "weft-run") return {model, "--prompt=ab"};
    if (GetParam() == "weft-diff") return {model, "--random=1"};
    if (GetParam() == "weft-eval") return {"tokenize", model, "--text=ab"};
    if (GetParam() == "weft-bench")
      return {model, "--prompt=4", "--generate=2", "--reps=1", "--noprobe"};
    return {model};
  }
  ToolResult RunWith(const std::string& extra) const {
    std::vector<std::string> args = Valid(ModelFlag());
    args.push_back(extra);
    return RunTool(GetParam(), args);
  }
};

TEST_P(EveryProgram, HelpGoesToStdoutInEightyColumns) {
  for (const char* flag : {"--help", "-h", "-help"}) {
    const ToolResult result = RunTool(GetParam(), {flag});
    ExpectSuccess(result);
    EXPECT_EQ(result.err, "");
    EXPECT_TRUE(absl::StartsWith(result.out, GetParam() + ": "));
    EXPECT_TRUE(absl::StrContains(result.out, "--threads=0"));
    // Flags of libraries are none of ours.
    EXPECT_FALSE(absl::StrContains(result.out, "flagfile"));
    for (const absl::string_view line : absl::StrSplit(result.out, '\n'))
      EXPECT_LE(Columns(line), 80u) << line;
  }
}

TEST_P(EveryProgram, NamesAFlagThatDoesNotExist) {
  ExpectFailure(RunWith("--promt=x"), GetParam(), "unknown flag --promt=x");
  // Abseil's own flags are not offered.
  ExpectFailure(RunWith("--flagfile=x"), GetParam(), "unknown flag");
}

TEST_P(EveryProgram, NamesABadValue) {
  ExpectFailure(RunWith("--threads=some"), GetParam(), "threads");
  ExpectFailure(RunWith("--threads"), GetParam(), "--threads needs a value");
}

TEST_P(EveryProgram, RefusesStrayWords) {
  ExpectFailure(RunWith("stray"), GetParam(), "\"stray\"");
}

// Those that have a --model.
class EveryModelProgram : public EveryProgram {};

TEST_P(EveryModelProgram, HasAModelOfItsOwn) {
  const ToolResult result = RunTool(GetParam(), Valid("--threads=1"));
  ExpectSuccess(result);
  EXPECT_TRUE(absl::StrContains(result.err, "share/weft/stories.gguf"))
      << result.err;
}

TEST_P(EveryModelProgram, NamesAPathThatIsWrong) {
  ExpectFailure(RunTool(GetParam(), Valid("--model=/no/such.gguf")), GetParam(),
                "/no/such.gguf");
  ExpectFailure(RunTool(GetParam(), Valid("--model=/")), GetParam(), "/");
}

TEST_P(EveryModelProgram, RefusesAFileThatIsNoModel) {
  const std::string path = ScratchPath("no-model.gguf");
  WriteBytes(path, "Once upon a time there was no model in this file.");
  ExpectFailure(RunTool(GetParam(), Valid("--model=" + path)), GetParam(),
                path);
}

TEST_P(EveryModelProgram, SaysThatItCannotWrite) {
  for (const StdoutTo to : {StdoutTo::kFullDisk, StdoutTo::kClosed}) {
    std::vector<std::string> args = Valid(ModelFlag());
    const ToolResult result = RunTool(GetParam(), args, {.stdout_to = to});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_TRUE(absl::StrContains(
        result.err, GetParam() + ": cannot write to standard output"))
        << result.err;
  }
}

std::string NameOf(const testing::TestParamInfo<std::string>& test) {
  std::string name = test.param;
  std::erase(name, '-');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Programs, EveryProgram,
                         testing::Values("weft-run", "weft-eval", "weft-bench",
                                         "graph-dump", "weft-quantize",
                                         "weft-synth", "weft-diff",
                                         "weft-train"),
                         NameOf);
std::vector<std::string> ModelPrograms() {
  std::vector<std::string> all = {"weft-run", "weft-eval", "weft-bench",
                                  "graph-dump"};
  // An emulator takes minutes for the scalar references of a whole model.
  if (sizeof(WEFT_EMULATOR) == 1) all.push_back("weft-diff");
  return all;
}
INSTANTIATE_TEST_SUITE_P(Programs, EveryModelProgram,
                         testing::ValuesIn(ModelPrograms()), NameOf);

// ---- weft-run ----

ToolResult RunWeft(std::vector<std::string> args,
                   const ToolOptions& options = {}) {
  args.push_back(ModelFlag());
  return RunTool("weft-run", args, options);
}

TEST(WeftRun, PrintsTheContinuationOnly) {
  const ToolResult result = RunWeft({"--prompt=abcd", "--max_tokens=20"});
  ExpectSuccess(result);
  EXPECT_NE(result.out, "");
  EXPECT_TRUE(IsValidUtf8(result.out));
  EXPECT_TRUE(absl::StrContains(result.err, "tokens/s")) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "prompt")) << result.err;
  // Greedy: the same again, for any number of threads.
  EXPECT_EQ(RunWeft({"--prompt=abcd", "--max_tokens=20", "--threads=3"}).out,
            result.out);
}

TEST(WeftRun, SeedsDecideSampledText) {
  const auto text = [](const char* seed) {
    return RunWeft({"--prompt=abcd", "--temperature=1", "--top_k=0",
                    "--min_p=0", "--max_tokens=30", seed})
        .out;
  };
  EXPECT_EQ(text("--seed=1"), text("--seed=1"));
  EXPECT_NE(text("--seed=1"), text("--seed=2"));
}

TEST(WeftRun, RefusesAnEmptyPrompt) {
  ExpectFailure(RunWeft({"--prompt="}), "weft-run", "the prompt is empty");
}

TEST(WeftRun, ReadsPromptsFromLines) {
  const ToolResult result =
      RunWeft({"--max_tokens=6"}, {.input = "abcd\n\nef"});
  ExpectSuccess(result);
  const ToolResult whole = RunWeft({"--max_tokens=12", "--prompt=abcd"});
  const std::vector<std::string> texts = absl::StrSplit(result.out, '\n');
  ASSERT_EQ(texts.size(), 4u) << result.out;
  // The empty line went on with the first text.
  EXPECT_EQ(texts[0] + texts[1], whole.out);
  EXPECT_EQ(texts[2], RunWeft({"--max_tokens=6", "--prompt=ef"}).out);
}

TEST(WeftRun, StopsWhenTheContextIsFull) {
  const ToolResult result =
      RunWeft({"--prompt=a", "--context=8", "--max_tokens=0"});
  ExpectSuccess(result);
  EXPECT_TRUE(absl::StrContains(result.err, "context is full")) << result.err;
}

TEST(WeftRun, RefusesAPromptLongerThanTheContext) {
  const std::string what = "the prompt has 17 tokens, the context 8";
  ExpectFailure(RunWeft({"--prompt=fffffffffffffff", "--context=8"}),
                "weft-run", what);
  ExpectFailure(RunWeft({"--context=8"}, {.input = "fffffffffffffff\n"}),
                "weft-run", what);
}

TEST(WeftRun, SaysOnceHowLongLoadingTook) {
  const ToolResult result = RunWeft({"--max_tokens=2"}, {.input = "ab\ncd\n"});
  ExpectSuccess(result);
  EXPECT_TRUE(absl::StartsWith(result.err, "loaded in ")) << result.err;
  EXPECT_FALSE(absl::StrContains(result.err.substr(1), "loaded in "))
      << result.err;
}

TEST(WeftRun, TakesAFormatOfKeysAndOneOfValues) {
  for (const char* flag : {"--kv=q8_0", "--kv=q8_0,q4_0", "--kv=bf16,f32"})
    ExpectSuccess(RunWeft({"--prompt=a", "--max_tokens=3", flag}));
}

TEST(WeftRun, RefusesValuesOutOfRange) {
  for (const char* flag :
       {"--kv=q8", "--kv=f16,", "--kv=f16,f16,f16", "--kv=q6_k",
        "--max_tokens=-1", "--context=-1", "--temperature=-1", "--top_p=2",
        "--min_p=nan", "--context=99999999999"}) {
    const std::string name(flag + 2, std::string(flag).find('='));
    ExpectFailure(RunWeft({"--prompt=a", flag}), "weft-run",
                  name.substr(0, name.size() - 2));
  }
  for (const char* flag : {"--target=Z80", "--threads=-1"}) {
    const ToolResult result = RunWeft({"--prompt=a", flag});
    EXPECT_EQ(result.exit_code, 1) << flag;
    EXPECT_EQ(CountLines(result.err), 1) << result.err;
  }
}

TEST(WeftRun, RefusesATruncatedModel) {
  const std::string path = ScratchPath("cut.gguf");
  const std::string file = TinyLlama().Build();
  for (const size_t size : {size_t{3}, size_t{100}, file.size() - 1}) {
    WriteBytes(path, file.substr(0, size));
    ExpectFailure(RunTool("weft-run", {"--model=" + path, "--prompt=a"}),
                  "weft-run", path);
  }
}

TEST(WeftRun, AnInterruptEndsItWithStatistics) {
  // So many texts that nobody sees the last one, however soon each ends.
  std::string prompts;
  for (int i = 0; i < 30000; ++i) prompts += "a\n";  // fits a pipe
  const ToolResult result =
      RunWeft({"--max_tokens=0"}, {.input = prompts, .interrupt = true});
  ExpectSuccess(result);
  EXPECT_TRUE(absl::StrContains(result.err, "tokens/s")) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "interrupt")) << result.err;
}

TEST(WeftRun, StopsQuietlyWhenNobodyReads) {
  const ToolResult result =
      RunWeft({"--prompt=a", "--context=300000", "--max_tokens=0"},
              {.stdout_to = StdoutTo::kNobody});
  ExpectSuccess(result);
  EXPECT_FALSE(absl::StrContains(result.err, "weft-run: cannot")) << result.err;
}

// weft's own model, without --model. Which words it picks may differ between
// CPUs, so most of a few stories have to be good.
TEST(WeftRun, TellsStoriesOfItsOwn) {
  int ended = 0, told = 0;
  for (const char* seed : {"--seed=1", "--seed=2", "--seed=3", "--seed=4"}) {
    const ToolResult result =
        RunTool("weft-run", {"--prompt=Once upon a time", "--max_tokens=0",
                             "--temperature=0.5", seed});
    ExpectSuccess(result);
    ended += absl::StrContains(result.err, "at the end of the text");
    // Someone is named and spoken of again.
    const std::vector<absl::string_view> words =
        absl::StrSplit(result.out, absl::ByAnyChar(" .,!?\"\n'"));
    const auto named = std::find(words.begin(), words.end(), "named");
    told += words.size() > 60 && named < words.end() - 1 &&
            std::count(words.begin(), words.end(), *(named + 1)) >= 4;
  }
  EXPECT_GE(ended, 3);
  EXPECT_GE(told, 3);
}

}  // namespace
}  // namespace weft::inline v0
