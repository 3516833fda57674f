// The graph and its builder: handles, names, sticky errors, source locations,
// and the edits that passes make.
#include "graph/graph.h"
#include "graph/small_vector.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "graph/print.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const Dim T = Dim::Symbol("T", 8);

Where At(absl::string_view file, uint32_t line) {
  Where at;
  at.file = file;
  at.line = line;
  return at;
}

class GraphTest : public ::testing::Test {
 protected:
  const Node& NodeOf(Value v) { return graph_.producer(v.id()); }
  std::vector<NodeId> Users(Value v) {
    const auto& users = graph_.value(v.id()).users;
    return {users.begin(), users.end()};
  }
  std::vector<NodeId> Order() {
    return {graph_.order().begin(), graph_.order().end()};
  }
  std::string Error() { return std::string(graph_.status().message()); }

  Graph graph_;
  Value x_ = graph_.Input("x", DType::kF32, {T, 4});
};

// ---- Handles ----

TEST(SmallVector, KeepsItsElementsFromFewToManyAndBack) {
  SmallVector<std::string, 2> small = {"a", "b"};
  small.emplace_back(small[0] + "c");
  small.push_back(small.front());
  EXPECT_THAT(small, ElementsAre("a", "b", "ac", "a"));
  SmallVector<std::string, 2> copy = small;
  copy.erase(copy.begin() + 1);
  EXPECT_THAT(copy, ElementsAre("a", "ac", "a"));
  copy.clear();
  copy.push_back("d");
  EXPECT_THAT(copy, ElementsAre("d"));
  small.resize(1);
  EXPECT_EQ(small, (SmallVector<std::string, 2>{"a"}));
  EXPECT_FALSE(small == copy);
}

TEST_F(GraphTest, DefaultValueIsPoisoned) {
  const Value none;
  EXPECT_TRUE(none.poisoned());
  EXPECT_EQ(none.graph(), nullptr);
  EXPECT_EQ(none.dtype(), DType::kUnknown);
  EXPECT_EQ(none.rank(), 0);
  EXPECT_EQ(none.dim(0), Dim(0));
  EXPECT_EQ(none.Named("nothing"), none);
}

TEST_F(GraphTest, ValueKnowsItsType) {
  EXPECT_FALSE(x_.poisoned());
  EXPECT_EQ(x_.type().ToString(), "f32[T,4]");
  EXPECT_EQ(x_.dim(0), T);
  EXPECT_EQ(x_.dim(-1), Dim(4));
  EXPECT_EQ(x_.dim(2), Dim(0));
  EXPECT_EQ(x_.dim(-3), Dim(0));
}

TEST_F(GraphTest, ValuesAreEqualWhenTheyAreOneTensor) {
  const Value copy = x_;
  EXPECT_EQ(copy, x_);
  EXPECT_FALSE(Silu(x_) == x_);
  Graph other;
  EXPECT_FALSE(other.Input("x", DType::kF32, {T, 4}) == x_);
}

TEST_F(GraphTest, NamedValueKeepsItsIdAndShowsItsName) {
  const Value y = Silu(x_);
  EXPECT_EQ(y.Named("gate"), y);
  EXPECT_EQ(graph_.value(y.id()).name, "gate");
  EXPECT_EQ(PrintText(graph_, {.sources = false, .origins = false}),
            "%1: f32[T,4] \"gate\" = silu(x)\n");
}

// ---- Descriptions ----

TEST_F(GraphTest, DescribesValuesByNameOrId) {
  const Value w = graph_.Weight("blk.0.w", DType::kQ8_0, {4, 32});
  EXPECT_EQ(graph_.Describe(x_.id()), "x f32[T,4]");
  EXPECT_EQ(graph_.Describe(w.id()), "blk.0.w q8_0[4,32]");
  EXPECT_EQ(graph_.Describe(Silu(x_).id()), "%2 f32[T,4]");
  EXPECT_EQ(graph_.Describe(ValueId{-1}), "?");
}

