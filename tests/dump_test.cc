// Dumps: numbers, layers, and every format from one record.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "graph/dump/diff.h"
#include "graph/dump/explain.h"
#include "graph/dump/formats.h"
#include "graph/dump/recorder.h"
#include "graph/print.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "ops/ops.h"
#include "tests/dump_cases.h"
#include "tests/golden.h"
#include "tests/json_schema.h"

namespace weft::inline v0 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Json = nlohmann::json;

// ---- Numbers ----

// silu(x) + gelu(x), its operands made in either order: what compilers do with
// Add(Silu(x), Gelu(x)).
std::string SumText(bool left_first) {
  Graph graph;
  const Value x =
      graph.Input("x", DType::kF32, {Dim::Symbol("T", 4), 8}, Where());
  Value left, right;
  if (left_first) left = Silu(x, Where());
  right = Gelu(x, Where());
  if (!left_first) left = Silu(x, Where());
  graph.Output("y", Add(left, right, Where()));
  EXPECT_TRUE(graph.Finish().ok()) << graph.status();
  return PrintText(graph);
}

TEST(DumpNumbers, DoNotDependOnTheOrderOfEvaluation) {
  EXPECT_EQ(SumText(true), SumText(false));
  EXPECT_EQ(SumText(true),
            "%0: f32[T,8] = input(x)\n%1: f32[T,8] = silu(x)\n"
            "%2: f32[T,8] = gelu(x)\n%3: f32[T,8] = add(%1, %2)\n"
            "output y = %3\n");
}

TEST(DumpNumbers, StayThroughPassesAndAreUnique) {
  const Dump dump = WholeDump({}, Numerics::kFast);
  std::set<int> seen;
  for (const DumpNode& node : dump.nodes)
    for (const DumpValue& v : node.outputs)
      EXPECT_TRUE(seen.insert(v.number).second) << v.number;
  // The text of each stage tells of the same nodes by the same numbers.
  std::map<std::string, std::string> lines;
  for (const DumpStage& stage : dump.stages)
    for (const absl::string_view line : absl::StrSplit(
             WriteText(dump, stage, TextOptions()), '\n', absl::SkipEmpty())) {
      if (absl::StartsWith(line, "output")) continue;
      const std::string id(line.substr(0, line.find(':')));
      const std::string op(line.substr(0, line.find('(')));
      // A name moves to what replaces a node.
      if (absl::StrContains(op, "\"")) continue;
      EXPECT_EQ(lines.try_emplace(id, op).first->second, op) << stage.name;
    }
}

TEST(DumpNumbers, PassesHaveNamesOfTheirOwn) {
  for (const Numerics numerics : {Numerics::kExact, Numerics::kFast}) {
    const auto names = PassNames(numerics);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(),
              names.size());
  }
}

// ---- Layers ----

TEST(DumpLayers, LikeOnesFold) {
  const Dump dump = WholeDump({.layers = 6}, Numerics::kExact);
  EXPECT_THAT(dump.layers, SizeIs(6));
  // As built the first is like the others; fused it has a norm of its own, and
  // the last one ends with a plain sum.
  const DumpStage& built = dump.stages.front();
  ASSERT_FALSE(built.folds.empty());
  EXPECT_EQ(built.folds[0].first, 0);
  EXPECT_GE(built.folds[0].count, 5);
  int largest = 0, layers = 0;
  for (const DumpFold& fold : dump.stages.back().folds) {
    largest = std::max(largest, fold.count);
    layers += fold.count;
    EXPECT_THAT(fold.differs, IsEmpty());
  }
  EXPECT_GE(largest, 4);
  EXPECT_EQ(layers, 6);
}

TEST(DumpLayers, SayWhatTheyDifferIn) {
  Graph graph;
  Value x = graph.Input("x", DType::kF32, {Dim::Symbol("T", 4), 32});
  for (int i = 0; i < 4; ++i) {
    const Value w =
        graph.Weight(absl::StrCat("blk.", i, ".w"),
                     i == 2 ? DType::kQ8_0 : DType::kQ4_0, {32, 32});
    x = x + Scale(Linear(x, w), i == 3 ? 2 : 3);
  }
  graph.Output("y", x);
  ASSERT_TRUE(graph.Finish().ok()) << graph.status();
  const Dump dump = DumpOf(graph);
  ASSERT_THAT(dump.stages[0].folds, SizeIs(1));
  EXPECT_EQ(dump.stages[0].folds[0].count, 4);
  EXPECT_THAT(dump.stages[0].folds[0].differs,
              ElementsAre("w dtype", "scale factor"));
}

