// How the DSL behaves: the lines it captures, its errors, its canonical forms.
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

const Dim T = Dim::Symbol("T", 8);

class Dsl : public ::testing::Test {
 protected:
  const Node& NodeOf(Value v) { return graph_.producer(v.id()); }
  std::string WhereOf(Value v) { return NodeOf(v).where.ToString(); }

  Graph graph_;
  Value x_ = graph_.Input("x", DType::kF32, {T, 32});
  Value w_ = graph_.Weight("w", DType::kQ8_0, {64, 32});
  Value ids_ = graph_.Input("ids", DType::kI32, {T});
};

std::string Line(int line) { return absl::StrCat("dsl_test.cc:", line); }

TEST_F(Dsl, FunctionsCaptureTheirLine) {
  const Value y = Silu(x_);
  EXPECT_EQ(WhereOf(y), Line(__LINE__ - 1));
}

TEST_F(Dsl, OperatorsCaptureTheirLine) {
  const Value sum = x_ + x_;
  EXPECT_EQ(WhereOf(sum), Line(__LINE__ - 1));
  const Value difference = x_ - x_;
  EXPECT_EQ(WhereOf(difference), Line(__LINE__ - 1));
  const Value product = sum * difference;
  EXPECT_EQ(WhereOf(product), Line(__LINE__ - 1));
  const Value scaled = x_ * 0.5;
  EXPECT_EQ(WhereOf(scaled), Line(__LINE__ - 1));
  EXPECT_EQ(NodeOf(scaled).op, &kScale);
}

TEST_F(Dsl, CompositesPassTheirCallersLineOn) {
  const Value y = Linear(x_, w_);
  const int line = __LINE__ - 1;
  for (const NodeId id : graph_.order()) {
    if (graph_.node(id).op->kind != OpKind::kCompute) continue;
    EXPECT_EQ(graph_.node(id).where.ToString(), Line(line));
  }
  EXPECT_EQ(y.type().ToString(), "f32[T,64]");
}

TEST_F(Dsl, FirstErrorSticks) {
  const Value bad = MatMul(x_, x_);
  const int line = __LINE__ - 1;
  EXPECT_TRUE(bad.poisoned());
  Softmax(ids_);
  RmsNorm(x_, -1);
  EXPECT_EQ(graph_.Finish().message(),
            absl::StrCat(Line(line),
                         ": matmul(x f32[T,32], x f32[T,32]): C2: inner dims "
                         "differ (32 vs T)"));
}

TEST_F(Dsl, ErrorsOfOperatorsNameTheirLine) {
  const Value bad = x_ + ids_;
  EXPECT_TRUE(bad.poisoned());
  EXPECT_EQ(graph_.Finish().message(),
            absl::StrCat(Line(__LINE__ - 3),
                         ": add(x f32[T,32], ids i32[T]): C1: operand 1 is "
                         "i32, not f32"));
}

// Every DSL function, called with `v` for its operands.
std::vector<std::function<Value(Value)>> AllFunctions() {
  return {
      [](Value v) { return Add(v, v); },
      [](Value v) { return Sub(v, v); },
      [](Value v) { return Mul(v, v); },
      [](Value v) { return Scale(v, 2); },
      [](Value v) { return Silu(v); },
      [](Value v) { return Relu(v); },
      [](Value v) { return Sigmoid(v); },
      [](Value v) { return Tanh(v); },
      [](Value v) { return Exp(v); },
      [](Value v) { return Gelu(v); },
      [](Value v) { return GeluTanh(v); },
      [](Value v) { return GeluQuick(v); },
      [](Value v) { return MatMul(v, v); },
      [](Value v) { return Transpose(v); },
      [](Value v) { return Dequant(v); },
      [](Value v) { return RmsNorm(v, 1e-5); },
      [](Value v) { return LayerNorm(v, 1e-5); },
      [](Value v) { return Softmax(v); },
      [](Value v) { return Mask(v, v, {}); },
      [](Value v) { return RopeTable(v, {.n_dims = 4}, v); },
      [](Value v) { return Rotate(v, v, true); },
      [](Value v) { return Rope(v, v, {.n_dims = 4}); },
      [](Value v) { return Reshape(v, {4}); },
      [](Value v) { return Permute(v, {1, 0}); },
      [](Value v) { return Slice(v, -1, 0, 1); },
      [](Value v) { return Concat({v, v}, -1); },
      [](Value v) { return Repeat(v, -1, 2); },
      [](Value v) { return GatherRows(v, v); },
      [](Value v) { return SelectRows(v, v); },
      [](Value v) { return Append(v, v, {v, v}); },
      [](Value v) { return Linear(v, v); },
      [](Value v) { return Heads(v, 2); },
      [](Value v) { return Merge(v); },
      [](Value v) { return SwiGlu(v, v); },
      [](Value v) { return Attend(v, v, v, {v, v}, {}, v); },
  };
}

TEST_F(Dsl, PoisonPassesThroughEveryFunction) {
  const Value poison = graph_.Fail("the first error", Where());
  const int nodes = graph_.num_nodes();
  for (const auto& function : AllFunctions())
    EXPECT_TRUE(function(poison).poisoned());
  EXPECT_EQ(graph_.num_nodes(), nodes);
  EXPECT_EQ(graph_.Finish().message(), "the first error");
}

