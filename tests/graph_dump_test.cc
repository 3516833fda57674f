// graph-dump on a small model: what it shows, and from how little.
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/golden.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

ToolResult Dump(std::vector<std::string> args) {
  args.push_back("--model=" + TinyLlamaPath());
  return RunTool("graph-dump", args);
}

TEST(GraphDump, NeedsTheHeaderAlone) {
  const std::string path = ScratchPath("header.gguf");
  WriteBytes(path, TinyLlama().Metadata());
  const ToolResult result = RunTool("graph-dump", {"--model=" + path});
  ExpectSuccess(result);
  EXPECT_TRUE(absl::StrContains(result.err, "graph-dump: warning: "))
      << result.err;
  EXPECT_EQ(result.out, Dump({}).out);
}

TEST(GraphDump, ShowsEveryPass) {
  const ToolResult result = Dump({"--after=all"});
  ExpectSuccess(result);
  EXPECT_TRUE(absl::StartsWith(result.out, "== as built\n"));
  for (const char* part :
       {"\n== fuse\n", "= softmax(", "= qmatmul(", "= attention("})
    EXPECT_TRUE(absl::StrContains(result.out, part)) << part;
  // The last of them is what is shown without the flag.
  EXPECT_TRUE(absl::EndsWith(result.out, Dump({}).out));
  EXPECT_FALSE(absl::StrContains(Dump({}).out, "dequant("));
}

TEST(GraphDump, ListsThePassesAndRulesThatThereAre) {
  ExpectFailure(Dump({"--after=magic"}), "graph-dump", "fuse");
  ExpectFailure(Dump({"--explain=magic"}), "graph-dump", "attention");
  ExpectFailure(Dump({"--format=svg"}), "graph-dump", "json");
}

TEST(GraphDump, ExplainsEveryRuleOrOne) {
  const ToolResult all = Dump({"--explain"});
  ExpectSuccess(all);
  EXPECT_TRUE(absl::StrContains(all.out, "rule attention: 2 of 2 matched"))
      << all.out;
  const ToolResult one = Dump({"--explain=attention"});
  ExpectSuccess(one);
  EXPECT_TRUE(absl::StrContains(all.out, one.out));
  EXPECT_FALSE(absl::StrContains(one.out, "rule dequant_matmul"));
}

TEST(GraphDump, WritesJson) {
  const auto graph = nlohmann::json::parse(Dump({"--format=json"}).out);
  EXPECT_FALSE(graph["nodes"].empty());
  const auto all =
      nlohmann::json::parse(Dump({"--format=json", "--after=all"}).out);
  EXPECT_EQ(all[0]["after"], "as built");
  EXPECT_EQ(all.back()["graph"], graph);
}

TEST(GraphDump, WritesWhatDotTakes) {
  const std::string path = ScratchPath("graph.dot");
  ExpectSuccess(Dump({"--format=dot", "--out=" + path}));
  EXPECT_TRUE(absl::StartsWith(ReadText(path), "digraph"));
  if (std::system("dot -V 2>/dev/null") != 0)
    GTEST_SKIP() << "Graphviz is not installed";
  const std::string command = absl::StrCat("dot -Tplain ", path, " >/dev/null");
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST(GraphDump, ShowsThePlan) {
  const ToolResult result = Dump({"--plan", "--context=100", "--kv=f32"});
  ExpectSuccess(result);
  for (const char* part : {"arena", "peak", "scratch", "weights", "step",
                           "KV cache", "256 per token", "0 on the slow"})
    EXPECT_TRUE(absl::StrContains(result.out, part)) << part << result.out;
  EXPECT_TRUE(absl::StrContains(Dump({"--plan"}).out, "128 per token"));
  // 2 layers, 2 heads of 8 each in a block of 32; 100 positions are 2 chunks of
  // 64, with 64 bytes behind each of the four caches.
  const std::string quantized =
      Dump({"--plan", "--context=100", "--kv=q8_0,q4_0"}).out;
  EXPECT_TRUE(absl::StrContains(quantized, "26 880 bytes  208 per token"))
      << quantized;
}

TEST(GraphDump, ProfilesEveryStep) {
  const ToolResult result =
      Dump({"--profile", "--noprobe", "--batch=8", "--threads=1"});
  ExpectSuccess(result);
  for (const char* part :
       {"Profile of prefill 8, 1 thread: 3 runs", "Profile of decode 16",
        "step ", "of limit", "qmatmul.", "layer ", "rest ",
        "attention(%"})
    EXPECT_TRUE(absl::StrContains(result.out, part)) << part << result.out;
  EXPECT_FALSE(absl::StrContains(result.out, " = "));  // no graph
  // It needs the data that the other outputs do without.
  const std::string path = ScratchPath("header-only.gguf");
  WriteBytes(path, TinyLlama().Metadata());
  const ToolResult cut =
      RunTool("graph-dump", {"--model=" + path, "--profile"});
  EXPECT_EQ(cut.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(cut.err, "GGUF-D2")) << cut.err;
}

TEST(GraphDump, ListsOpsWithoutAModel) {
  const ToolResult result = RunTool("graph-dump", {"--ops"});
  ExpectSuccess(result);
  EXPECT_TRUE(absl::StrContains(result.out, "\nadd\n"));
  EXPECT_TRUE(absl::StrContains(result.out, "kernels: "));
}

}  // namespace
}  // namespace weft::inline v0
