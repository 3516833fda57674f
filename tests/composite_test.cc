// The composites: their canonical chains, their errors, and attention against
// its definition.
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "graph/interpret.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

const Dim T = Dim::Symbol("T", 3);

// Line 7 of a model.
Where Line7() {
  Where at;
  at.file = "model.cc";
  at.line = 7;
  return at;
}
const Where kAt = Line7();

// "softmax [T,4,1,5]" for each computing node, in order.
std::vector<std::string> Chain(const Graph& graph) {
  std::vector<std::string> chain;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind == OpKind::kCompute)
      chain.push_back(
          absl::StrCat(node.op->name, node.attrs.ToString(), " ",
                       graph.value(node.outputs[0]).type.shape.ToString()));
  }
  return chain;
}

class Composite : public ::testing::Test {
 protected:
  Value F32(absl::string_view name, Shape shape) {
    return graph_.Input(name, DType::kF32, std::move(shape));
  }
  void ExpectError(absl::string_view text) {
    EXPECT_EQ(graph_.status().message(), absl::StrCat("model.cc:7: ", text));
  }

  Graph graph_;
};

TEST_F(Composite, LinearNamesTheWeight) {
  Linear(F32("x", {T, 64}), graph_.Weight("blk.0.up", DType::kQ8_0, {8, 32}),
         kAt);
  ExpectError(
      "matmul(x f32[T,64], blk.0.up q8_0[8,32]): C2: inner dims differ (64 vs "
      "32)");
}

TEST_F(Composite, HeadsAndMergeAreInverse) {
  const Value heads = Heads(F32("x", {T, 12}), 3);
  EXPECT_EQ(heads.type().ToString(), "f32[T,3,4]");
  EXPECT_EQ(Merge(heads).type().ToString(), "f32[T,12]");
}

TEST_F(Composite, Heads_C1_ColumnsMustDivide) {
  Heads(F32("x", {T, 12}), 5, kAt);
  ExpectError("heads: C1: x f32[T,12] is no [T, 5 * D]");
}

TEST_F(Composite, Merge_C1_OperandMustBeHeads) {
  Merge(F32("x", {T, 12}), kAt);
  ExpectError("merge: C1: x f32[T,12] is no [T, H, D] with constant H and D");
}

class AttendTest : public Composite {
 protected:
  Value Build(const AttendOptions& options, Shape q = {T, 4, 2},
              Shape k = {2, 5, 2, 2}, Shape v = {2, 5, 2, 3}, Value bias = {}) {
    const Step step = {graph_.Input("pos", DType::kI32, {T}),
                       graph_.Input("slot", DType::kI32, {T})};
    const Value rows = F32("q", std::move(q));
    const Value keys = graph_.Input("k", DType::kF16, std::move(k));
    const Value values = graph_.Input("v", DType::kF16, std::move(v));
    return Attend(rows, keys, values, step, options, bias, {}, kAt);
  }
};

TEST_F(AttendTest, IsTheCanonicalChain) {
  const Value bias = F32("bias", {4, 1, 5});
  Build({.scale = 0.5, .softcap = 4, .window = 3}, {T, 4, 2}, {2, 5, 2, 2},
        {2, 5, 2, 3}, bias);
  ASSERT_TRUE(graph_.status().ok()) << graph_.status();
  EXPECT_THAT(
      Chain(graph_),
      ElementsAre("reshape{shape=[T,4,1,2]} [T,4,1,2]", "dequant [2,5,2,2]",
                  "gather_rows [T,5,2,2]", "repeat{axis=2, times=2} [T,5,4,2]",
                  "permute{perm=(0,2,3,1)} [T,4,2,5]", "dequant [2,5,2,3]",
                  "gather_rows [T,5,2,3]", "repeat{axis=2, times=2} [T,5,4,3]",
                  "permute{perm=(0,2,1,3)} [T,4,5,3]", "matmul [T,4,1,5]",
                  "scale{factor=0.5} [T,4,1,5]", "scale{factor=0.25} [T,4,1,5]",
                  "tanh [T,4,1,5]", "scale{factor=4} [T,4,1,5]",
                  "add [T,4,1,5]",
                  "mask{causal=1, window=3, query_axis=0} [T,4,1,5]",
                  "softmax [T,4,1,5]", "matmul [T,4,1,3]",
                  "reshape{shape=[T,4,3]} [T,4,3]"));
}

TEST_F(AttendTest, LeavesOutWhatIsNotAskedFor) {
  Build({.causal = false}, {T, 2, 2});
  ASSERT_TRUE(graph_.status().ok()) << graph_.status();
  EXPECT_THAT(
      Chain(graph_),
      ElementsAre("reshape{shape=[T,2,1,2]} [T,2,1,2]", "dequant [2,5,2,2]",
                  "gather_rows [T,5,2,2]", "permute{perm=(0,2,3,1)} [T,2,2,5]",
                  "dequant [2,5,2,3]", "gather_rows [T,5,2,3]",
                  "permute{perm=(0,2,1,3)} [T,2,5,3]", "matmul [T,2,1,5]",
                  "softmax [T,2,1,5]", "matmul [T,2,1,3]",
                  "reshape{shape=[T,2,3]} [T,2,3]"));
}