// ---- Formats ----

Json Schema() {
  return Json::parse(
      ReadText(absl::StrCat(WEFT_SOURCE_DIR, "/graph/dump/schema.json")));
}

TEST(DumpJson, IsAsTheSchemaSays) {
  const Dump dump = WholeDump({.layers = 3}, Numerics::kFast);
  const Json json = Json::parse(WriteJson(dump));
  EXPECT_EQ(SchemaError(Schema(), json), "");
  EXPECT_EQ(json["stages"].size(), dump.stages.size());
  EXPECT_EQ(json["plan"]["steps"].size(), dump.plan.steps.size());
  EXPECT_EQ(json["profiles"][0]["times"].size(), dump.plan.steps.size());
  // The validator sees what is wrong.
  Json broken = json;
  broken["nodes"][0].erase("op");
  EXPECT_THAT(SchemaError(Schema(), broken), HasSubstr("/nodes/0: has no"));
  broken = json;
  broken["plan"]["steps"][0]["extra"] = 1;
  EXPECT_NE(SchemaError(Schema(), broken), "");
}

TEST(DumpModelExplorer, LeadsEveryEdgeToANode) {
  const Dump dump = WholeDump({}, Numerics::kFast);
  const Json json = Json::parse(WriteModelExplorer(dump));
  ASSERT_EQ(json["graphs"].size(), dump.stages.size());
  for (const Json& graph : json["graphs"]) {
    std::map<std::string, size_t> outputs;
    for (const Json& node : graph["nodes"])
      outputs[node["id"]] = node.value("outputsMetadata", Json::array()).size();
    for (const Json& node : graph["nodes"])
      for (const Json& edge : node["incomingEdges"]) {
        const std::string from = edge["sourceNodeId"];
        ASSERT_TRUE(outputs.contains(from)) << edge;
        EXPECT_LT(std::stoul(edge["sourceNodeOutputId"].get<std::string>()),
                  outputs[from]);
      }
  }
}

TEST(DumpDot, DrawsLikeLayersOnce) {
  const std::string dot = WriteDot(DumpOf([]() -> Graph& {
    static Graph graph;
    BuildLlamaGraph(graph, {.layers = 6});
    EXPECT_TRUE(graph.Finish().ok());
    return graph;
  }()));
  EXPECT_THAT(dot, HasSubstr("subgraph cluster_0"));
  EXPECT_THAT(dot, HasSubstr("(x "));
  EXPECT_THAT(dot, HasSubstr("next layer"));
  const std::string mermaid = WriteMermaid(WholeDump({}, Numerics::kFast));
  EXPECT_THAT(mermaid, HasSubstr("flowchart TD"));
}

// Names come from files: any bytes.
TEST(DumpFormats, TakeAnyName) {
  Graph graph;
  const std::string name = NastyName();
  const Value w = graph.Weight("blk.0." + name, DType::kF32, {2});
  const Value x = graph.Input(name, DType::kF32, {2});
  graph.Output(name, Silu(x + w).Named(name));
  ASSERT_TRUE(graph.Finish().ok()) << graph.status();
  Dump dump = DumpOf(graph);
  dump.title = name;
  for (const DumpFormat& format : DumpFormats()) {
    const std::string text = format.write(dump);
    for (const char c : text)
      EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n')
          << format.name << " has the byte " << static_cast<int>(c);
    EXPECT_THAT(text, Not(HasSubstr("\x7F"))) << format.name;
    EXPECT_THAT(text, Not(HasSubstr("\xC2\x9B"))) << format.name;
    EXPECT_THAT(text, Not(HasSubstr("\xC0\x80"))) << format.name;
  }
  for (const std::string& text : {WriteJson(dump), WriteModelExplorer(dump)})
    EXPECT_TRUE(Json::accept(text));
  // Only what the page itself has.
  const std::string page = WriteHtml(dump);
  const std::string plain = WriteHtml(DumpOf(Graph()));
  const auto count = [](const std::string& text) {
    return std::vector<std::string>(absl::StrSplit(text, "</script>")).size();
  };
  EXPECT_EQ(count(page), count(plain));
}

