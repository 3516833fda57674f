// What steps cost, against counts made by hand.
#include "ops/work.h"

#include <string>

#include "gtest/gtest.h"
#include "ops/composite.h"
#include "ops/fused.h"
#include "ops/gather.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/optimize.h"
#include "ops/shape_ops.h"
#include "tests/llama_graph.h"

namespace weft::inline v0 {
namespace {

constexpr size_t kF32 = static_cast<size_t>(Arithmetic::kF32);

int64_t Bytes(DType dtype, int64_t rows, int64_t k) {
  return rows * *RowBytes(dtype, k);
}

class WorkTest : public testing::Test {
 protected:
  Value X(int64_t k) { return graph_.Input("x", DType::kF32, {t_, k}); }
  Value Ids(const char* name) { return graph_.Input(name, DType::kI32, {t_}); }

  // Of the whole graph, fused.
  Work Fused(int64_t tokens, int64_t first = 0, int64_t steps = 1) {
    Fuse(Numerics::kExact);
    return Of(tokens, first, steps);
  }
  void Fuse(Numerics numerics) {
    EXPECT_TRUE(graph_.Finish().ok()) << graph_.status();
    OptimizeOptions options;
    options.numerics = numerics;
    const auto report = Optimize(graph_, options);
    EXPECT_TRUE(report.ok()) << report.status();
  }
  Work Of(int64_t tokens, int64_t first = 0, int64_t steps = 1) const {
    return WorkOfSteps(graph_, {{{"T", tokens}, {"R", 1}}, first, steps});
  }
  // The sum over nodes.
  Work ByNode(int64_t tokens, int64_t first = 0, int64_t steps = 1) const {
    Work sum;
    for (const NodeId id : graph_.order())
      sum += WorkOf(graph_, graph_.node(id),
                    {{{"T", tokens}, {"R", 1}}, first, steps});
    return sum;
  }

