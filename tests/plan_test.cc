// The memory plan on random graphs, and the checker that guards it.
#include "graph/plan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "gmock/gmock.h"
#include "graph/print.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "tests/random_graph.h"
#include "tests/sample_data.h"

namespace weft::inline v0 {
namespace {

using ::testing::HasSubstr;

constexpr int kGraphs = 400;

// The seed of one of the graphs; it is printed with every failure.
uint64_t Seed(int i) { return 1000 + static_cast<uint64_t>(i); }
int Size(int i) { return 4 + i % 60; }

Plan MustPlan(const Graph& graph, const PlanOptions& options = {}) {
  absl::StatusOr<Plan> plan = MakePlan(graph, options);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *std::move(plan) : Plan();
}

// Readers with strides: none, all, or some by their node's number.
PlanOptions Strided(int mode) {
  PlanOptions options;
  if (mode == 1) options.reads_strided = [](const Node&, int) { return true; };
  if (mode == 2)
    options.reads_strided = [](const Node& node, int input) {
      return (node.id + input) % 3 != 0;
    };
  return options;
}

// Values that own memory in the arena.
std::vector<ValueId> Owners(const Plan& plan) {
  std::vector<ValueId> owners;
  for (size_t i = 0; i < plan.values.size(); ++i)
    if (plan.values[i].storage == Storage::kArena)
      owners.push_back(static_cast<ValueId>(i));
  return owners;
}

// Bytes that are in use at the same time, at most: no arena is smaller.
int64_t PeakOfLiveBytes(const Plan& plan) {
  int64_t peak = 0;
  for (int step = -1; step <= static_cast<int>(plan.steps.size()); ++step) {
    int64_t live = 0;
    for (const ValueId id : Owners(plan)) {
      const Placement& p = plan.values[static_cast<size_t>(id)];
      if (p.first <= step && step <= p.last) live += AlignUp(p.bytes);
    }
    peak = std::max(peak, live);
  }
  return peak;
}

TEST(RandomPlans, AreSoundWithAndWithoutReuse) {
  for (int i = 0; i < kGraphs; ++i) {
    SCOPED_TRACE(absl::StrCat("seed ", Seed(i), ", ", Size(i), " ops"));
    const auto sample = RandomGraph(Seed(i), Size(i));
    Graph& graph = sample->graph();
    ASSERT_TRUE(graph.Finish().ok()) << graph.Finish();
    if (i % 2 == 1) {
      ASSERT_TRUE(Optimize(graph).ok());
    }
    for (int mode = 0; mode < 3; ++mode) {
      PlanOptions options = Strided(mode);
      const Plan tight = MustPlan(graph, options);
      options.reuse = false;
      const Plan loose = MustPlan(graph, options);
      ASSERT_TRUE(CheckPlan(graph, tight).ok()) << CheckPlan(graph, tight);
      ASSERT_TRUE(CheckPlan(graph, loose).ok()) << CheckPlan(graph, loose);
      EXPECT_LE(tight.arena_bytes, loose.arena_bytes);
      EXPECT_GE(tight.arena_bytes, PeakOfLiveBytes(tight));
      EXPECT_EQ(tight.weight_bytes, loose.weight_bytes);
      EXPECT_EQ(tight.state_bytes, loose.state_bytes);
    }
  }
}

// Two memories in one place at one time are always found.
TEST(RandomPlans, SharedBytesAreFound) {
  int planted = 0;
  for (int i = 0; i < kGraphs; i += 4) {
    SCOPED_TRACE(absl::StrCat("seed ", Seed(i), ", ", Size(i), " ops"));
    const auto sample = RandomGraph(Seed(i), Size(i));
    const Graph& graph = sample->graph();
    const Plan plan = MustPlan(graph, Strided(i / 4 % 3));
    for (const ValueId a : Owners(plan))
      for (const ValueId b : Owners(plan)) {
        const Placement& pa = plan.values[static_cast<size_t>(a)];
        const Placement& pb = plan.values[static_cast<size_t>(b)];
        if (a == b || pb.first > pa.last || pa.first > pb.last) continue;
        Plan broken = plan;
        broken.values[static_cast<size_t>(b)].offset =
            pa.offset + AlignUp(pa.bytes) - kArenaAlignment;
        broken.arena_bytes += AlignUp(pb.bytes);
        ASSERT_FALSE(CheckPlan(graph, broken).ok())
            << graph.Describe(b) << " on " << graph.Describe(a) << "\n"
            << PrintText(graph);
        ++planted;
      }
  }
  EXPECT_GT(planted, 1000);
}

// A plan made for a shorter life than a value has: made before the value
// became an output.
TEST(RandomPlans, ValuesThatOutliveTheirPlaceAreFound) {
  int planted = 0;
  for (int i = 0; i < kGraphs; i += 4) {
    SCOPED_TRACE(absl::StrCat("seed ", Seed(i), ", ", Size(i), " ops"));
    const auto sample = RandomGraph(Seed(i), Size(i));
    Graph& graph = sample->graph();
    const Plan plan = MustPlan(graph);
    for (const ValueId a : Owners(plan)) {
      const Placement& pa = plan.values[static_cast<size_t>(a)];
      const auto reuses = [&](ValueId b) {
        const Placement& pb = plan.values[static_cast<size_t>(b)];
        return pb.first > pa.last && pb.offset < pa.offset + pa.bytes &&
               pa.offset < pb.offset + pb.bytes;
      };
      const std::vector<ValueId> owners = Owners(plan);
      if (std::none_of(owners.begin(), owners.end(), reuses)) continue;
      graph.Output(absl::StrCat("late", planted++), Value(&graph, a));
      EXPECT_FALSE(CheckPlan(graph, plan).ok()) << graph.Describe(a);
      break;  // the graph is another one now
    }
  }
  EXPECT_GT(planted, 40);
}

TEST(RandomPlans, MissingStepsAreFound) {
  for (int i = 0; i < kGraphs; i += 8) {
    SCOPED_TRACE(absl::StrCat("seed ", Seed(i), ", ", Size(i), " ops"));
    const auto sample = RandomGraph(Seed(i), Size(i));
    Graph& graph = sample->graph();
    ASSERT_TRUE(Optimize(graph).ok());  // leaves no step that nothing needs
    const Plan plan = MustPlan(graph);
    for (size_t step = 0; step < plan.steps.size(); ++step) {
      const Node& node = graph.node(plan.steps[step]);
      const ValueId out = node.outputs[0];
      if (node.op->writes_state || graph.value(out).users.empty()) continue;
      Plan broken = plan;
      broken.steps.erase(broken.steps.begin() + static_cast<int>(step));
      EXPECT_FALSE(CheckPlan(graph, broken).ok()) << graph.Describe(node);
    }
  }
}

// ---- By hand ----

class PlanTest : public ::testing::Test {
 protected:
  Value In(absl::string_view name, Shape shape) {
    return graph_.Input(name, DType::kF32, std::move(shape));
  }
  const Placement& At(const Plan& plan, Value v) {
    return plan.values[static_cast<size_t>(v.id())];
  }
  Placement& At(Plan& plan, Value v) {
    return plan.values[static_cast<size_t>(v.id())];
  }
  void ExpectFault(const Plan& plan, const std::string& text) {
    const absl::Status status = CheckPlan(graph_, plan);
    EXPECT_TRUE(absl::IsInternal(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }

  const Dim T = Dim::Symbol("T", 16);
  Graph graph_;
  Value x_ = In("x", {T, 16});  // 1024 bytes
};

TEST_F(PlanTest, AChainLivesInOneBuffer) {
  Value v = Silu(x_);
  const Value first = v;
  for (int i = 0; i < 10; ++i) v = Tanh(v);
  graph_.Output("y", v);
  const Plan plan = MustPlan(graph_);
  EXPECT_EQ(plan.steps.size(), 11u);
  EXPECT_EQ(plan.Root(v.id()), first.id());
  EXPECT_EQ(plan.arena_bytes, 2 * 1024);  // with the input's
}

TEST_F(PlanTest, InputsAreNeverOverwritten) {
  graph_.Output("y", Silu(Reshape(x_, {T, 4, 4})));
  Plan plan = MustPlan(graph_);
  EXPECT_EQ(plan.arena_bytes, 2 * 1024);
  At(plan, Value(&graph_, 2)).offset = At(plan, x_).offset;
  ExpectFault(plan, "shares bytes with");
}

TEST_F(PlanTest, InputsKeepTheirPlaceToTheEnd) {
  const Value z = In("z", {T, 16});
  const Value y = Exp(Tanh(Silu(x_)) + z);
  graph_.Output("y", Concat({y, y}, -1));
  Plan plan = MustPlan(graph_);
  ASSERT_TRUE(CheckPlan(graph_, plan).ok());
  // Long after the last read of x.
  At(plan, Value(&graph_, graph_.outputs()[0].value)).offset =
      At(plan, x_).offset;
  ExpectFault(plan, "x f32[T,16] is read after");
}

TEST_F(PlanTest, ReshapesAreViews) {
  const Value heads = Reshape(Silu(x_), {T, 4, 4});
  graph_.Output("y", heads);
  const Plan plan = MustPlan(graph_);
  EXPECT_EQ(At(plan, heads).storage, Storage::kAlias);
  EXPECT_TRUE(At(plan, heads).is_view);
  EXPECT_EQ(plan.steps.size(), 1u);
}

TEST_F(PlanTest, StridedViewsWantReadersThatTakeThem) {
  const Value turned = Permute(Reshape(x_, {T, 4, 4}), {1, 0, 2});
  const Value cut = Slice(x_, 1, 4, 8);
  graph_.Output("a", Silu(turned));
  graph_.Output("b", Silu(cut));
  const Plan copies = MustPlan(graph_);
  EXPECT_EQ(At(copies, turned).storage, Storage::kArena);
  EXPECT_EQ(At(copies, cut).storage, Storage::kArena);
  const Plan views = MustPlan(graph_, Strided(1));
  EXPECT_TRUE(At(views, turned).is_view);
  EXPECT_TRUE(At(views, cut).is_view);
  EXPECT_EQ(views.steps.size(), 2u);
}

TEST_F(PlanTest, OutputsAreDense) {
  const Value turned = Permute(Reshape(x_, {T, 4, 4}), {1, 0, 2});
  graph_.Output("y", turned);
  EXPECT_EQ(At(MustPlan(graph_, Strided(1)), turned).storage, Storage::kArena);
}

TEST_F(PlanTest, ThePermutationOfTheFastestDimIsACopy) {
  const Value turned = Permute(Reshape(x_, {T, 4, 4}), {2, 0, 1});
  graph_.Output("y", Silu(turned));
  EXPECT_EQ(At(MustPlan(graph_, Strided(1)), turned).storage, Storage::kArena);
}

TEST_F(PlanTest, AReshapeOfAStridedViewIsACopy) {
  const Value cut = Slice(x_, 1, 4, 8);
  const Value folded = Reshape(cut, {T, 2, 2});
  graph_.Output("y", Silu(folded));
  const Plan plan = MustPlan(graph_, Strided(1));
  EXPECT_TRUE(At(plan, cut).is_view);
  EXPECT_EQ(At(plan, folded).storage, Storage::kArena);
}

// The backend chooses how a state lies in memory: nothing may read it as if it
// were row-major.
TEST_F(PlanTest, AReshapeOfAStateIsACopy) {
  const Value pos = graph_.Input("pos", DType::kI32, {T});
  const Value state = graph_.State("s", DType::kF32, {2, 32, 4, 4});
  const Value written = Append(state, Reshape(x_, {T, 4, 4}), {pos, pos});
  const Value flat = Reshape(written, {2, 32, 16});
  graph_.Output("y", GatherRows(flat, pos));
  const Plan plan = MustPlan(graph_, Strided(1));
  EXPECT_EQ(At(plan, written).storage, Storage::kAlias);
  EXPECT_EQ(plan.Root(written.id()), state.id());
  EXPECT_EQ(At(plan, flat).storage, Storage::kArena);
  EXPECT_EQ(plan.state_bytes, 2 * 32 * 16 * 4);
}

TEST_F(PlanTest, InPlaceOnlyWhenTheOperandEndsThere) {
  const Value a = Silu(x_);
  const Value b = Tanh(a);
  graph_.Output("y", b + a);
  const Plan plan = MustPlan(graph_);
  EXPECT_EQ(plan.Root(b.id()), b.id()) << "a is read again";
  Plan broken = plan;
  At(broken, b).storage = Storage::kAlias;
  At(broken, b).alias_of = a.id();
  ExpectFault(broken, "is read after");
}

TEST_F(PlanTest, InPlaceOnlyWhereTheOpAllowsIt) {
  const Value a = Silu(x_);
  const Value b = Concat({a}, -1);
  graph_.Output("y", b);
  Plan plan = MustPlan(graph_);
  EXPECT_EQ(plan.Root(b.id()), b.id());
  At(plan, b).storage = Storage::kAlias;
  At(plan, b).alias_of = a.id();
  ExpectFault(plan, "shares bytes with");
}

TEST_F(PlanTest, InPlaceNeverOverAnOperandThatIsReadOtherwise) {
  const Value a = Silu(x_);
  const Value turned = Permute(Reshape(a, {T, 4, 4}), {0, 1, 2});
  graph_.Output("y", Reshape(a, {T, 4, 4}) + turned);
  const Plan plan = MustPlan(graph_, Strided(1));
  EXPECT_TRUE(CheckPlan(graph_, plan).ok()) << CheckPlan(graph_, plan);
  const ValueId y = graph_.outputs()[0].value;
  EXPECT_EQ(plan.Root(y), y);
}

TEST_F(PlanTest, PlacesAreAlignedAndInTheArena) {
  const Value y = Silu(In("odd", {7, 3}));
  graph_.Output("y", y);
  const Plan plan = MustPlan(graph_);
  for (const ValueId id : Owners(plan))
    EXPECT_EQ(plan.values[static_cast<size_t>(id)].offset % kArenaAlignment, 0);
  Plan crooked = plan;
  At(crooked, y).offset += 4;
  ExpectFault(crooked, "lies outside the arena");
  Plan beyond = plan;
  At(beyond, y).offset = plan.arena_bytes;
  ExpectFault(beyond, "lies outside the arena");
}

TEST_F(PlanTest, WeightsAndConstantsTakeNoArena) {
  const Value w = graph_.Weight("w", DType::kQ8_0, {32, 32});
  const Value c = graph_.Constant(HostTensor(DType::kF32, {16}));
  graph_.Output("y", x_ + c);
  graph_.Output("z", Dequant(w));
  const Plan plan = MustPlan(graph_);
  EXPECT_EQ(At(plan, w).storage, Storage::kWeight);
  EXPECT_EQ(At(plan, c).storage, Storage::kConstant);
  EXPECT_EQ(plan.weight_bytes, 32 * 34);
  EXPECT_EQ(plan.arena_bytes, 1024 + 1024 + 32 * 32 * 4);
}

TEST_F(PlanTest, ABrokenGraphHasNoPlan) {
  MatMul(x_, x_);
  EXPECT_TRUE(absl::IsInvalidArgument(MakePlan(graph_).status()));
}

}  // namespace
}  // namespace weft::inline v0