TEST_F(GraphTest, DescribesNodesWithTheirLine) {
  const Value y = Add(Silu(x_, Where()), x_, At("llama.cc", 42));
  EXPECT_EQ(graph_.Describe(NodeOf(y)),
            "llama.cc:42: add(%1 f32[T,4], x f32[T,4])");
  EXPECT_EQ(graph_.Describe(graph_.node(1)), "silu(x f32[T,4])");
  const Value w = graph_.Weight("w", DType::kF32, {4}, At("llama.cc", 7));
  EXPECT_EQ(graph_.Describe(NodeOf(w)), "llama.cc:7: weight(w)");
}

// ---- Source locations ----

TEST_F(GraphTest, WhereKeepsTheBaseNameOfAFile) {
  const Where here(std::source_location::current());
  EXPECT_EQ(here.ToString(), absl::StrCat("graph_test.cc:", __LINE__ - 1));
  EXPECT_EQ(Where().ToString(), "");
}

TEST_F(GraphTest, SourcesCaptureTheirLine) {
  const Value in = graph_.Input("in", DType::kF32, {T});
  const Value w = graph_.Weight("w", DType::kF32, {4});
  const Value s = graph_.State("s", DType::kF32, {4});
  const Value c = graph_.Constant(HostTensor::FromFloats({2}, {1, 2}));
  uint32_t line = __LINE__ - 4;
  for (const Value v : {in, w, s, c})
    EXPECT_EQ(NodeOf(v).where, At("graph_test.cc", line++));
}

TEST_F(GraphTest, LhsCapturesTheLineOfTheOperator) {
  const Value y = x_ * x_;
  EXPECT_EQ(NodeOf(y).where, At("graph_test.cc", __LINE__ - 1));
}

// ---- Errors stick ----

TEST_F(GraphTest, FirstErrorWinsAndPoisonsWhatFollows) {
  const Value bad =
      Add(x_, graph_.Weight("w", DType::kF16, {4}), At("model.cc", 3));
  EXPECT_TRUE(bad.poisoned());
  EXPECT_TRUE(Silu(bad).poisoned());
  EXPECT_TRUE((bad + x_).poisoned());
  EXPECT_TRUE(Silu(x_).poisoned()) << "nothing is built after an error";
  const int nodes = graph_.num_nodes();
  MatMul(x_, x_, At("model.cc", 4));
  EXPECT_TRUE(graph_.Input("y", DType::kF32, {T}).poisoned());
  EXPECT_EQ(graph_.num_nodes(), nodes);
  graph_.Output("y", bad);
  EXPECT_TRUE(absl::IsInvalidArgument(graph_.Finish()));
  EXPECT_EQ(graph_.Finish().message(),
            "model.cc:3: add(x f32[T,4], w f16[4]): C1: operand 1 is f16, not "
            "f32");
}

TEST_F(GraphTest, EveryOutputOfAFailedNodeIsPoisoned) {
  const Value w = graph_.Weight("w", DType::kF32, {5});
  const Values both = graph_.EmitAll(*FindOp("add_rms_norm"), {x_, x_, w},
                                     {{"eps", 1e-5}}, Where());
  ASSERT_EQ(both.size(), 2u);
  EXPECT_TRUE(both[0].poisoned());
  EXPECT_TRUE(both[1].poisoned());
  EXPECT_THAT(Error(), ::testing::StartsWith("add_rms_norm(x f32[T,4], "));
}

TEST_F(GraphTest, RefusesValuesOfAnotherGraph) {
  Graph other;
  const Value y = other.Input("y", DType::kF32, {T, 4});
  Add(x_, y, At("model.cc", 9));
  EXPECT_EQ(Error(), "model.cc:9: add: an operand is a value of another graph");
}

