// The printers: a llama-like graph of two layers before and after fusion, in
// every format. WEFT_UPDATE_GOLDEN=1 writes tests/golden/ anew.
#include "graph/print.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "graph/dump/recorder.h"
#include "graph/escape.h"
#include "gtest/gtest.h"
#include "models/architecture.h"
#include "nlohmann/json.hpp"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "tests/llama_graph.h"
#include "tests/small_models.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string GoldenPath(absl::string_view name) {
  return absl::StrCat(WEFT_SOURCE_DIR, "/tests/golden/", name);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Line by line, so that a failure shows where the two part.
void ExpectGolden(absl::string_view name, const std::string& text) {
  const std::string path = GoldenPath(name);
  if (std::getenv("WEFT_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  const std::vector<std::string> want = absl::StrSplit(ReadFile(path), '\n');
  const std::vector<std::string> got = absl::StrSplit(text, '\n');
  for (size_t i = 0; i < std::min(want.size(), got.size()); ++i)
    ASSERT_EQ(got[i], want[i]) << path << ":" << i + 1;
  EXPECT_EQ(got.size(), want.size()) << path;
}

class PrintTest : public ::testing::Test {
 protected:
  PrintTest() { BuildLlamaGraph(graph_); }

  void Fuse() {
    const auto report = Optimize(graph_);
    ASSERT_TRUE(report.ok()) << report.status();
  }

  Graph graph_;
};

TEST_F(PrintTest, TextBeforeFusion) {
  ExpectGolden("llama.txt", PrintText(graph_));
}

TEST_F(PrintTest, TextAfterFusion) {
  Fuse();
  ExpectGolden("llama_fused.txt", PrintText(graph_));
}

TEST_F(PrintTest, DotAfterFusion) {
  Fuse();
  ExpectGolden("llama_fused.dot", WriteDot(DumpOf(graph_)));
}

TEST_F(PrintTest, JsonAfterFusion) {
  Fuse();
  ExpectGolden("llama_fused.json", WriteJson(DumpOf(graph_)));
}

// Of model files, after all passes. Without lines of the models' source, which
// move when anything above them changes.
class ModelDump : public ::testing::TestWithParam<const char*> {};

TEST_P(ModelDump, TextAndJson) {
  const std::string path = ScratchPath("model.gguf");
  WriteBytes(path, SmallModel(GetParam()).Build());
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  BuildOptions build;
  build.max_tokens = 8;
  build.context = 16;
  const auto graph = BuildModel(*file, **FindArchitecture(*file), build);
  ASSERT_TRUE(graph.ok()) << graph.status();
  ASSERT_TRUE(Optimize(**graph).ok());
  const std::string text =
      std::regex_replace(PrintText(**graph, {.sources = false}),
                         std::regex(R"((\.cc):[0-9]+)"), "$1");
  ExpectGolden(absl::StrCat(GetParam(), ".txt"), text);
  std::string json = WriteJson(DumpOf(**graph));
  json = std::regex_replace(json, std::regex(R"("where": "[^"]*")"),
                            R"("where": "")");
  ExpectGolden(absl::StrCat(GetParam(), ".json"), json);
}

INSTANTIATE_TEST_SUITE_P(Models, ModelDump,
                         ::testing::Values("gemma2", "gpt2", "mixtral"));

TEST_F(PrintTest, DumpsOfOneModelAreEqual) {
  Graph again;
  BuildLlamaGraph(again);
  EXPECT_EQ(PrintText(graph_), PrintText(again));
  ASSERT_TRUE(Optimize(again).ok());
  Fuse();
  EXPECT_EQ(PrintText(graph_), PrintText(again));
  for (const DumpFormat& format : DumpFormats())
    EXPECT_EQ(format.write(DumpOf(graph_)), format.write(DumpOf(again)));
}

TEST_F(PrintTest, OptionsLeaveSourcesAndOriginsOut) {
  const std::string text =
      PrintText(graph_, {.sources = false, .origins = false});
  EXPECT_THAT(text, Not(HasSubstr(" = input(")));
  EXPECT_THAT(text, Not(HasSubstr(" = weight(")));
  EXPECT_THAT(text, Not(HasSubstr(" = state(")));
  EXPECT_THAT(text, Not(HasSubstr("#")));
  EXPECT_THAT(PrintText(graph_), HasSubstr("# llama_graph.cc:"));
}

TEST_F(PrintTest, OptimizingAgainChangesNothing) {
  Fuse();
  const std::string once = PrintText(graph_);
  Fuse();
  EXPECT_EQ(PrintText(graph_), once);
}

TEST(Printers, EscapeWhatFormatsReserve) {
  EXPECT_EQ(Quoted("plain"), "\"plain\"");
  EXPECT_EQ(Quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
  EXPECT_EQ(Quoted(absl::string_view("\x01\t\0", 3)),
            "\"\\u0001\\u0009\\u0000\"");
  EXPECT_EQ(Quoted("\xC3\xBC"), "\"\xC3\xBC\"");
  EXPECT_EQ(Quoted("\xC3"), "\"\xEF\xBF\xBD\"");
  EXPECT_EQ(Quoted("</script>\x7F"), "\"\\u003c/script>\\u007f\"");
  EXPECT_EQ(Printable("a\x1B[31m\\ \xC2\x9B \xE2\x80\xA8 \xC3\xBC\xFF"),
            "a\\x1b[31m\\\\ \\x9b \\u2028 \xC3\xBC\xEF\xBF\xBD");
}

TEST(Printers, EmptyGraphsPrint) {
  const Graph graph;
  EXPECT_EQ(PrintText(graph), "");
  EXPECT_TRUE(nlohmann::json::accept(WriteJson(DumpOf(graph))));
  EXPECT_THAT(WriteDot(DumpOf(graph)), HasSubstr("digraph weft {"));
}

TEST(Printers, ConstantsAndSeveralOutputsPrint) {
  Graph graph;
  const Value c = graph.Constant(HostTensor::FromFloats({2}, {1, 2}), Where());
  const Value y = Silu(c, Where()).Named("y");
  graph.Output("a", y);
  graph.Output("b", y);
  EXPECT_EQ(PrintText(graph),
            "%0: f32[2] = constant()\n"
            "%1: f32[2] \"y\" = silu(%0)\n"
            "output a = %1\noutput b = %1\n");
}

// ---- Graphviz ----

// Exit code of `dot` on the text, or -1 where it is not installed.
int RunDot(const std::string& text) {
  if (std::system("command -v dot > /dev/null 2>&1") != 0) return -1;
  const auto path =
      std::filesystem::temp_directory_path() /
      absl::StrCat("weft_print_test_", reinterpret_cast<uintptr_t>(&text));
  std::ofstream(path) << text;
  const int code = std::system(
      absl::StrCat("dot -Tsvg -o /dev/null ", path.string()).c_str());
  std::filesystem::remove(path);
  return code;
}

TEST_F(PrintTest, DotIsAcceptedByGraphviz) {
  const int before = RunDot(WriteDot(DumpOf(graph_)));
  if (before == -1) GTEST_SKIP() << "dot is not installed";
  EXPECT_EQ(before, 0);
  Fuse();
  EXPECT_EQ(RunDot(WriteDot(DumpOf(graph_))), 0);
  Graph odd;
  odd.Output("out \"put\"\n",
             Silu(odd.Input("in\\put <b> {x|y}", DType::kF32, {2})));
  EXPECT_EQ(RunDot(WriteDot(DumpOf(odd))), 0);
}

}  // namespace
}  // namespace weft::inline v0
