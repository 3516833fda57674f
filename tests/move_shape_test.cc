// Shape rules of the ops that move data, as in op_shape_test.cc.
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/op_shape.h"

namespace weft::inline v0 {
namespace {

TEST(OpShapeTests, CoverEveryConstraint) {
  for (const OpDef* op : AllOps())
    if (op->infer != nullptr && MovesData(*op)) ExpectCovered(*op);
}

TEST_F(OpShape, Reshape_Types) {
  EXPECT_EQ(TypeOf(Reshape(F32("x", {T, 12}), {T, 3, 4})), "f32[T,3,4]");
  EXPECT_EQ(TypeOf(Reshape(F32("y", {4, T, 3}), {12, T})), "f32[12,T]");
  EXPECT_EQ(TypeOf(Reshape(I32("z", {T, T}), {T, 1, T})), "i32[T,1,T]");
}

TEST_F(OpShape, Reshape_C1_ElementsMustBeMovable) {
  Reshape(In("w", DType::kQ8_0, {2, 32}), {64}, kAt);
  ExpectError(
      "reshape(w q8_0[2,32]): C1: operand 0 is q8_0, whose elements cannot be "
      "moved one by one");
}

TEST_F(OpShape, Reshape_C2_DimsMustBePositive) {
  Reshape(F32("x", {2, 3}), {-2, -3}, kAt);
  ExpectError(
      "reshape(x f32[2,3]): C2: shape [-2,-3] has a rank above 5 or a dim that "
      "is not positive");
}

TEST_F(OpShape, Reshape_C2_RankMustBeAtMostFive) {
  Reshape(F32("x", {6}), {1, 1, 1, 1, 1, 6}, kAt);
  ExpectError(
      "reshape(x f32[6]): C2: shape [1,1,1,1,1,6] has a rank above 5 or a dim "
      "that is not positive");
}

TEST_F(OpShape, Reshape_C3_SymbolsMustBeKept) {
  Reshape(F32("x", {T, T}), {T, 8}, kAt);
  ExpectError(
      "reshape(x f32[T,T]): C3: shape [T,8] does not keep the symbols of "
      "[T,T]");
}

TEST_F(OpShape, Reshape_C4_ElementsMustBeKept) {
  Reshape(F32("x", {T, 12}), {T, 3, 5}, kAt);
  ExpectError(
      "reshape(x f32[T,12]): C4: shape [T,3,5] has 15 elements per symbol, x "
      "has 12");
}

TEST_F(OpShape, Permute_C1_ElementsMustBeMovable) {
  EXPECT_EQ(TypeOf(Permute(F32("x", {T, 2, 3, 4}), {0, 2, 3, 1})),
            "f32[T,3,4,2]");
  Permute(In("w", DType::kQ8_0, {2, 3, 32}), {1, 0, 2}, kAt);
  ExpectError(
      "permute(w q8_0[2,3,32]): C1: operand 0 is q8_0, whose elements cannot "
      "be moved one by one");
}

TEST_F(OpShape, Permute_C2_PermMustBeAPermutation) {
  Permute(F32("x", {T, 2, 3}), {0, 2, 2}, kAt);
  ExpectError("permute(x f32[T,2,3]): C2: (0,2,2) is no permutation of 3 axes");
}

TEST_F(OpShape, Permute_C2_PermMustNameEveryAxis) {
  // A swap of the fastest two would become a transpose, were it of rank 2.
  Permute(F32("x", {T, 2, 3}), {1, 0}, kAt);
  ExpectError("permute(x f32[T,2,3]): C2: (1,0) is no permutation of 3 axes");
}

TEST_F(OpShape, Slice_C1_ElementsMustBeMovable) {
  EXPECT_EQ(TypeOf(Slice(F32("x", {T, 9}), -1, 3, 7)), "f32[T,4]");
  Slice(In("w", DType::kQ8_0, {2, 64}), 1, 0, 32, kAt);
  ExpectError(
      "slice(w q8_0[2,64]): C1: operand 0 is q8_0, whose elements cannot be "
      "moved one by one");
}

TEST_F(OpShape, Slice_C2_AxisMustExist) {
  Slice(F32("x", {T, 9}), -3, 0, 1, kAt);
  ExpectError("slice(x f32[T,9]): C2: axis -3 of a tensor of rank 2");
}

TEST_F(OpShape, Slice_C3_DimMustBeConstant) {
  Slice(F32("x", {T, 9}), 0, 0, 1, kAt);
  ExpectError("slice(x f32[T,9]): C3: dim T of axis 0 is no constant");
}

TEST_F(OpShape, Slice_C4_RangeMustBeInside) {
  Slice(F32("x", {T, 9}), 1, 4, 10, kAt);
  ExpectError("slice(x f32[T,9]): C4: [4, 10) is no part of a dim of 9");
}

TEST_F(OpShape, Slice_C4_RangeMustNotBeEmpty) {
  Slice(F32("x", {T, 9}), 1, 4, 4, kAt);
  ExpectError("slice(x f32[T,9]): C4: [4, 4) is no part of a dim of 9");
}

TEST_F(OpShape, Concat_C1_DTypesMustMatch) {
  const Value x = F32("x", {T, 9});
  EXPECT_EQ(TypeOf(Concat({x, F32("y", {T, 4}), x}, -1)), "f32[T,22]");
  Concat({x, I32("z", {T, 4})}, 1, kAt);
  ExpectError("concat(x f32[T,9], z i32[T,4]): C1: operand 1 is i32, not f32");
}

TEST_F(OpShape, Concat_C2_RanksMustMatch) {
  Concat({F32("x", {T, 9}), F32("y", {T})}, 1, kAt);
  ExpectError("concat(x f32[T,9], y f32[T]): C2: operand 1 has rank 1, not 2");
}

TEST_F(OpShape, Concat_C3_DimMustBeConstant) {
  Concat({F32("x", {3, 9}), F32("y", {T, 9})}, 0, kAt);
  ExpectError(
      "concat(x f32[3,9], y f32[T,9]): C3: dim T of axis 0 is no constant");
}

TEST_F(OpShape, Concat_C4_OtherDimsMustMatch) {
  Concat({F32("x", {T, 9}), F32("y", {3, 9})}, 1, kAt);
  ExpectError(
      "concat(x f32[T,9], y f32[3,9]): C4: operand 1 has shape [3,9], operand "
      "0 [T,9]; only axis 1 may differ");
}

TEST_F(OpShape, Repeat_C1_ElementsMustBeMovable) {
  EXPECT_EQ(TypeOf(Repeat(F32("x", {T, 2, 9}), -2, 3)), "f32[T,6,9]");
  Repeat(In("w", DType::kQ8_0, {2, 64}), 0, 2, kAt);
  ExpectError(
      "repeat(w q8_0[2,64]): C1: operand 0 is q8_0, whose elements cannot be "
      "moved one by one");
}

TEST_F(OpShape, Repeat_C2_AxisMustExist) {
  Repeat(F32("x", {T, 9}), 2, 2, kAt);
  ExpectError("repeat(x f32[T,9]): C2: axis 2 of a tensor of rank 2");
}

TEST_F(OpShape, Repeat_C3_DimMustBeConstant) {
  Repeat(F32("x", {T, 9}), 0, 2, kAt);
  ExpectError("repeat(x f32[T,9]): C3: dim T of axis 0 is no constant");
}

TEST_F(OpShape, Repeat_C4_TimesMustBePositive) {
  Repeat(F32("x", {T, 9}), 1, 0, kAt);
  ExpectError("repeat(x f32[T,9]): C4: a dim of 9 repeated 0 times");
}

TEST_F(OpShape, GatherRows_C1_TableMustBeF32) {
  const Value ids = I32("ids", {T});
  EXPECT_EQ(TypeOf(GatherRows(F32("x", {99, 3, 4}), ids)), "f32[T,3,4]");
  GatherRows(In("w", DType::kQ8_0, {9, 32}), ids, kAt);
  ExpectError(
      "gather_rows(w q8_0[9,32], ids i32[T]): C1: operand 0 is q8_0, not f32");
}

TEST_F(OpShape, GatherRows_C2_IdsMustBeAnI32Vector) {
  GatherRows(F32("x", {9, 32}), F32("ids", {T}), kAt);
  ExpectError(
      "gather_rows(x f32[9,32], ids f32[T]): C2: operand 1 is f32, not i32");
}

TEST_F(OpShape, Append_Types) {
  const Step step = {I32("pos", {T}), I32("slot", {T})};
  const Value state = graph_.State("kv", DType::kF16, {2, 16, 3, 8});
  EXPECT_EQ(TypeOf(Append(state, F32("x", {T, 3, 8}), step)), "f16[2,16,3,8]");
}

TEST_F(OpShape, Append_TypesOfRowsThatEndWithinABlock) {
  const Step step = {I32("pos", {T}), I32("slot", {T})};
  const Value state = graph_.State("kv", DType::kQ8_0, {2, 16, 3, 20});
  EXPECT_EQ(TypeOf(Append(state, F32("x", {T, 3, 20}), step)),
            "q8_0[2,16,3,20]");
}

TEST_F(OpShape, Append_C1_StateMustBeWritable) {
  Append(graph_.State("kv", DType::kQ5_0, {2, 16, 32}), F32("x", {T, 32}),
         {I32("pos", {T}), I32("slot", {T})}, kAt);
  ExpectError(
      "append(kv q5_0[2,16,32], x f32[T,32], slot i32[T], pos i32[T]): C1: a "
      "state of q5_0 cannot be written; f32, f16, bf16, q8_0 and q4_0 can");
}

TEST_F(OpShape, Append_C2_RowsMustBeF32) {
  Append(graph_.State("kv", DType::kF16, {2, 16, 32}),
         In("x", DType::kF16, {T, 32}), {I32("pos", {T}), I32("slot", {T})},
         kAt);
  ExpectError(
      "append(kv f16[2,16,32], x f16[T,32], slot i32[T], pos i32[T]): C2: "
      "operand 1 is f16, not f32");
}

TEST_F(OpShape, Append_C3_RowsMustFit) {
  Append(graph_.State("kv", DType::kF16, {2, 16, 32}), F32("x", {T, 4, 8}),
         {I32("pos", {T}), I32("slot", {T})}, kAt);
  ExpectError(
      "append(kv f16[2,16,32], x f32[T,4,8], slot i32[T], pos i32[T]): C3: a "
      "state of shape [2,16,32] does not hold rows of [T,4,8]");
}

TEST_F(OpShape, Append_C4_EveryTokenMustHaveAPlace) {
  Append(graph_.State("kv", DType::kF16, {2, 16, 32}), F32("x", {T, 32}),
         {I32("pos", {T}), I32("slot", {1})}, kAt);
  ExpectError(
      "append(kv f16[2,16,32], x f32[T,32], slot i32[1], pos i32[T]): C4: "
      "operand 2 has shape [1], not [T]");
}

TEST_F(OpShape, Append_C5_ABlockMustNotHoldTwoPositions) {
  Append(graph_.State("kv", DType::kQ8_0, {2, 32}), F32("x", {T}),
         {I32("pos", {T}), I32("slot", {T})}, kAt);
  ExpectError(
      "append(kv q8_0[2,32], x f32[T], slot i32[T], pos i32[T]): C5: one q8_0 "
      "block would hold several positions");
}

// ---- Recurrent states ----

class RecurrentShape : public OpShape {
 protected:
  Value State(Shape shape) {
    return graph_.State("s", DType::kF32, std::move(shape));
  }
  Step AStep() { return {I32("pos", {T}), I32("slot", {T})}; }
  ScanInputs Scan(int64_t channels, int64_t states) {
    return {F32("x", {T, channels}), F32("delta", {T, channels}),
            F32("a", {channels, states}), F32("b", {T, states}),
            F32("c", {T, states})};
  }
};

TEST_F(RecurrentShape, CausalConv_Types) {
  EXPECT_EQ(TypeOf(CausalConv(State({2, 3, 8}), F32("x", {T, 8}),
                              F32("w", {8, 4}), F32("b", {8}), AStep())),
            "f32[T,8]");
}

TEST_F(RecurrentShape, CausalConv_C1_TheStateHasThreeDims) {
  CausalConv(State({3, 8}), F32("x", {T, 8}), F32("w", {8, 4}), F32("b", {8}),
             AStep(), kAt);
  ExpectError(
      "causal_conv(s f32[3,8], x f32[T,8], w f32[8,4], b f32[8], slot i32[T], "
      "pos i32[T]): C1: operand 0 has rank 2, not 3");
}

TEST_F(RecurrentShape, CausalConv_C2_TheKernelHasAPast) {
  CausalConv(State({2, 1, 8}), F32("x", {T, 8}), F32("w", {8, 1}),
             F32("b", {8}), AStep(), kAt);
  ExpectError(
      "causal_conv(s f32[2,1,8], x f32[T,8], w f32[8,1], b f32[8], slot "
      "i32[T], pos i32[T]): C2: a kernel of 1");
}

TEST_F(RecurrentShape, CausalConv_C3_TheStateHoldsThePast) {
  CausalConv(State({2, 4, 8}), F32("x", {T, 8}), F32("w", {8, 4}),
             F32("b", {8}), AStep(), kAt);
  ExpectError(
      "causal_conv(s f32[2,4,8], x f32[T,8], w f32[8,4], b f32[8], slot "
      "i32[T], pos i32[T]): C3: operand 0 has shape [2,4,8], not [2,3,8]");
}

TEST_F(RecurrentShape, CausalConv_C4_EachTokenHasASlot) {
  CausalConv(State({2, 3, 8}), F32("x", {T, 8}), F32("w", {8, 4}),
             F32("b", {8}), {I32("pos", {T}), I32("slot", {5})}, kAt);
  ExpectError(
      "causal_conv(s f32[2,3,8], x f32[T,8], w f32[8,4], b f32[8], slot "
      "i32[5], pos i32[T]): C4: slot and pos are no i32[T]");
}

TEST_F(RecurrentShape, SelectiveScan_Types) {
  EXPECT_EQ(TypeOf(SelectiveScan(State({2, 8, 4}), Scan(8, 4), AStep())),
            "f32[T,8]");
}

TEST_F(RecurrentShape, SelectiveScan_C1_TheStateHasThreeDims) {
  SelectiveScan(State({8, 4}), Scan(8, 4), AStep(), kAt);
  ExpectError(
      "selective_scan(s f32[8,4], x f32[T,8], delta f32[T,8], a f32[8,4], b "
      "f32[T,4], c f32[T,4], slot i32[T], pos i32[T]): C1: operand 0 has rank "
      "2, not 3");
}

TEST_F(RecurrentShape, SelectiveScan_C2_CoefficientsFitTheState) {
  SelectiveScan(State({2, 8, 4}), Scan(8, 5), AStep(), kAt);
  ExpectError(
      "selective_scan(s f32[2,8,4], x f32[T,8], delta f32[T,8], a f32[8,5], b "
      "f32[T,5], c f32[T,5], slot i32[T], pos i32[T]): C2: operand 3 has shape "
      "[8,5], not [8,4]");
}

TEST_F(RecurrentShape, SelectiveScan_C3_EachTokenHasASlot) {
  SelectiveScan(State({2, 8, 4}), Scan(8, 4),
                {I32("pos", {T}), I32("slot", {5})}, kAt);
  ExpectError(
      "selective_scan(s f32[2,8,4], x f32[T,8], delta f32[T,8], a f32[8,4], b "
      "f32[T,4], c f32[T,4], slot i32[5], pos i32[T]): C3: slot and pos are no "
      "i32[T]");
}

}  // namespace
}  // namespace weft::inline v0