  const Dim t_ = Dim::Symbol("T", 16);
  Graph graph_;
};

TEST_F(WorkTest, LinearReadsBlocksAndMultiplies) {
  graph_.Output("y", Linear(X(64), graph_.Weight("w", DType::kQ8_0, {96, 64})));
  const Work plain = Of(3);
  const Work work = Fused(3);
  EXPECT_EQ(work.weight_bytes, Bytes(DType::kQ8_0, 96, 64));
  EXPECT_EQ(work.state_bytes, 0);
  EXPECT_EQ(work.activation_bytes, 4 * 3 * (64 + 96));
  EXPECT_EQ(work.operations[kF32], 2 * 3 * 64 * 96);
  EXPECT_EQ(work.total_operations(), 2 * 3 * 64 * 96);
  // Fusing saves bytes, not products.
  EXPECT_EQ(plain.operations, work.operations);
  EXPECT_EQ(plain.weight_bytes, work.weight_bytes);
  EXPECT_GT(plain.activation_bytes, work.activation_bytes + 4 * 96 * 64);
}

TEST_F(WorkTest, EightBitActivationsMultiplyInIntegers) {
  const Value x = X(320);
  graph_.Output("y", Linear(x, graph_.Weight("w", DType::kQ5_0, {32, 320})));
  graph_.Output("z", Linear(x, graph_.Weight("f", DType::kF16, {8, 320})));
  Fuse(Numerics::kFast);
  const Work work = Of(3);
  EXPECT_EQ(work.operations[static_cast<size_t>(Arithmetic::kInt8)],
            2 * 3 * 320 * 32);
  EXPECT_EQ(work.operations[kF32], 2 * 3 * 320 * 8);
  EXPECT_EQ(work.total_operations(), 2 * 3 * 320 * 40);
  // x twice in f32 and, written and read, in blocks of which the second of a
  // row is not full; the results.
  EXPECT_EQ(work.activation_bytes,
            3 * (2 * 320 * 4 + 2 * 2 * 320 + (32 + 8) * 4));
}

TEST_F(WorkTest, StepsAddUp) {
  graph_.Output("y", Linear(X(64), graph_.Weight("w", DType::kF16, {96, 64})));
  const Work one = Fused(3);
  const Work five = Of(3, 7, 5);
  EXPECT_EQ(five.weight_bytes, 5 * one.weight_bytes);
  EXPECT_EQ(five.activation_bytes, 5 * one.activation_bytes);
  EXPECT_EQ(five.operations[kF32], 5 * one.operations[kF32]);
}

TEST_F(WorkTest, AWeightWithTwoReadersCountsOnce) {
  const Value w = graph_.Weight("w", DType::kQ8_0, {64, 64});
  graph_.Output("y", Linear(Linear(X(64), w), w));
  const Work work = Fused(2);
  EXPECT_EQ(work.weight_bytes, Bytes(DType::kQ8_0, 64, 64));
  EXPECT_EQ(ByNode(2).weight_bytes, 2 * work.weight_bytes);
  EXPECT_EQ(ByNode(2).operations, work.operations);
}

TEST_F(WorkTest, ATableCountsTheRowsTaken) {
  const Value table = graph_.Weight("table", DType::kQ4_0, {100, 64});
  graph_.Output("y", GatherRows(Dequant(table), Ids("ids")));
  EXPECT_EQ(Fused(3).weight_bytes, Bytes(DType::kQ4_0, 3, 64));
  EXPECT_EQ(Of(1).activation_bytes, 4 + 4 * 64);
}

TEST_F(WorkTest, ATableThatIsAlsoMultipliedByCountsOnce) {
  const Value table = graph_.Weight("table", DType::kQ4_0, {100, 64});
  const Value x = GatherRows(Dequant(table), Ids("ids"));
  graph_.Output("y", Linear(x, table));
  EXPECT_EQ(Fused(3).weight_bytes, Bytes(DType::kQ4_0, 100, 64));
}

TEST_F(WorkTest, OfASlicedWeightItsSlice) {
  const Value w = graph_.Weight("w", DType::kF16, {96, 64});
  graph_.Output("y", Linear(X(64), Slice(w, 0, 32, 80)));
  EXPECT_EQ(Fused(1).weight_bytes, Bytes(DType::kF16, 48, 64));
}

// Two groups of 8, four heads, f16.
class AttentionWork : public WorkTest {
 protected:
  void Build(const AttendOptions& options, DType kv = DType::kF16) {
    const Step step = {Ids("pos"), Ids("slot")};
    const auto cache = [&](const char* name) {
      return Append(
          graph_.State(name, kv, {1, 32, 2, 8}),
          graph_.Input(absl::StrCat(name, "_rows"), DType::kF32, {t_, 2, 8}),
          step);
    };
    const Value q = graph_.Input("q", DType::kF32, {t_, 4, 8});
    graph_.Output("y", Attend(q, cache("k"), cache("v"), step, options));
  }
  static constexpr int64_t kRow = 2 * 8 * 2;         // bytes of K or V
  static constexpr int64_t kPair = 2 * 4 * (8 + 8);  // operations
};

TEST_F(AttentionWork, SeesWhatComesBefore) {
  Build({.scale = 0.5});
  // Positions 5, 6 and 7 see 6, 7 and 8 keys.
  const Work work = Fused(3, 5);
  EXPECT_EQ(work.operations[kF32], (6 + 7 + 8) * kPair);
  EXPECT_EQ(work.state_bytes, 8 * 2 * kRow);
  // Queries, results, twice the new rows in f32 and in f16, and for each of
  // three nodes positions and slots.
  EXPECT_EQ(work.activation_bytes,
            3 * (4 * 4 * 8 * 2 + 2 * (4 * 2 * 8 + kRow) + 3 * 8));
  EXPECT_EQ(ByNode(3, 5).bytes(), work.bytes());
}

TEST_F(AttentionWork, StepsSeeMoreAndMore) {
  Build({.scale = 0.5});
  const Work work = Fused(1, 5, 3);
  EXPECT_EQ(work.operations[kF32], (6 + 7 + 8) * kPair);
  EXPECT_EQ(work.state_bytes, (6 + 7 + 8) * 2 * kRow);
}

TEST_F(AttentionWork, AWindowSeesLess) {
  Build({.scale = 0.5, .softcap = 0, .causal = true, .window = 4});
  const Work work = Fused(3, 5);
  EXPECT_EQ(work.operations[kF32], 3 * 4 * kPair);
  EXPECT_EQ(work.state_bytes, 6 * 2 * kRow);  // positions 2 to 7
  EXPECT_EQ(Of(1, 1).state_bytes, 2 * 2 * kRow);
}

// A head of 8 in a block of 32.
TEST_F(AttentionWork, PaddingIsReadToo) {
  Build({.scale = 0.5}, DType::kQ8_0);
  EXPECT_EQ(Fused(3, 5).state_bytes, 8 * 2 * 2 * 34);
}

TEST_F(AttentionWork, NotCausalSeesAll) {
  Build({.scale = 0.5, .softcap = 0, .causal = false, .window = 0});
  EXPECT_EQ(Fused(3, 5).state_bytes, 32 * 2 * kRow);
  EXPECT_EQ(Of(3, 5).operations[kF32], 3 * 32 * kPair);
}

TEST_F(WorkTest, ALlamaReadsItsWeightsOnce) {
  const LlamaGraphOptions options;
  BuildLlamaGraph(graph_, options);
  const Work work = Fused(1);
  int64_t all = 0, multiplied = 0;
  for (const NodeId id : graph_.order()) {
    const Node& node = graph_.node(id);
    if (node.op->kind != OpKind::kWeight) continue;
    const TensorType& type = graph_.value(node.outputs[0]).type;
    all += type.BoundBytes();
    if (type.shape.rank() == 2) multiplied += type.shape.BoundElements();
  }
  const int64_t table = options.vocab * options.width;
  // The output matrix is another tensor than the table in this graph.
  EXPECT_EQ(work.weight_bytes,
            all - Bytes(options.weights, options.vocab - 1, options.width));
  const int64_t keys = 1;
  EXPECT_EQ(
      work.total_operations(),
      2 * (multiplied - table) + options.layers * keys * 2 * 2 * options.width);
}

}  // namespace
}  // namespace weft::inline v0