TEST_F(Dsl, ValuesOfNoGraphPassThroughEveryFunction) {
  for (const auto& function : AllFunctions())
    EXPECT_TRUE(function(Value()).poisoned());
  EXPECT_TRUE(Concat({}, 0).poisoned());
  EXPECT_TRUE(graph_.status().ok());
}

TEST_F(Dsl, MixedOperandsSurviveAttend) {
  const Value q = graph_.Input("q", DType::kF32, {T, 4, 8});
  Attend(q, Value(), Value(), {}, {});
  EXPECT_FALSE(graph_.status().ok());
}

TEST_F(Dsl, AMissingOperandIsAnError) {
  Add(x_, Value());
  EXPECT_EQ(graph_.Finish().message(),
            absl::StrCat(Line(__LINE__ - 2), ": add: an operand is no value"));
}

TEST_F(Dsl, AnOperandOfAnotherGraphIsAnError) {
  Graph other;
  Mul(x_, other.Input("x", DType::kF32, {T, 32}));
  EXPECT_EQ(graph_.Finish().message(),
            absl::StrCat(Line(__LINE__ - 2),
                         ": mul: an operand is a value of another graph"));
}

TEST_F(Dsl, FinishWantsAnOutput) {
  const Value y = Silu(x_);
  EXPECT_FALSE(graph_.Finish().ok());
  graph_.Output("y", y);
  EXPECT_TRUE(graph_.Finish().ok()) << graph_.Finish();
}

TEST_F(Dsl, DequantOfF32IsTheValueItself) {
  EXPECT_EQ(Dequant(x_), x_);
  EXPECT_EQ(NodeOf(Dequant(w_)).op, &kDequant);
}

TEST_F(Dsl, PermuteOfTheFastestTwoIsATranspose) {
  const Value x = graph_.Input("a", DType::kF32, {T, 3, 4});
  EXPECT_EQ(NodeOf(Permute(x, {0, 2, 1})).op, &kTranspose);
  EXPECT_EQ(NodeOf(Permute(x, {2, 1, 0})).op, &kPermute);
  EXPECT_EQ(NodeOf(Permute(x, {0, 1, 2})).op, &kPermute);
}

TEST_F(Dsl, NegativeAxesAreStoredFromTheFront) {
  EXPECT_EQ(NodeOf(Slice(x_, -1, 0, 4)).attrs.ToString(),
            "{axis=1, begin=0, end=4}");
  EXPECT_EQ(NodeOf(Concat({x_, x_}, -1)).attrs.Int("axis"), 1);
  EXPECT_EQ(NodeOf(Repeat(x_, -1, 2)).attrs.Int("axis"), 1);
  EXPECT_EQ(NodeOf(Mask(x_, ids_, {.query_axis = -2})).attrs.Int("query_axis"),
            0);
}

TEST_F(Dsl, SelectRowsIsGatherRows) {
  EXPECT_EQ(NodeOf(SelectRows(x_, ids_)).op, &kGatherRows);
}

TEST(DslPattern, EmitsTheCanonicalNodes) {
  Graph pattern(Graph::Mode::kPattern);
  const Value x = pattern.Any(0);
  const Value w = pattern.Any(1);
  const auto op = [&](Value v) { return pattern.producer(v.id()).op; };
  const auto input = [&](Value v, size_t i) {
    return Value(&pattern, pattern.producer(v.id()).inputs[i]);
  };
  const Value linear = Linear(x, w);
  EXPECT_EQ(op(linear), &kMatMul);
  EXPECT_EQ(op(input(linear, 1)), &kTranspose);
  EXPECT_EQ(op(input(input(linear, 1), 0)), &kDequant);
  EXPECT_EQ(input(input(input(linear, 1), 0), 0), w);
  const Value gated = SwiGlu(x, w);
  EXPECT_EQ(op(gated), &kMul);
  EXPECT_EQ(op(input(gated, 0)), &kSilu);
  EXPECT_EQ(op(Permute(x, {0, 2, 1, 3})), &kPermute);
  EXPECT_EQ(op(Permute(x, {0, 2, 1})), &kTranspose);
  EXPECT_TRUE(pattern.status().ok()) << pattern.status();
}

TEST(DslPattern, EveryFunctionWorks) {
  for (const auto& function : AllFunctions()) {
    Graph pattern(Graph::Mode::kPattern);
    EXPECT_FALSE(function(pattern.Any(0)).poisoned());
    EXPECT_TRUE(pattern.status().ok()) << pattern.status();
  }
}

TEST(DslPattern, FloatsCanBeCaptured) {
  Graph pattern(Graph::Mode::kPattern);
  const Value y = RmsNorm(pattern.Any(0), FloatAttr(AttrCapture{3}));
  EXPECT_EQ(pattern.producer(y.id()).attrs.ToString(), "{eps=$3}");
}

TEST(OpList, RecordsAreComplete) {
  for (const OpDef* op : AllOps()) {
    EXPECT_EQ(FindOp(op->name), op);
    // The mathematics, the shapes if those need words, and constraints.
    EXPECT_FALSE(op->doc.empty()) << op->name;
    EXPECT_NE(op->reference == nullptr, op->expand == nullptr) << op->name;
    EXPECT_TRUE(op->infer != nullptr || op->expand != nullptr) << op->name;
    ASSERT_NE(op->samples, nullptr) << op->name;
    EXPECT_GE(op->samples().size(), 2u) << op->name;
  }
  EXPECT_EQ(FindOp("no_such_op"), nullptr);
}

}  // namespace
}  // namespace weft::inline v0
