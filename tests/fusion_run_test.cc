// Both sides of every fusion rule agree: the chain on the scalar references
// against the fused graph on the kernels of every target.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "ops/rules/rules.h"
#include "tests/rule_cases.h"
#include "tests/sample_data.h"

namespace weft::inline v0 {
namespace {

constexpr uint64_t kSeed = 20240817;

TEST(FusionRun, EveryRuleHasACase) {
  for (const Rule& rule : FusionRules())
    EXPECT_TRUE(
        std::any_of(RuleCases().begin(), RuleCases().end(),
                    [&](const RuleCase& c) { return c.rule == rule.name(); }))
        << rule.name();
}

std::shared_ptr<SampleGraph> Build(const RuleCase& rule_case) {
  auto sample = std::make_shared<SampleGraph>();
  const Values outputs = rule_case.build(*sample);
  for (const Value& v : outputs)
    sample->graph().Output(absl::StrCat("y", sample->graph().outputs().size()),
                           v);
  EXPECT_TRUE(sample->graph().Finish().ok()) << sample->graph().Finish();
  return sample;
}

std::unique_ptr<Executable> Compile(const Backend& backend,
                                    std::shared_ptr<SampleGraph> sample,
                                    const SampleData& data) {
  const std::shared_ptr<const Graph> graph(sample, &sample->graph());
  auto executable = backend.Compile(graph, data.weights());
  EXPECT_TRUE(executable.ok()) << executable.status();
  if (!executable.ok()) return nullptr;
  EXPECT_TRUE(data.SetInputs(**executable).ok());
  return *std::move(executable);
}

// Moves positions (inputs that count up) on by `n`.
void Advance(const SampleGraph& sample, Executable& executable, int32_t n) {
  for (const SampleGraph::Filled& filled : sample.filled()) {
    if (filled.fill.kind != Fill::Kind::kIota) continue;
    const Node& node = filled.value.graph()->producer(filled.value.id());
    const auto bytes = *executable.Input(node.name);
    auto* pos = reinterpret_cast<int32_t*>(bytes.data());
    for (size_t i = 0; i < bytes.size() / sizeof(int32_t); ++i) pos[i] += n;
  }
}

std::vector<float> Result(const Graph& graph, Executable& executable,
                          const Graph::NamedValue& output,
                          const SymbolValues& symbols) {
  const auto bytes = executable.Output(output.name);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  const Dims dims = graph.value(output.value).type.shape.Bind(symbols);
  std::vector<float> floats(static_cast<size_t>(Elements(dims)));
  std::memcpy(floats.data(), bytes->data(), floats.size() * sizeof(float));
  return floats;
}

// Twice the largest tolerance of the fused graph's ops: a chain has two.
double Tolerance(const Backend& backend, const Graph& graph) {
  if (backend.name() == "reference") return 1e-6;
  double most = 0;
  for (const NodeId id : graph.order())
    if (graph.node(id).op->kind == OpKind::kCompute)
      most = std::max(most, graph.node(id).op->tolerance);
  return 2 * most;
}

void ExpectNear(const std::vector<float>& got, const std::vector<float>& want,
                double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  double scale = 1;
  for (const float w : want) scale = std::max(scale, std::abs(double{w}));
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], tolerance * scale) << "at " << i;
}

void ExpectKernels(const Graph& graph, const BackendPlan& plan) {
  for (const PlannedStep& step : plan.steps)
    EXPECT_FALSE(step.on_reference) << graph.Describe(graph.node(step.node));
}

// Runs the unfused graph on the references and the fused one on `backend`:
// first T tokens at its bound, then one more.
void ExpectBothSidesAgree(const RuleCase& rule_case, const Backend& backend) {
  const auto plain = Build(rule_case);
  const auto fused = Build(rule_case);
  const auto report = Optimize(fused->graph());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_GE(report->Count(rule_case.rule), 1)
      << report->Explain(rule_case.rule);
  const SampleData data(*plain, kSeed);
  const auto want = Compile(**MakeBackend("reference"), plain, data);
  const auto got = Compile(backend, fused, data);
  ASSERT_TRUE(want && got);
  if (backend.name() == "cpu") ExpectKernels(fused->graph(), got->plan());
  for (const int64_t t : {5, 1}) {
    const SymbolValues symbols = {{"T", t}};
    ASSERT_TRUE(want->Run(symbols).ok()) << want->Run(symbols);
    ASSERT_TRUE(got->Run(symbols).ok()) << got->Run(symbols);
    for (size_t i = 0; i < plain->graph().outputs().size(); ++i) {
      SCOPED_TRACE(absl::StrCat("T = ", t, ", output ", i));
      ExpectNear(
          Result(fused->graph(), *got, fused->graph().outputs()[i], symbols),
          Result(plain->graph(), *want, plain->graph().outputs()[i], symbols),
          Tolerance(backend, fused->graph()));
    }
    Advance(*plain, *want, 5);
    Advance(*plain, *got, 5);
  }
}

class FusionRunTest : public ::testing::TestWithParam<RuleCase> {};

TEST_P(FusionRunTest, BothSidesAgreeOnEveryTarget) {
  for (const std::string& target : (*MakeBackend("cpu"))->Targets()) {
    SCOPED_TRACE(target);
    const auto backend = MakeBackend("cpu", {.threads = 2, .target = target});
    ASSERT_TRUE(backend.ok()) << backend.status();
    ExpectBothSidesAgree(GetParam(), **backend);
  }
}

// A fused op's reference is its expansion: no kernel is in play here.
TEST_P(FusionRunTest, BothSidesAgreeOnTheReference) {
  ExpectBothSidesAgree(GetParam(), **MakeBackend("reference"));
}

INSTANTIATE_TEST_SUITE_P(Rules, FusionRunTest, ::testing::ValuesIn(RuleCases()),
                         [](const auto& param) {
                           return absl::StrCat(param.param.rule, "_",
                                               param.param.name);
                         });

}  // namespace
}  // namespace weft::inline v0
