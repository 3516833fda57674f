// graph-dump on a small model: what it shows, and from how little.
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/golden.h"
#include "tests/json_schema.h"
#include "tests/sanitizer.h"
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
  ExpectFailure(Dump({"--format=magic"}), "graph-dump", "json");
}

TEST(GraphDump, ExplainsEveryRuleOrOne) {
  const ToolResult all = Dump({"--explain"});
  ExpectSuccess(all);
  EXPECT_TRUE(absl::StrContains(all.out, "rule attention: 2 of 2 matched"))
      << all.out;
  // What matched is named as well as what did not.
  EXPECT_TRUE(absl::StrContains(all.out, "\n  yes: %")) << all.out;
  EXPECT_TRUE(absl::StrContains(all.out, "\n  no: %")) << all.out;
  const ToolResult one = Dump({"--explain=attention"});
  ExpectSuccess(one);
  EXPECT_TRUE(absl::StrContains(all.out, one.out));
  EXPECT_FALSE(absl::StrContains(one.out, "rule dequant_matmul"));
}

TEST(GraphDump, WritesJson) {
  const auto schema = nlohmann::json::parse(
      ReadText(absl::StrCat(WEFT_SOURCE_DIR, "/graph/dump/schema.json")));
  const auto graph = nlohmann::json::parse(Dump({"--format=json"}).out);
  EXPECT_EQ(SchemaError(schema, graph), "");
  EXPECT_EQ(graph["stages"].size(), 1);
  const auto all =
      nlohmann::json::parse(Dump({"--format=json", "--after=all"}).out);
  EXPECT_EQ(SchemaError(schema, all), "");
  EXPECT_EQ(all["stages"][0]["name"], "as built");
  EXPECT_EQ(all["stages"].back(), graph["stages"][0]);
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
  for (const char* part :
       {"kernels by target", "no tensor is slow", "arena", "peak", "scratch",
        "weights", "step", "KV cache", "256 per token", "0 on the slow"})
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
        "step ", "of limit", "qmatmul.", "layer ", "rest ", "attention(%"})
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

TEST(GraphDump, WritesAPageAndPictures) {
  const std::string path = ScratchPath("graph.html");
  ExpectSuccess(Dump({"--format=html", "--out=" + path}));
  const std::string page = ReadText(path);
  EXPECT_TRUE(absl::StartsWith(page, "<!doctype html>"));
  EXPECT_TRUE(absl::StrContains(page, "attn_q.weight"));
  const ToolResult svg = Dump({"--format=svg"});
  if (std::system("dot -V 2>/dev/null") != 0) {
    ExpectFailure(svg, "graph-dump", "apt install graphviz");
    GTEST_SKIP() << "Graphviz is not installed";
  }
  ExpectSuccess(svg);
  EXPECT_TRUE(absl::StrContains(svg.out, "<svg"));
}

TEST(GraphDump, TellsWhatDiffers) {
  const ToolResult same = Dump({"--diff=" + TinyLlamaPath(), "--strict"});
  ExpectSuccess(same);
  EXPECT_EQ(same.out, "no difference\n");
  const ToolResult passes = Dump({"--diff=cse"});
  ExpectSuccess(passes);
  EXPECT_TRUE(absl::StrContains(passes.out, "- softmax at llama.cc:"));
  EXPECT_TRUE(absl::StrContains(passes.out, "+ attention at llama.cc:"));
  const std::string path = ScratchPath("dump.json");
  ExpectSuccess(Dump({"--format=json", "--out=" + path}));
  EXPECT_EQ(Dump({"--diff=" + path}).out, "no difference\n");
  EXPECT_TRUE(absl::StrContains(Dump({"--diff=" + path, "--after=fuse"}).out,
                                "qmatmul of attn_q.weight"));
  const ToolResult strict =
      Dump({"--diff=" + path, "--numerics=exact", "--strict"});
  EXPECT_EQ(strict.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(strict.err, "it differs from ")) << strict.err;
  WriteBytes(path, "{\"format\": \"weft-dump\", \"version\": 1}");
  ExpectFailure(Dump({"--diff=" + path}), "graph-dump", "is missing");
  WriteBytes(path, "no JSON");
  ExpectFailure(Dump({"--diff=" + path}), "graph-dump", "this is no JSON");
}

TEST(GraphDump, SaysWhatFits) {
  const ToolResult small = Dump({"--plan", "--memory=1K"});
  ExpectSuccess(small);
  EXPECT_TRUE(absl::StrContains(small.out, "1K is too little"));
  // 128 bytes for a position of one slot, and 32 on average for what the parts
  // of attention leave: a MiB more is some 6,500 positions more.
  const auto fits = [](const char* memory) {
    const std::string out =
        Dump({"--plan", absl::StrCat("--memory=", memory)}).out;
    const std::string key = absl::StrCat("fits ", memory, ": ");
    return std::atoi(out.substr(out.find(key) + key.size()).c_str());
  };
  const int more = fits("9M") - fits("8M");
  EXPECT_LT(more, 8192);
  EXPECT_GT(more, 6000);
  ExpectFailure(Dump({"--plan", "--memory=lots"}), "graph-dump", "such as 8G");
}