TEST_F(AttendTest, C1_QueryHeadsMustBeAMultipleOfKeyHeads) {
  Build({}, {T, 3, 2});
  ExpectError(
      "attend: C1: 3 query heads are no multiple of 2 key heads; q is q "
      "f32[T,3,2], k k f16[2,5,2,2], v v f16[2,5,2,3]");
}

TEST_F(AttendTest, C2_RanksMustBeThoseOfHeadsAndCaches) {
  Build({}, {T, 4});
  ExpectError(
      "attend: C2: wanted q [T, H, D], k [S, C, G, D] and v [S, C, G, E]; q is "
      "q f32[T,4], k k f16[2,5,2,2], v v f16[2,5,2,3]");
}

TEST_F(AttendTest, C3_KeysAndValuesMustStandTogether) {
  Build({}, {T, 4, 2}, {2, 5, 2, 2}, {2, 6, 2, 3});
  ExpectError(
      "attend: C3: k and v differ in dim 1 (5 vs 6); q is q f32[T,4,2], k k "
      "f16[2,5,2,2], v v f16[2,6,2,3]");
}

TEST_F(AttendTest, C4_HeadsOfQueriesAndKeysMustMatch) {
  Build({}, {T, 4, 8});
  ExpectError(
      "attend: C4: heads of q and k differ (8 vs 2); q is q f32[T,4,8], k k "
      "f16[2,5,2,2], v v f16[2,5,2,3]");
}

// Attention by its definition, query by query, in double. Arrays as Attend's
// operands: 3 tokens, 4 heads of 2, 2 slots of 5 places, 2 groups, values of 3.
std::vector<float> Attention(const std::vector<float>& q,
                             const std::vector<float>& k,
                             const std::vector<float>& v,
                             const std::vector<int32_t>& pos,
                             const std::vector<int32_t>& slot,
                             const AttendOptions& o) {
  std::vector<float> result;
  for (size_t t = 0; t < 3; ++t)
    for (size_t h = 0; h < 4; ++h) {
      double sum = 0, mixed[3] = {};
      for (size_t c = 0; c < 5; ++c) {
        const int64_t distance = pos[t] - static_cast<int64_t>(c);
        if (o.causal && distance < 0) continue;
        if (o.window > 0 && distance >= o.window) continue;
        const size_t row = (static_cast<size_t>(slot[t]) * 5 + c) * 2 + h / 2;
        double score = 0;
        for (size_t d = 0; d < 2; ++d)
          score += q[(t * 4 + h) * 2 + d] * k[row * 2 + d];
        score *= o.scale;
        if (o.softcap > 0) score = o.softcap * std::tanh(score / o.softcap);
        sum += std::exp(score);
        for (size_t e = 0; e < 3; ++e)
          mixed[e] += std::exp(score) * v[row * 3 + e];
      }
      for (const double m : mixed)
        result.push_back(sum == 0 ? 0 : static_cast<float>(m / sum));
    }
  return result;
}

// Numbers of order one without a pattern that a wrong index would keep.
std::vector<float> Numbers(size_t n, float seed) {
  std::vector<float> numbers;
  for (size_t i = 0; i < n; ++i)
    numbers.push_back(std::sin(seed + 1.7f * static_cast<float>(i * i)));
  return numbers;
}

TEST(Attend, IsAttention) {
  const std::vector<float> q = Numbers(24, 1), k = Numbers(40, 2),
                           v = Numbers(60, 3);
  const std::vector<int32_t> pos = {0, 3, 4}, slot = {1, 0, 1};
  for (const AttendOptions& options :
       std::vector<AttendOptions>{{},
                                  {.scale = 0.7},
                                  {.scale = 2, .softcap = 1.5},
                                  {.window = 2},
                                  {.causal = false},
                                  {.causal = false, .window = 2}}) {
    Graph g;
    const auto constant = [&g](Dims dims, const std::vector<float>& values) {
      return g.Constant(HostTensor::FromFloats(std::move(dims), values));
    };
    const Step step = {g.Constant(HostTensor::FromInts({3}, pos)),
                       g.Constant(HostTensor::FromInts({3}, slot))};
    const Value y = Attend(constant({3, 4, 2}, q), constant({2, 5, 2, 2}, k),
                           constant({2, 5, 2, 3}, v), step, options);
    const auto run = Interpret(g, {}, nullptr);
    ASSERT_TRUE(run.ok()) << run.status();
    EXPECT_THAT(
        run->values[static_cast<size_t>(y.id())].ToFloats(),
        Pointwise(FloatNear(1e-5f), Attention(q, k, v, pos, slot, options)));
  }
}

}  // namespace
}  // namespace weft::inline v0
