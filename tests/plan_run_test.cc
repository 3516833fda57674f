// Plans at work: random graphs on planned memory against the reference, and how
// close the arena of a llama comes to what it must hold at once.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "graph/plan.h"
#include "graph/print.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "tests/llama_graph.h"
#include "tests/random_graph.h"
#include "tests/sample_data.h"

namespace weft::inline v0 {
namespace {

constexpr int kGraphs = 300;

// One graph on one backend.
class Runner {
 public:
  Runner(absl::string_view backend, uint64_t seed, int n_ops, bool fuse)
      : sample_(RandomGraph(seed, n_ops)), data_(*sample_, seed) {
    const auto report =
        Optimize(sample_->graph(),
                 {.check_expectations = true, .fuse = fuse, .observer = {}});
    EXPECT_TRUE(report.ok()) << report.status();
    const std::shared_ptr<const Graph> graph(sample_, &sample_->graph());
    auto made = (*MakeBackend(backend, {.threads = 1, .target = ""}))
                    ->Compile(graph, data_.weights());
    EXPECT_TRUE(made.ok()) << made.status();
    if (!made.ok()) return;
    executable_ = *std::move(made);
    EXPECT_TRUE(data_.SetInputs(*executable_).ok());
  }

  bool ok() const { return executable_ != nullptr; }
  const Graph& graph() const { return sample_->graph(); }

  std::vector<std::vector<float>> Run(int64_t t) {
    const SymbolValues symbols = {{"T", t}};
    const absl::Status status = executable_->Run(symbols);
    EXPECT_TRUE(status.ok()) << status;
    std::vector<std::vector<float>> results;
    for (const Graph::NamedValue& out : graph().outputs()) {
      const Dims dims = graph().value(out.value).type.shape.Bind(symbols);
      auto& floats = results.emplace_back();
      floats.resize(static_cast<size_t>(Elements(dims)));
      std::memcpy(floats.data(), executable_->Output(out.name)->data(),
                  floats.size() * sizeof(float));
    }
    return results;
  }

  // Whether the inputs still hold what the caller wrote.
  void ExpectInputsUntouched() {
    for (const SampleGraph::Filled& filled : sample_->filled()) {
      const std::string& name = graph().producer(filled.value.id()).name;
      const auto bytes = executable_->Input(name);
      if (!bytes.ok()) continue;  // a weight or a state
      const HostTensor& want = data_.Of(name);
      EXPECT_TRUE(std::equal(bytes->begin(), bytes->end(), want.bytes.begin(),
                             want.bytes.end()))
          << name;
    }
  }

 private:
  std::shared_ptr<SampleGraph> sample_;
  SampleData data_;
  std::unique_ptr<Executable> executable_;
};

// Kernels sum in another order, and norms of small differences enlarge that; a
// wrong address shows as an error of order one.
constexpr double kTolerance = 2e-3;

bool Near(const std::vector<float>& got, const std::vector<float>& want) {
  double scale = 1;
  for (const float w : want) scale = std::max(scale, std::abs(double{w}));
  for (size_t i = 0; i < want.size(); ++i)
    if (!(std::abs(double{got[i]} - want[i]) <= kTolerance * scale))
      return false;
  return got.size() == want.size();
}

void ExpectEqualOnBoth(uint64_t seed, int n_ops, bool fuse) {
  Runner want("reference", seed, n_ops, /*fuse=*/false);
  Runner got("cpu", seed, n_ops, fuse);
  ASSERT_TRUE(want.ok() && got.ok());
  // Twice with all tokens: the second run reads what the first left in states.
  for (const int64_t t : {6, 6, 1, 3}) {
    const auto a = want.Run(t);
    const auto b = got.Run(t);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i)
      ASSERT_TRUE(Near(b[i], a[i]))
          << "T = " << t << ", output " << i << " of\n"
          << PrintText(got.graph());
  }
  got.ExpectInputsUntouched();
}

TEST(RandomRuns, EqualTheReference) {
  for (int i = 0; i < kGraphs; ++i) {
    const uint64_t seed = 5000 + static_cast<uint64_t>(i);
    const int n_ops = 4 + i % 50;
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", n_ops, " ops"));
    ExpectEqualOnBoth(seed, n_ops, /*fuse=*/i % 2 == 0);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

// Aligned bytes that are alive at the same time, at most.
int64_t PeakOfLiveBytes(const Plan& plan) {
  int64_t peak = 0;
  for (int step = -1; step <= static_cast<int>(plan.steps.size()); ++step) {
    int64_t live = 0;
    for (const Placement& p : plan.values)
      if (p.storage == Storage::kArena && p.first <= step && step <= p.last)
        live += AlignUp(p.bytes);
    peak = std::max(peak, live);
  }
  return peak;
}

class LlamaPlan : public ::testing::TestWithParam<LlamaGraphOptions> {};

TEST_P(LlamaPlan, ArenaIsCloseToTheLowerBound) {
  auto graph = std::make_shared<Graph>();
  BuildLlamaGraph(*graph, GetParam());
  ASSERT_TRUE(Optimize(*graph).ok());
  const auto backend = MakeBackend("cpu");
  const auto plan = (*backend)->Plan(*graph);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(CheckPlan(*graph, plan->plan).ok());
  const int64_t peak = PeakOfLiveBytes(plan->plan);
  const double ratio =
      static_cast<double>(plan->plan.arena_bytes) / static_cast<double>(peak);
  std::cout << "arena " << plan->plan.arena_bytes << " bytes, " << ratio
            << " of the lower bound\n";
  EXPECT_GE(ratio, 1);
  EXPECT_LE(ratio, 1.1);
  for (const PlannedStep& step : plan->steps)
    EXPECT_FALSE(step.on_reference) << graph->Describe(graph->node(step.node));
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, LlamaPlan,
    ::testing::Values(LlamaGraphOptions{}, LlamaGraphOptions{.layers = 1},
                      LlamaGraphOptions{.layers = 12, .tokens = 1},
                      LlamaGraphOptions{.layers = 8,
                                        .width = 288,
                                        .heads = 6,
                                        .groups = 6,
                                        .hidden = 768,
                                        .vocab = 32000,
                                        .tokens = 256,
                                        .kv = DType::kF32}));

}  // namespace
}  // namespace weft::inline v0