TEST(GraphDump, ShowsAProfileThatWasMeasured) {
  const std::string path = ScratchPath("profile.json");
  ExpectSuccess(
      RunTool("weft-bench",
              {"--model=" + TinyLlamaPath(), "--profile=" + path, "--noprobe",
               "--prompt=8", "--generate=4", "--reps=1", "--threads=1"}));
  const ToolResult result = Dump({"--format=json", "--profile=" + path});
  ExpectSuccess(result);
  const auto json = nlohmann::json::parse(result.out);
  ASSERT_EQ(json["profiles"].size(), 2u);
  EXPECT_EQ(json["profiles"][1]["name"], "decode 4, 1 thread");
  EXPECT_EQ(json["profiles"][1]["times"].size(), json["plan"]["steps"].size());
  // Of the same model, but of another graph.
  ExpectFailure(
      Dump({"--format=json", "--profile=" + path, "--numerics=exact"}),
      "graph-dump", "it is of another graph");
  ExpectFailure(Dump({"--format=html", "--profile=" + TinyLlamaPath()}),
                "graph-dump", "this is no profile");
}

TEST(GraphDump, WritesWhatTheNameOfTheFileEndsIn) {
  const std::string page = ScratchPath("page.html"),
                    json = ScratchPath("g.json");
  const std::string text = ScratchPath("graph.anything");
  const std::string plan = ScratchPath("plan.json");
  ExpectSuccess(Dump({"--out=" + page}));
  EXPECT_TRUE(absl::StartsWith(ReadText(page), "<!doctype html>"));
  ExpectSuccess(Dump({"--out=" + json}));
  EXPECT_TRUE(absl::StartsWith(ReadText(json), "{"));
  ExpectSuccess(Dump({"--out=" + text}));
  EXPECT_TRUE(absl::StartsWith(ReadText(text), "%0: "));
  ExpectSuccess(Dump({"--format=text", "--out=" + page}));
  EXPECT_EQ(ReadText(page), ReadText(text));
  // A plan is no graph.
  ExpectSuccess(Dump({"--plan", "--out=" + plan}));
  EXPECT_FALSE(absl::StartsWith(ReadText(plan), "{"));
}

TEST(GraphDump, SaysWhatToDoAboutBadInput) {
  ExpectFailure(RunTool("graph-dump", {"--model=/nowhere/m.gguf"}),
                "graph-dump", "/nowhere/m.gguf");
  ExpectFailure(Dump({"--format=html", "--out=/nowhere/x.html"}), "graph-dump",
                "/nowhere/x.html");
  ExpectFailure(Dump({"--format=svg", "--after=all"}), "graph-dump",
                "--format=html");
  ExpectFailure(Dump({"--memory=1G"}), "graph-dump", "--plan");
}

// A sparse file of full size. Speed is not tested, memory is.
TEST(GraphDump, ShowsSeventyBillionParametersFromTheHeader) {
  const std::string path = ScratchPath("70b.gguf");
  ExpectSuccess(RunTool("weft-synth",
                        {"--preset=llama3-70b", "--header_only", "--type=q4_k",
                         "--vocab_size=300", "--out=" + path}));
  const ToolResult page =
      RunTool("graph-dump", {"--model=" + path, "--format=html"});
  ExpectSuccess(page);
  EXPECT_LT(page.out.size(), 1'000'000u);
  const ToolResult plan =
      RunTool("graph-dump", {"--model=" + path, "--plan", "--context=32768",
                             "--slots=2", "--kv=q8_0", "--memory=64G"});
  ExpectSuccess(plan);
  EXPECT_TRUE(absl::StrContains(plan.out, "largest context that fits 64G: "));
  if (!kSanitized && std::string(WEFT_EMULATOR).empty()) {
    EXPECT_LT(page.max_resident_kib, 200 << 10);
    EXPECT_LT(plan.max_resident_kib, 200 << 10);
  }
}

// All layers are run where they fit.
TEST(GraphDump, PredictsTheSpeed) {
  const ToolResult result =
      Dump({"--plan", "--probe", "--batch=8", "--threads=1"});
  ExpectSuccess(result);
  for (const char* part : {"by 2 of 2 layers run", "predicted", "at best",
                           "prefill of 8", "decode at "})
    EXPECT_TRUE(absl::StrContains(result.out, part)) << part << result.out;
}

TEST(GraphDump, ListsOpsWithoutAModel) {
  const ToolResult result = RunTool("graph-dump", {"--ops"});
  ExpectSuccess(result);
  EXPECT_TRUE(absl::StrContains(result.out, "\nadd\n"));
  // All of what the record says, whatever full stops it has.
  for (const char* part : {"arXiv:1711.05101): parameter", "C3: eps >= 0."})
    EXPECT_TRUE(absl::StrContains(result.out, part)) << part << result.out;
  EXPECT_TRUE(absl::StrContains(result.out, "kernels: "));
}

}  // namespace
}  // namespace weft::inline v0
