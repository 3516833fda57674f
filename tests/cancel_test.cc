// How soon a cancelled step ends, counted in what still runs: nothing after the
// node that runs when the flag is set, and nothing of that node but the chunks
// that have begun. (weft-bench --cancel measures what that is in time.)
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graph/host_tensor.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/runner.h"
#include "ops/ops.h"
#include "tests/greedy.h"
#include "tests/tiny_llama.h"

namespace weft::inline v0 {
namespace {

// ---- Nodes on their reference ----

// Of an op of the test's own, which has no kernel.
struct Counting {
  int runs = 0;
  int cancel_in = 0;  // sets the flag in that run, from 1
  std::atomic<bool> cancel{false};
} counting;

const OpDef kCounted = {
    .name = "counted",
    .doc = "y = x, and is counted.",
    .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
      return TensorTypes{call.in[0]};
    },
    .reference = [](const RefCall& call) -> absl::Status {
      call.out[0]->bytes = call.in[0]->bytes;
      if (++counting.runs == counting.cancel_in) counting.cancel.store(true);
      return absl::OkStatus();
    }};

constexpr int kInside = 4;

Value Counted(Value x) { return x.graph()->Emit(kCounted, {x}, {}, Where()); }

const OpDef kCountedChain = {.name = "counted_chain",
                             .doc = "Four times that.",
                             .expand = [](const ExpandCall& c) -> Values {
                               Value y = c.in[0];
                               for (int i = 0; i < kInside; ++i) y = Counted(y);
                               return {y};
                             }};

class NodesTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    counting.cancel_in = 0;
    auto g = std::make_unique<Graph>();
    Value y = Counted(g->Input("x", DType::kF32, {2}));
    y = g->Emit(kCountedChain, {y}, {}, Where());
    g->Output("y", Counted(y));
    CompileOptions options;
    options.backend = GetParam();
    auto runner = Runner::Compile(std::move(g), {}, options);
    ASSERT_TRUE(runner.ok()) << runner.status();
    runner_ = *std::move(runner);
  }
  absl::Status Run() {
    counting.runs = 0;
    counting.cancel.store(false);
    const std::vector<float> x = {3, 4};
    y_ = {0, 0};
    return runner_->Run({InputOf(x, {2})}, {OutputOf(y_)}, &counting.cancel);
  }
  std::unique_ptr<Runner> runner_;
  std::vector<float> y_;
};

TEST_P(NodesTest, NoneRunsAfterTheOneThatIsCancelledIn) {
  constexpr int kNodes = kInside + 2;
  for (int node = 1; node < kNodes; ++node) {
    counting.cancel_in = node;
    const absl::Status status = Run();
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
    EXPECT_EQ(counting.runs, node);
  }
  counting.cancel_in = 0;
  EXPECT_TRUE(Run().ok());
  EXPECT_EQ(counting.runs, kNodes);
  EXPECT_EQ(y_, (std::vector<float>{3, 4}));
}

INSTANTIATE_TEST_SUITE_P(Backends, NodesTest,
                         testing::Values("reference", "cpu"),
                         [](const auto& test) { return test.param; });

// ---- Chunks of kernels ----

// Sets a flag after the first task of a run, and counts the runs from then on.
class CancellingExecutor : public HostExecutor {
 public:
  void Run(int count, void (*task)(void*, int), void* context) override {
    after += cancel.load();
    if (runs++ == cancel_at) cancel.store(true);
    for (int i = 0; i < count; ++i) task(context, i);
  }
  void Begin(int at) {
    cancel.store(false);
    cancel_at = at;
    runs = after = 0;
  }
  std::atomic<bool> cancel{false};
  int cancel_at = -1, runs = 0, after = 0;
};

constexpr int64_t kRows = 64, kWidth = 512;

TEST(Chunks, NoneRunsAfterTheNodeThatIsCancelledIn) {
  CancellingExecutor executor;
  auto g = std::make_unique<Graph>();
  Value y = g->Input("x", DType::kF32, {kRows, kWidth});
  for (const char* name : {"a", "b", "c"})
    y = Linear(Softmax(y), g->Weight(name, DType::kF32, {kWidth, kWidth}));
  g->Output("y", y);
  CompileOptions options;
  options.backend_options.threads = 3;
  options.backend_options.executor = &executor;
  const auto runner = Runner::Compile(std::move(g), RandomWeights(1), options);
  ASSERT_TRUE(runner.ok()) << runner.status();
  const std::vector<float> x(kRows * kWidth, 1.0f);
  std::vector<float> out(x.size());
  const auto run = [&](int cancel_at) {
    executor.Begin(cancel_at);
    return (*runner)->Run({InputOf(x, {kRows, kWidth})}, {OutputOf(out)},
                          &executor.cancel);
  };
  ASSERT_TRUE(run(-1).ok());
  const std::vector<float> want = out;
  const int all = executor.runs;
  ASSERT_GE(all, 3);
  for (int at = 0; at < all; ++at) {
    // In the last node too: its chunks look at the flag.
    EXPECT_TRUE(absl::IsCancelled(run(at)));
    EXPECT_EQ(executor.after, 0);
  }
  ASSERT_TRUE(run(-1).ok());
  EXPECT_EQ(out, want);
}

// ---- Sessions ----

TEST(CancelEmbed, EndsAndTheNextOneIsWhole) {
  const std::vector<Token> text = {1, 5, 9, 7, 30, 4, 8};
  SessionOptions options;
  options.embeddings = true;
  options.batch = 4;  // two steps
  const auto session = TinyModel()->NewSession(options);
  ASSERT_TRUE(session.ok()) << session.status();
  const auto want = (*session)->Embed(text);
  ASSERT_TRUE(want.ok()) << want.status();
  std::atomic<bool> cancel{true};
  EmbedOptions embed;
  embed.cancel = &cancel;
  const auto ended = (*session)->Embed(text, embed);
  EXPECT_TRUE(absl::IsCancelled(ended.status())) << ended.status();
  EXPECT_EQ((*session)->position(0), 0);
  cancel.store(false);
  const auto again = (*session)->Embed(text, embed);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, *want);
}

// In its second chunk: what the first has left is forgotten.
TEST(CancelEmbed, ForgetsWhatIsHalfDone) {
  const std::vector<Token> text = {1, 5, 9, 7, 30, 4, 8};
  SessionOptions options;
  options.embeddings = true;
  options.batch = 4;
  options.taps = {"layer.0"};
  const auto session = TinyModel()->NewSession(options);
  ASSERT_TRUE(session.ok()) << session.status();
  std::atomic<bool> cancel{false};
  int chunks = 0;
  bool cancels = false;
  (*session)->SetTapSink([&](absl::string_view, HostTensor) {
    ++chunks;
    cancel.store(cancels);
    return absl::OkStatus();
  });
  EmbedOptions embed;
  embed.cancel = &cancel;
  const auto want = (*session)->Embed(text, embed);
  ASSERT_TRUE(want.ok()) << want.status();
  ASSERT_EQ(chunks, 2);
  cancels = true;
  EXPECT_TRUE(absl::IsCancelled((*session)->Embed(text, embed).status()));
  EXPECT_EQ(chunks, 3);
  EXPECT_EQ((*session)->position(0), 0);
  cancels = false;
  cancel.store(false);
  EXPECT_EQ((*session)->Embed(text, embed).value(), *want);
}

}  // namespace
}  // namespace weft::inline v0
