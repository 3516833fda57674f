// Every architecture's graph broken in ways that authors break theirs in: what
// --explain says of it.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "graph/dump/explain.h"
#include "graph/dump/recorder.h"
#include "models/architecture.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "tests/tool_runner.h"
#include "tools/mixture.h"
#include "tools/synth.h"

namespace weft::inline v0 {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

// A small file of the architecture: weights in f16, which fit any shape.
SynthModel Shape(absl::string_view arch) {
  SynthModel model = FindSynthPreset("tiny").value();
  model.layers = 2;
  model.arch = std::string(arch);
  return model;
}

absl::StatusOr<std::unique_ptr<Graph>> Build(const SynthModel& model) {
  const std::string path = ScratchPath(absl::StrCat(model.arch, ".gguf"));
  SynthOptions options;
  options.mixture = FindMixture("f16", false).value();
  options.header_only = true;
  const auto written = WriteSynth(path, model, options, {});
  if (!written.ok()) return written.status();
  const auto file = GgufFile::Open(path);
  if (!file.ok()) return file.status();
  BuildOptions build;
  build.max_tokens = 8;
  build.context = 16;
  return BuildModel(*file, **FindArchitecture(*file), build);
}

struct Explained {
  Dump dump;
  std::string text;
  const DumpRule& Rule(absl::string_view name) const {
    return *std::find_if(dump.rules.begin(), dump.rules.end(),
                         [&](const DumpRule& r) { return r.name == name; });
  }
};

Explained Explain(Graph& graph, Numerics numerics = Numerics::kExact) {
  DumpRecorder recorder;
  const auto report = Optimize(graph, {.check_expectations = false,
                                       .numerics = numerics,
                                       .observer = recorder.observer()});
  EXPECT_TRUE(report.ok()) << report.status();
  Explained out;
  out.dump = recorder.Take();
  if (report.ok()) AddRules(graph, *report, out.dump);
  out.text = Explain(out.dump);
  return out;
}

// The first node of the op that one of `reader` reads (any, when null).
Value Find(Graph& graph, const OpDef& op, const OpDef* reader) {
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op != &op) continue;
    const auto& users = graph.value(node.outputs[0]).users;
    if (reader == nullptr ||
        std::any_of(users.begin(), users.end(),
                    [&](NodeId u) { return graph.node(u).op == reader; }))
      return {&graph, node.outputs[0]};
  }
  return {};
}

class Mutation : public ::testing::TestWithParam<const Architecture*> {
 protected:
  // What is broken: the probabilities of attention, or a norm where there is
  // none; and the rule that then misses once more.
  void SetUp() override {
    auto graph = Build(Shape(GetParam()->name));
    ASSERT_TRUE(graph.ok()) << graph.status();
    graph_ = *std::move(graph);
    inside_ = Find(*graph_, kSoftmax, &kMatMul);
    rule_ = inside_.graph() != nullptr ? "attention" : "rms_norm_mul";
    if (inside_.graph() == nullptr) inside_ = Find(*graph_, kRmsNorm, &kMul);
    ASSERT_NE(inside_.graph(), nullptr);
    auto whole = Build(Shape(GetParam()->name));
    ASSERT_TRUE(whole.ok());
    whole_ = Explain(**whole).Rule(rule_).matched;
    ASSERT_GT(whole_, 0);
  }
  Node From(Value v) const { return graph_->producer(v.id()); }
  // Explains, and that the rule matched once less.
  std::string Miss() {
    const Explained explained = Explain(*graph_);
    EXPECT_EQ(explained.Rule(rule_).matched, whole_ - 1) << explained.text;
    return explained.text;
  }

  std::unique_ptr<Graph> graph_;
  Value inside_;
  std::string rule_;
  int whole_ = 0;
};

TEST_P(Mutation, AnExtraConsumer) {
  graph_->Output("more", Exp(inside_));
  EXPECT_THAT(
      Miss(),
      AllOf(HasSubstr(absl::StrCat(From(inside_).op->name, " has 2 uses (")),
            HasSubstr("only what is fused may read it")));
}

TEST_P(Mutation, AnAddedOutput) {
  graph_->Output("more", inside_);
  EXPECT_THAT(Miss(), AllOf(HasSubstr(absl::StrCat(From(inside_).op->name,
                                                   " is an output of the "
                                                   "graph")),
                            HasSubstr("make it no output")));
}

// Keys as [.., C, D] taken for [.., D, C].
TEST_P(Mutation, ATransposedK) {
  if (rule_ != "attention") GTEST_SKIP() << "no keys";
  Value at = inside_;
  while (From(at).op != &kMatMul) at = Value(graph_.get(), From(at).inputs[0]);
  const Value q(graph_.get(), From(at).inputs[0]);
  const Value k(graph_.get(), From(at).inputs[1]);
  const auto rank = static_cast<int64_t>(k.rank());
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < rank - 2; ++i) axes.push_back(i);
  axes.push_back(rank - 1);
  axes.push_back(rank - 2);
  const Value wrong = MatMul(q, Reshape(Permute(k, axes), k.shape()));
  ASSERT_TRUE(graph_->status().ok()) << graph_->status();
  graph_->ReplaceUses(at.id(), wrong.id());
  graph_->EraseIfDead(From(at).id);
  ASSERT_TRUE(graph_->Sort().ok());
  EXPECT_THAT(Miss(), AllOf(HasSubstr("reshape"), HasSubstr("does not lay out "
                                                            "k")));
}

TEST_P(Mutation, AWrongDtype) {
  const Explained explained = Explain(*graph_, Numerics::kFast);
  EXPECT_EQ(explained.Rule("quantize_activations").matched, 0);
  EXPECT_THAT(explained.text, HasSubstr("is f16, which has no integer codes"));
}

// Heads of 15: rotary pairs do not come out even. An error of the line or key
// that asks for it; without rotation nothing is wrong with them.
TEST_P(Mutation, AnOddHeadSize) {
  SynthModel model = Shape(GetParam()->name);
  model.width = 60;
  model.heads = 4;
  const auto graph = Build(model);
  if (graph.ok()) {
    // deepseek2 rotates a part of its own size.
    const Value rotated = Find(**graph, kRotate, nullptr);
    if (rotated.graph() != nullptr) {
      EXPECT_EQ(rotated.dim(-1).bound() % 2, 0) << rotated.type().ToString();
    }
    EXPECT_EQ(Explain(**graph).Rule(rule_).matched, whole_);
    return;
  }
  EXPECT_THAT(std::string(graph.status().message()),
              AnyOf(HasSubstr("even"), HasSubstr("15")));
}

INSTANTIATE_TEST_SUITE_P(Architectures, Mutation, ::testing::ValuesIn([] {
                           std::vector<const Architecture*> all;
                           for (const Architecture& a : Architectures())
                             all.push_back(&a);
                           return all;
                         }()),
                         [](const auto& param) {
                           std::string name(param.param->name);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace weft::inline v0