TEST_F(GraphTest, RefusesAnOperandThatIsNoValue) {
  Add(x_, Value(), At("model.cc", 9));
  EXPECT_EQ(Error(), "model.cc:9: add: an operand is no value");
}

TEST_F(GraphTest, RefusesAnErasedOperand) {
  const Value gone = Silu(x_);
  ASSERT_TRUE(graph_.EraseIfDead(NodeOf(gone).id));
  Exp(gone, At("model.cc", 9));
  EXPECT_EQ(Error(),
            "model.cc:9: exp: an operand is a value that a pass has removed");
}

TEST_F(GraphTest, RefusesSourcesThatCannotExist) {
  const auto error = [](auto build) {
    Graph graph;
    build(graph);
    return std::string(graph.status().message());
  };
  EXPECT_EQ(
      error([](Graph& g) { g.Input("x", DType::kF32, {T, 0}, At("m.cc", 1)); }),
      "m.cc:1: input x f32[T,0]: a dimension is not positive");
  EXPECT_EQ(
      error([](Graph& g) { g.State("s", DType::kF32, {-3}, At("m.cc", 2)); }),
      "m.cc:2: state s f32[-3]: a dimension is not positive");
  EXPECT_EQ(error([](Graph& g) {
              g.Weight("w", DType::kQ8_0, {2, 33}, At("m.cc", 3));
            }),
            "m.cc:3: weight w q8_0[2,33]: rows are no whole blocks of 32 "
            "values");
  EXPECT_EQ(error([](Graph& g) {
              g.Input("x", DType::kF32, {1, 1, 1, 1, 1, 1}, At("m.cc", 4));
            }),
            "m.cc:4: input x: rank above 5");
  EXPECT_EQ(error([](Graph& g) {
              const Dim huge(int64_t{1} << 40);
              g.Weight("w", DType::kF32, {huge, huge}, At("m.cc", 5));
            }),
            "m.cc:5: weight w f32[1099511627776,1099511627776]: is "
            "larger than any machine's memory");
}

TEST_F(GraphTest, RefusesResultsThatNoMachineHolds) {
  const Dim huge(1 << 24);
  const Value column = graph_.Input("column", DType::kF32, {huge, 1});
  const Value row = graph_.Input("row", DType::kF32, {1, huge});
  EXPECT_FALSE((column * row).poisoned());
  MatMul(graph_.Input("batch", DType::kF32, {1 << 10, 1, huge, 1}), row,
         At("model.cc", 8));
  EXPECT_THAT(Error(),
              ::testing::EndsWith("the result f32[1024,1,16777216,16777216] is "
                                  "larger than any machine's memory"));
}

TEST_F(GraphTest, RefusesAPoisonedOrForeignOutput) {
  graph_.Output("y", Value(), At("model.cc", 5));
  EXPECT_EQ(Error(), "model.cc:5: output y is no value");
  Graph other;
  other.Output("y", x_, At("model.cc", 6));
  EXPECT_EQ(other.status().message(),
            "model.cc:6: output y is a value of another graph");
}

TEST_F(GraphTest, FinishWantsAnOutput) {
  EXPECT_TRUE(absl::IsFailedPrecondition(graph_.Finish()));
  graph_.Output("y", Silu(x_));
  EXPECT_TRUE(graph_.Finish().ok()) << graph_.Finish();
}

// ---- Reading ----

TEST_F(GraphTest, SymbolsComeInOrderOfAppearance) {
  const Dim r = Dim::Symbol("R", 2);
  graph_.Input("rows", DType::kI32, {r});
  graph_.State("s", DType::kF32, {2, Dim::Symbol("C", 16), 4});
  Silu(graph_.Input("z", DType::kF32, {r, T}));
  EXPECT_THAT(graph_.Symbols(), ElementsAre(T, r, Dim::Symbol("C", 16)));
}