TEST(DumpHtml, NeedsNothingElse) {
  const std::string page = WriteHtml(WholeDump({}, Numerics::kFast));
  for (const char* other : {"src=", "@import", "url(http", "https://"})
    EXPECT_THAT(page, Not(HasSubstr(other)));
}

TEST(DumpHtml, IsSmallForManyLayers) {
  const std::string page =
      WriteHtml(WholeDump({.layers = 80}, Numerics::kFast));
  EXPECT_LT(page.size(), 1u << 20);
}

// ---- Explain ----

TEST(DumpExplain, SaysWhyAndWhatWouldHelp) {
  Graph graph;
  const Value x = graph.Input("x", DType::kF32, {Dim::Symbol("T", 4), 32});
  const Value norm = RmsNorm(x, 1e-5);
  const Value y = norm * graph.Weight("blk.0.norm", DType::kF32, {32});
  graph.Output("y", y);
  graph.Output("norm", norm);
  graph.Expect("rms_norm_mul", 1);
  DumpRecorder recorder;
  const auto report = Optimize(
      graph, {.check_expectations = false, .observer = recorder.observer()});
  ASSERT_TRUE(report.ok()) << report.status();
  Dump dump = recorder.Take();
  AddRules(graph, *report, dump);
  const std::string text = Explain(dump, "rms_norm_mul");
  EXPECT_THAT(text, HasSubstr("0 of 1 matched, THE MODEL EXPECTS 1"));
  EXPECT_THAT(text, HasSubstr("dump_test.cc:"));
  EXPECT_THAT(text, HasSubstr("because %2 rms_norm is an output of the graph"));
  EXPECT_THAT(text, HasSubstr("to match: a fused node does not give it"));
  EXPECT_THAT(Complaints(dump),
              ElementsAre("rule rms_norm_mul matched 0 times, the model "
                          "expects 1"));
}

TEST(DumpExplain, PutsMissesOfLikeLayersTogether) {
  const Dump dump = WholeDump({.layers = 6}, Numerics::kExact);
  EXPECT_THAT(Explain(dump, "matmul_activation"),
              HasSubstr("more like it from that line"));
  EXPECT_THAT(Complaints(dump), IsEmpty());
}

// ---- Diff ----

TEST(DumpDiff, OfEqualGraphsIsEmpty) {
  const Dump a = WholeDump({}, Numerics::kFast);
  const Dump b = WholeDump({}, Numerics::kFast);
  EXPECT_THAT(Diff(a, a.stages.back(), b, b.stages.back(), false), IsEmpty());
}

TEST(DumpDiff, NamesWhatChangedOnce) {
  const Dump a = WholeDump({.layers = 4}, Numerics::kExact);
  const Dump b =
      WholeDump({.layers = 4, .weights = DType::kQ4_0}, Numerics::kExact);
  const auto differences = Diff(a, a.stages.back(), b, b.stages.back(), false);
  const std::string text = DiffText(differences);
  EXPECT_THAT(text, HasSubstr("~ weight attn_q: type q8_0[64,64] -> "
                              "q4_0[64,64]  in 4 layers, blk.0 the first"));
  EXPECT_THAT(text, Not(HasSubstr("+ ")));
  EXPECT_THAT(text, Not(HasSubstr("- qmatmul")));
}

TEST(DumpDiff, OfPassesGoesByNumber) {
  const Dump dump = WholeDump({}, Numerics::kExact);
  const std::string text =
      DiffText(Diff(dump, dump.stages.front(), dump, dump.stages.back(), true));
  EXPECT_THAT(text, HasSubstr("- softmax at llama_graph.cc"));
  EXPECT_THAT(text, HasSubstr("+ attention at llama_graph.cc"));
}

}  // namespace
}  // namespace weft::inline v0
