// A llama's graph broken in ways that authors break theirs in: what --explain
// says of it.
#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "graph/dump/explain.h"
#include "graph/dump/recorder.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "tests/llama_graph.h"

namespace weft::inline v0 {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// The first value that a node of the op gives.
Value FirstOf(Graph& graph, const OpDef& op) {
  for (const NodeId id : graph.order())
    if (graph.node(id).op == &op) return {&graph, graph.node(id).outputs[0]};
  ADD_FAILURE() << "no " << op.name;
  return {};
}

class ExplainTest : public ::testing::Test {
 protected:
  // What is said of a llama that `change` was done to.
  std::string Explained(const LlamaGraphOptions& options,
                        const std::function<void(Graph&)>& change,
                        Numerics numerics = Numerics::kExact) {
    Graph graph;
    BuildLlamaGraph(graph, options);
    change(graph);
    DumpRecorder recorder;
    const auto report = Optimize(graph, {.check_expectations = false,
                                         .numerics = numerics,
                                         .observer = recorder.observer()});
    EXPECT_TRUE(report.ok()) << report.status();
    dump_ = recorder.Take();
    AddRules(graph, *report, dump_);
    return Explain(dump_);
  }

  Dump dump_;
};

TEST_F(ExplainTest, AWholeModelMatches) {
  const std::string text = Explained({}, [](Graph&) {});
  EXPECT_THAT(text, HasSubstr("rule attention: 2 of 2 matched"));
  EXPECT_THAT(Complaints(dump_), IsEmpty());
}

TEST_F(ExplainTest, AnExtraConsumer) {
  const std::string text = Explained({}, [](Graph& graph) {
    graph.Output("entropy", Exp(FirstOf(graph, kSoftmax)));
    graph.Expect("attention", 2);
  });
  EXPECT_THAT(text, HasSubstr("rule attention: 1 of 2 matched, THE MODEL "
                              "EXPECTS 2"));
  EXPECT_THAT(text, HasSubstr("softmax has 2 uses ("));
  EXPECT_THAT(text, HasSubstr("compute it apart for the others"));
  EXPECT_THAT(text, HasSubstr("llama_graph.cc:"));
  EXPECT_THAT(Complaints(dump_), Not(IsEmpty()));
}

TEST_F(ExplainTest, AnAddedOutput) {
  const std::string text = Explained(
      {}, [](Graph& graph) { graph.Output("norm", FirstOf(graph, kRmsNorm)); });
  EXPECT_THAT(text, HasSubstr("rms_norm is an output of the graph"));
  EXPECT_THAT(text, HasSubstr("make it no output"));
}

TEST_F(ExplainTest, AWrongDtype) {
  const std::string text =
      Explained({.weights = DType::kF16}, [](Graph&) {}, Numerics::kFast);
  EXPECT_THAT(text, HasSubstr("rule quantize_activations: 0 of"));
  EXPECT_THAT(text, HasSubstr("is f16, which has no integer codes"));
}

// softmax(q k) without the transpose, over as many keys as k has columns.
TEST_F(ExplainTest, ATransposedK) {
  const std::string text = Explained({}, [](Graph& graph) {
    const Dim t = Dim::Symbol("T", 8);
    const Value q = graph.Input("q", DType::kF32, {t, 4, 1, 16});
    const Value k = graph.Input("kt", DType::kF32, {16, 4, 16});
    const Value scores = MatMul(q, Permute(k, {1, 0, 2}));
    graph.Output("odd",
                 MatMul(Softmax(Scale(scores, 0.25)), Permute(k, {1, 0, 2})));
  });
  EXPECT_THAT(text, HasSubstr("rule attention: 2 of 3 matched"));
  EXPECT_THAT(text, HasSubstr("because %"));
  EXPECT_THAT(text, HasSubstr("explain_test.cc:"));
}

// That is no miss but an error of the line that asks for it.
TEST_F(ExplainTest, AnOddHeadSize) {
  Graph graph;
  const Dim t = Dim::Symbol("T", 8);
  const Value q = graph.Input("q", DType::kF32, {t, 4, 15});
  const Value pos = graph.Input("pos", DType::kI32, {t});
  graph.Output("y", Rope(q, pos, {.n_dims = 15}));
  const absl::Status status = graph.Finish();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("explain_test.cc:"));
}

}  // namespace
}  // namespace weft::inline v0