TEST_F(GraphTest, ExpectationsKeepTheirLine) {
  graph_.Expect("attention", 5, At("llama.cc", 120));
  ASSERT_EQ(graph_.expectations().size(), 1u);
  EXPECT_EQ(graph_.expectations()[0].rule, "attention");
  EXPECT_EQ(graph_.expectations()[0].count, 5);
  EXPECT_EQ(graph_.expectations()[0].where, At("llama.cc", 120));
}

TEST_F(GraphTest, UsersListsHoldEachUse) {
  const Value y = x_ + x_;
  const Value z = Silu(x_);
  EXPECT_THAT(Users(x_), UnorderedElementsAre(1, 1, 2));
  EXPECT_THAT(Users(y), IsEmpty());
  EXPECT_EQ(graph_.value(z.id()).node, 2);
  EXPECT_EQ(graph_.InputTypes(NodeOf(y)).size(), 2u);
}

// ---- Editing ----

TEST_F(GraphTest, ReplaceUsesMovesReadersOutputsAndName) {
  const Value a = Silu(x_).Named("a");
  const Value b = Relu(x_);
  const Value twice = a * a;
  graph_.Output("a", a);
  graph_.ReplaceUses(a.id(), b.id());
  EXPECT_THAT(Users(a), IsEmpty());
  EXPECT_THAT(Users(b), ElementsAre(NodeOf(twice).id, NodeOf(twice).id));
  EXPECT_THAT(NodeOf(twice).inputs, ElementsAre(b.id(), b.id()));
  EXPECT_EQ(graph_.outputs()[0].value, b.id());
  EXPECT_EQ(graph_.value(b.id()).name, "a");
  graph_.ReplaceUses(b.id(), b.id());
  EXPECT_EQ(Users(b).size(), 2u) << "replacing by itself changes nothing";
  EXPECT_TRUE(graph_.Finish().ok()) << graph_.Finish();
}

TEST_F(GraphTest, EraseIfDeadTakesWhatOnlyThatNodeNeeded) {
  const Value w = graph_.Weight("w", DType::kF32, {4});
  const Value c = graph_.Constant(HostTensor::FromFloats({4}, {1, 2, 3, 4}));
  const Value shared = Silu(x_);
  const Value dead = Relu(shared * w + c);
  graph_.Output("y", Exp(shared));
  EXPECT_FALSE(graph_.EraseIfDead(NodeOf(shared).id)) << "it has readers";
  EXPECT_TRUE(graph_.EraseIfDead(NodeOf(dead).id));
  for (const Value v : {w, c, dead})
    EXPECT_FALSE(graph_.alive(graph_.value(v.id()).node));
  EXPECT_THAT(Users(shared).size(), 1);
  EXPECT_THAT(Order(), ElementsAre(0, 3, 7));
  EXPECT_TRUE(graph_.Finish().ok()) << graph_.Finish();
}

TEST_F(GraphTest, DropIfDeadLeavesTheOrderToSort) {
  const Value dead = Relu(Silu(x_));
  graph_.Output("y", Exp(x_));
  EXPECT_TRUE(graph_.DropIfDead(NodeOf(dead).id));
  EXPECT_FALSE(graph_.DropIfDead(NodeOf(dead).id)) << "gone already";
  EXPECT_FALSE(graph_.alive(1)) << "silu, which only relu read";
  EXPECT_THAT(Order(), ElementsAre(0, 1, 2, 3));
  ASSERT_TRUE(graph_.Sort().ok());
  EXPECT_THAT(Order(), ElementsAre(0, 3));
  EXPECT_TRUE(graph_.Finish().ok()) << graph_.Finish();
}

TEST_F(GraphTest, EraseIfDeadKeepsOutputsInputsAndState) {
  const Value pos = graph_.Input("pos", DType::kI32, {T});
  const Value s = graph_.State("s", DType::kF32, {1, 16, 4});
  const Value unread = graph_.State("t", DType::kF32, {1, 16, 4});
  const Value written = Append(s, x_, {pos, pos});
  const Value y = Silu(x_);
  graph_.Output("y", y);
  for (const Value v : {pos, s, unread, written, y})
    EXPECT_FALSE(graph_.EraseIfDead(NodeOf(v).id)) << graph_.Describe(v.id());
}

