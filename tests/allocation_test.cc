// A token costs no allocation, and memory is what the plan says. Replaces the
// global allocator, so it must stay a program of its own.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/c_api/handles.h"
#include "models/c_api/weft_graph.h"
#include "models/engine.h"
#include "models/runner.h"
#include "models/sampler.h"
#include "ops/ops.h"
#include "tests/failing_memory.h"
#include "tests/golden.h"
#include "tests/greedy.h"

namespace weft::inline v0 {
namespace {

// What `allocate`, which returns what it allocates, adds to the count.
template <typename F>
long CountOf(F allocate) {
  const long before = memory_counts.asked;
  // Volatile: a compiler may leave out what nobody looks at.
  void* volatile at = allocate();
  const long count = memory_counts.asked - before;
  std::free(at);
  return count;
}

TEST(Counting, SeesEveryWayToAllocate) {
  EXPECT_EQ(CountOf([] { return std::malloc(1); }), 1);
  EXPECT_EQ(CountOf([] { return std::calloc(1, 1); }), 1);
  EXPECT_EQ(CountOf([] { return std::realloc(nullptr, 1); }), 1);
  EXPECT_EQ(CountOf([] { return std::aligned_alloc(64, 64); }), 1);
  EXPECT_EQ(CountOf([] {
              void* at = nullptr;
              EXPECT_EQ(posix_memalign(&at, 64, 64), 0);
              return at;
            }),
            1);
  constexpr std::align_val_t kTo{64};
  EXPECT_EQ(CountOf([] { return ::operator new(1); }), 1);
  EXPECT_EQ(CountOf([] { return ::operator new[](1); }), 1);
  EXPECT_EQ(CountOf([] { return ::operator new(1, std::nothrow); }), 1);
  EXPECT_EQ(CountOf([] { return ::operator new[](1, std::nothrow); }), 1);
  EXPECT_EQ(CountOf([] { return ::operator new(1, kTo); }), 1);
  EXPECT_EQ(CountOf([] { return ::operator new[](1, kTo); }), 1);
  EXPECT_EQ(CountOf([] { return ::operator new(1, kTo, std::nothrow); }), 1);
  EXPECT_EQ(CountOf([] { return ::operator new[](1, kTo, std::nothrow); }), 1);
}

class AllocationTest
    : public testing::TestWithParam<std::tuple<std::string, int>> {
 protected:
  void SetUp() override {
    if (std::get<0>(GetParam()) == "tiny") {
      model_ = TinyModel();
      return;
    }
    const std::string path = SharedPath("models/stories260K.gguf");
    if (path.empty()) GTEST_SKIP() << "no model in " << WEFT_SHARED_DIR;
    auto model = Model::Load(path);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *model;
  }
  static SessionOptions Options() {
    SessionOptions options;
    options.context = 128;
    options.backend_options.threads = std::get<1>(GetParam());
    return options;
  }
  std::shared_ptr<const Model> model_;
};

TEST_P(AllocationTest, DecodingATokenAllocatesNothing) {
  auto session = model_->NewSession(Options());
  ASSERT_TRUE(session.ok()) << session.status();
  auto sampler = Sampler::Make({.temperature = 0.8f, .seed = 1});
  ASSERT_TRUE(sampler.ok()) << sampler.status();
  const std::vector<Token> prompt = {1, 103, 107, 61, 78};
  // The first tokens may fill buffers that are kept.
  auto logits = (*session)->Prefill(0, prompt);
  ASSERT_TRUE(logits.ok()) << logits.status();
  Token token = *sampler->Sample(*logits);
  sampler->Accept(token);
  logits = (*session)->Decode(0, token);
  token = *sampler->Sample(*logits);

  const long before = memory_counts.asked;
  for (int i = 0; i < 50; ++i) {
    logits = (*session)->Decode(0, token);
    token = *sampler->Sample(*logits);
    sampler->Accept(token);
  }
  EXPECT_EQ(memory_counts.asked - before, 0);
  EXPECT_TRUE(logits.ok());
}

TEST_P(AllocationTest, ASecondPrefillAllocatesNothing) {
  auto session = model_->NewSession(Options());
  ASSERT_TRUE(session.ok()) << session.status();
  std::vector<Token> prompt(60, 100);
  ASSERT_TRUE((*session)->Prefill(0, prompt).ok());
  const long before = memory_counts.asked;
  ASSERT_TRUE((*session)->Prefill(0, prompt).ok());
  EXPECT_EQ(memory_counts.asked - before, 0);
}

// The same through the interface of C, and of steps of several tokens.
TEST_P(AllocationTest, StepsOfCAllocateNothing) {
  weft_model model;
  model.model = model_;
  weft_session_options options = {};
  options.size = sizeof options;
  options.context = 128;
  options.threads = std::get<1>(GetParam());
  options.slots = 2;
  options.logits_rows = 2;
  weft_session* session = nullptr;
  ASSERT_EQ(weft_session_new(&model, &options, &session, nullptr), WEFT_OK);
  const int32_t prompt[] = {1, 103, 107, 61, 78};
  weft_step_token both[] = {{7, 0, 1}, {8, 1, 1}, {9, 1, 0}};
  const float* logits = nullptr;
  size_t rows = 0;
  const auto step = [&] {
    return std::array<weft_code, 3>{
        weft_prefill(session, 1, prompt, 5, nullptr, nullptr, &logits, nullptr),
        weft_decode(session, 0, 42, &logits, nullptr),
        weft_step(session, both, 3, &logits, &rows, nullptr)};
  };
  const std::array<weft_code, 3> all_ok = {};
  ASSERT_EQ(step(), all_ok);  // fills what is kept
  const long before = memory_counts.asked;
  EXPECT_EQ(step(), all_ok);
  EXPECT_EQ(memory_counts.asked - before, 0);
  EXPECT_EQ(rows, 2u);
  weft_session_free(session);
}

TEST_P(AllocationTest, ThePlanTellsTheMemory) {
  const auto estimate = model_->Estimate(Options());
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  auto session = model_->NewSession(Options());
  ASSERT_TRUE(session.ok()) << session.status();
  const BackendPlan& plan = (*session)->plan();
  EXPECT_EQ(plan.memory.total(), estimate->session.total());
  // What is alive at once is the least that any layout can take.
  int64_t peak = 0;
  for (int step = 0; step < static_cast<int>(plan.plan.steps.size()); ++step) {
    int64_t live = 0;
    for (const Placement& p : plan.plan.values)
      if (p.storage == Storage::kArena && p.first <= step && step <= p.last)
        live += AlignUp(p.bytes);
    peak = std::max(peak, live);
  }
  EXPECT_LE(plan.plan.arena_bytes, peak * 1.05);
}

TEST(Runner, AStepAllocatesNothing) {
  auto graph = std::make_unique<Graph>();
  const Value x = graph->Input("x", DType::kF32, {Dim::Symbol("rows", 4), 8});
  const Value w = graph->Weight("w", DType::kF32, {8, 8});
  graph->Output("y", Softmax(Linear(x, w)));
  const auto runner = Runner::Compile(std::move(graph), RandomWeights(1));
  ASSERT_TRUE(runner.ok()) << runner.status();
  const std::array<float, 16> in = {1, 2, 3};
  std::array<float, 16> y;
  for (const int64_t rows : {2, 1, 2}) {
    const auto n = static_cast<size_t>(rows) * 8;
    const InputBuffer given = InputOf(absl::MakeSpan(in).first(n), {rows, 8});
    const OutputBuffer wanted = OutputOf(y);
    const long before = memory_counts.asked;
    const bool ok = (*runner)->Run({&given, 1}, {&wanted, 1}).ok();
    EXPECT_EQ(memory_counts.asked - before, 0);
    EXPECT_TRUE(ok);
  }
}

TEST(Runner, AStepOfCAllocatesNothing) {
  weft_graph* graph = nullptr;
  ASSERT_EQ(weft_graph_new(&graph, nullptr), WEFT_OK);
  const weft_dim dims[] = {{4, "rows"}, {8, nullptr}};
  const weft_value x = weft_graph_input(graph, "x", "f32", dims, 2);
  weft_graph_output(graph, "y", weft_graph_op(graph, "softmax", &x, 1));
  weft_runner* runner = nullptr;
  ASSERT_EQ(weft_runner_new(graph, nullptr, &runner, nullptr), WEFT_OK);
  weft_graph_free(graph);
  const std::array<float, 16> in = {1, 2, 3};
  std::array<float, 16> y;
  const weft_tensor given = {in.data(), sizeof in, "f32", 2, {2, 8}};
  const weft_buffer wanted = {y.data(), sizeof y};
  const long before = memory_counts.asked;
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(weft_runner_run(runner, &given, 1, &wanted, 1, nullptr), WEFT_OK);
  EXPECT_EQ(memory_counts.asked - before, 0);
  weft_runner_free(runner);
}

INSTANTIATE_TEST_SUITE_P(Models, AllocationTest,
                         testing::Combine(testing::Values("tiny",
                                                          "stories260K"),
                                          testing::Values(1, 2)),
                         [](const auto& test) {
                           return absl::StrCat(std::get<0>(test.param), "_",
                                               std::get<1>(test.param),
                                               "_threads");
                         });

}  // namespace
}  // namespace weft::inline v0
