// The verifier: everything that it promises, broken once.
#include "graph/verify.h"

#include <string>

#include "gmock/gmock.h"
#include "graph/graph.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

using ::testing::HasSubstr;

const Dim T = Dim::Symbol("T", 8);

Where Line(uint32_t line) {
  Where at;
  at.file = "model.cc";
  at.line = line;
  return at;
}

class VerifyTest : public ::testing::Test {
 protected:
  void ExpectInternal(absl::string_view text) {
    const absl::Status status = Verify(graph_);
    EXPECT_TRUE(absl::IsInternal(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(text)));
  }
  void ExpectInvalid(absl::string_view text) {
    const absl::Status status = Verify(graph_);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(text)));
  }

  Graph graph_;
  Value x_ = graph_.Input("x", DType::kF32, {T, 4});
  Value pos_ = graph_.Input("pos", DType::kI32, {T});
  Step step_ = {pos_, pos_};
};

TEST_F(VerifyTest, AcceptsASoundGraph) {
  const Value s = Append(graph_.State("s", DType::kF16, {8, 16, 4}), x_, step_);
  graph_.Output("y", GatherRows(Dequant(s), pos_));
  EXPECT_TRUE(Verify(graph_).ok()) << Verify(graph_);
}

TEST_F(VerifyTest, PassesTheBuildersErrorOn) {
  graph_.Fail("something is wrong", Line(3));
  ExpectInvalid("model.cc:3: something is wrong");
}

TEST_F(VerifyTest, ReadsComeAfterWrites) {
  const Value a = Silu(x_);
  Relu(a, Line(5));
  const Value late = Exp(x_);
  graph_.ReplaceUses(a.id(), late.id());
  ExpectInternal("model.cc:5: relu(%4 f32[T,4]): reads %4 too early");
  ASSERT_TRUE(graph_.Sort().ok());
  EXPECT_TRUE(Verify(graph_).ok()) << Verify(graph_);
}

TEST_F(VerifyTest, TypesFollowTheShapeRule) {
  const Value a = Silu(x_);
  Silu(a, Line(6));
  const Value other = Silu(graph_.Input("y", DType::kF32, {T, 5}));
  graph_.ReplaceUses(a.id(), other.id());
  ASSERT_TRUE(graph_.Sort().ok());
  ExpectInternal("%3 is f32[T,4], the shape rule says f32[T,5]");
}

TEST_F(VerifyTest, ShapeRulesStillHold) {
  const Value a = Silu(x_);
  Add(a, x_, Line(7));
  const Value other = Silu(graph_.Input("y", DType::kF32, {T, 5}));
  graph_.ReplaceUses(a.id(), other.id());
  ASSERT_TRUE(graph_.Sort().ok());
  ExpectInternal(
      "model.cc:7: add(%5 f32[T,5], x f32[T,4]): %3: C2: dims do "
      "not broadcast (5 vs 4)");
}

TEST_F(VerifyTest, RecordsTellTheNumberOfOutputs) {
  static const OpDef kMiscounted = {
      .name = "miscounted",
      .doc = "Says one thing and does another.",
      .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
        return TensorTypes{call.in[0], call.in[0]};
      }};
  graph_.Emit(kMiscounted, {x_}, {}, Line(8));
  ExpectInvalid("miscounted's shape rule gives 2 outputs, its record says 1");
}

TEST_F(VerifyTest, OpsHaveAShapeRule) {
  static const OpDef kShapeless = {.name = "shapeless", .doc = "Nothing."};
  graph_.Emit(kShapeless, {x_}, {}, Line(9));
  ExpectInvalid("model.cc:9: shapeless(x f32[T,4]): shapeless has no shape");
}

TEST_F(VerifyTest, SourcesHaveDifferentNames) {
  graph_.Weight("x", DType::kF32, {4}, Line(10));
  ExpectInvalid("model.cc:10: there are two tensors named x");
}

TEST_F(VerifyTest, OutputsHaveDifferentNames) {
  graph_.Output("y", Silu(x_));
  graph_.Output("y", Relu(x_));
  ExpectInvalid("there are two outputs named y");
}

TEST_F(VerifyTest, OneTensorMayBeSeveralOutputs) {
  const Value y = Silu(x_);
  graph_.Output("y", y);
  graph_.Output("z", y);
  EXPECT_TRUE(Verify(graph_).ok()) << Verify(graph_);
}

TEST_F(VerifyTest, ASymbolHasOneBound) {
  graph_.Input("y", DType::kF32, {Dim::Symbol("T", 9)}, Line(11));
  ExpectInvalid("model.cc:11: input(y): symbol T has bounds 8 and 9");
}

TEST_F(VerifyTest, AStateHasOneWriter) {
  const Value s = graph_.State("s", DType::kF32, {1, 16, 4}, Line(12));
  Append(s, x_, step_);
  EXPECT_TRUE(Verify(graph_).ok()) << Verify(graph_);
  Append(s, x_, step_);
  ExpectInvalid("model.cc:12: state s has 2 readers; one Append");
}

TEST_F(VerifyTest, AnUpdateReadsWhatItsStateHeld) {
  const Value s = graph_.State("s", DType::kF32, {1, 4}, Line(12));
  const Value old = Scale(s, 0.5);
  Assign(s, old + old);
  EXPECT_TRUE(Verify(graph_).ok()) << Verify(graph_);
  // Nothing puts this one before the write.
  Scale(s, 2);
  ExpectInvalid("model.cc:12: state s has 2 readers; one Append");
}

TEST_F(VerifyTest, AStateIsReadThroughItsWriter) {
  const Value s = graph_.State("s", DType::kF32, {1, 16, 4});
  GatherRows(s, pos_, Line(13));
  ExpectInvalid(
      "model.cc:13: gather_rows(s f32[1,16,4], pos i32[T]): state s "
      "is read without being written");
}

TEST_F(VerifyTest, AStateMayBeUnused) {
  graph_.State("s", DType::kF32, {1, 16, 4});
  EXPECT_TRUE(Verify(graph_).ok()) << Verify(graph_);
}

TEST_F(VerifyTest, AWriterWritesAState) {
  const Value no_state = graph_.Input("s", DType::kF32, {1, 16, 4});
  Append(no_state, x_, step_, Line(14));
  ExpectInvalid(
      "model.cc:14: append(s f32[1,16,4], x f32[T,4], pos i32[T], "
      "pos i32[T]): the first operand is no state");
}

// A second writer after the first would change what readers of the first see.
TEST_F(VerifyTest, AWritersResultIsNotWrittenAgain) {
  const Value s = graph_.State("s", DType::kF32, {1, 16, 4});
  const Value once = Append(s, x_, step_);
  Append(once, x_, step_, Line(15));
  ExpectInvalid("): the first operand is no state");
}

}  // namespace
}  // namespace weft::inline v0