TEST_F(GraphTest, EraseIfDeadKeepsANodeWhoseOtherResultIsRead) {
  const Value w = graph_.Weight("w", DType::kF32, {4});
  const Values both = graph_.EmitAll(*FindOp("add_rms_norm"), {x_, x_, w},
                                     {{"eps", 1e-5}}, Where());
  graph_.Output("normed", both[1]);
  EXPECT_FALSE(graph_.EraseIfDead(NodeOf(both[0]).id));
}

TEST_F(GraphTest, ErasesALongChainWithoutDeepRecursion) {
  Value v = x_;
  for (int i = 0; i < 20000; ++i) v = Silu(v);
  EXPECT_TRUE(graph_.EraseIfDead(NodeOf(v).id));
  EXPECT_THAT(Order(), ElementsAre(0));
}

TEST_F(GraphTest, OriginMarksNewNodesWhileItLives) {
  const Value old = Silu(x_, At("llama.cc", 31));
  Relu(x_);
  Value fresh;
  {
    Graph::Origin origin(graph_, NodeOf(old), "my_rule");
    fresh = Exp(x_);
  }
  EXPECT_EQ(NodeOf(fresh).where, At("llama.cc", 31));
  EXPECT_EQ(NodeOf(fresh).made_by, "my_rule");
  EXPECT_EQ(NodeOf(fresh).rank, NodeOf(old).rank);
  const Value later = Tanh(x_);
  EXPECT_EQ(NodeOf(later).made_by, "");
  EXPECT_EQ(NodeOf(later).rank, NodeOf(later).id);
}

TEST_F(GraphTest, ErrorsUnderAnOriginNameTheModelsLine) {
  const Value old = Silu(x_, At("llama.cc", 31));
  Graph::Origin origin(graph_, NodeOf(old), "my_rule");
  MatMul(x_, x_);
  EXPECT_THAT(Error(), ::testing::StartsWith("llama.cc:31: matmul("));
}

TEST_F(GraphTest, SortPutsAReplacementWhereItsRootStood) {
  const Value a = Silu(x_);     // node 1
  const Value b = Relu(x_);     // node 2
  graph_.Output("sum", a + b);  // node 3
  Value fresh;                  // node 4, with the rank of 1
  {
    Graph::Origin origin(graph_, NodeOf(a), "my_rule");
    fresh = Exp(x_);
  }
  graph_.ReplaceUses(a.id(), fresh.id());
  EXPECT_TRUE(graph_.EraseIfDead(NodeOf(a).id));
  EXPECT_FALSE(graph_.Finish().ok()) << "3 reads 4 before it is made";
  ASSERT_TRUE(graph_.Sort().ok());
  EXPECT_THAT(Order(), ElementsAre(0, 4, 2, 3));
  EXPECT_TRUE(graph_.Finish().ok()) << graph_.Finish();
}

TEST_F(GraphTest, SortIsTopologicalWhateverTheRanks) {
  const Value a = Silu(x_);
  const Value b = Relu(x_);
  Value late;
  {
    Graph::Origin origin(graph_, graph_.node(0), "my_rule");
    late = Exp(b);  // rank 0, but it needs b
  }
  graph_.Output("y", a + late);
  ASSERT_TRUE(graph_.Sort().ok());
  EXPECT_THAT(Order(), ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(GraphTest, SortFindsACycle) {
  const Value a = Silu(x_);
  const Value b = Relu(a);
  graph_.Output("y", b);
  graph_.ReplaceUses(x_.id(), b.id());  // silu reads relu, which reads silu
  EXPECT_TRUE(absl::IsInternal(graph_.Sort()));
}

}  // namespace
}  // namespace weft::inline v0
