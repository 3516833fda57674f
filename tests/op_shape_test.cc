// Shape rules of the ops that compute: the types, and a test per constraint of
// their docs, named Op_Cn_WhatMustHold.
#include "tests/op_shape.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "ops/quantize.h"

namespace weft::inline v0 {
namespace {

TEST(OpShapeTests, CoverEveryConstraint) {
  for (const OpDef* op : AllOps())
    if (op->infer != nullptr && !MovesData(*op) && !IsOfTraining(*op))
      ExpectCovered(*op);
}

TEST_F(OpShape, Binary_Types) {
  EXPECT_EQ(TypeOf(Add(F32("a", {T, 64}), F32("b", {64}))), "f32[T,64]");
  EXPECT_EQ(TypeOf(Sub(F32("c", {5, 1, 3}), F32("d", {7, 1}))), "f32[5,7,3]");
  EXPECT_EQ(TypeOf(Mul(F32("e", {1}), F32("f", {2, T}))), "f32[2,T]");
  EXPECT_EQ(TypeOf(Mul(F32("g", kScalar), F32("h", {T}))), "f32[T]");
  EXPECT_EQ(TypeOf(Div(F32("i", {T, 3}), F32("j", {T, 1}))), "f32[T,3]");
}

TEST_F(OpShape, Binary_C1_OperandsMustBeF32) {
  Add(F32("a", {T, 64}), In("b", DType::kF16, {64}), kAt);
  ExpectError("add(a f32[T,64], b f16[64]): C1: operand 1 is f16, not f32");
}

TEST_F(OpShape, Binary_C2_DimsMustBroadcast) {
  Mul(F32("a", {T, 64}), F32("b", {32}), kAt);
  ExpectError(
      "mul(a f32[T,64], b f32[32]): C2: dims do not broadcast (64 vs 32)");
}

TEST_F(OpShape, Binary_C2_SymbolsAreNotTheirBounds) {
  Sub(F32("a", {T, 4}), F32("b", {8, 4}), kAt);
  ExpectError(
      "sub(a f32[T,4], b f32[8,4]): C2: dims do not broadcast (T vs 8)");
}

TEST_F(OpShape, Unary_C1_OperandMustBeF32) {
  EXPECT_EQ(TypeOf(Exp(F32("x", {T, 3}))), "f32[T,3]");
  EXPECT_EQ(TypeOf(Sqrt(F32("y", {T, 3}))), "f32[T,3]");
  Silu(I32("ids", {T}), kAt);
  ExpectError("silu(ids i32[T]): C1: operand 0 is i32, not f32");
}

TEST_F(OpShape, Scale_C1_OperandMustBeF32) {
  EXPECT_EQ(TypeOf(Scale(F32("x", {T, 3}), 2)), "f32[T,3]");
  Scale(I32("ids", {T}), 2, kAt);
  ExpectError("scale(ids i32[T]): C1: operand 0 is i32, not f32");
}

TEST_F(OpShape, MatMul_Types) {
  EXPECT_EQ(TypeOf(MatMul(F32("a", {T, 3}), F32("b", {3, 5}))), "f32[T,5]");
  EXPECT_EQ(TypeOf(MatMul(F32("c", {T, 1, 2, 3}), F32("d", {4, 3, T}))),
            "f32[T,4,2,T]");
}

TEST_F(OpShape, MatMul_C1_OperandsMustBeF32) {
  MatMul(F32("a", {T, 32}), In("w", DType::kQ8_0, {32, 32}), kAt);
  ExpectError(
      "matmul(a f32[T,32], w q8_0[32,32]): C1: operand 1 is q8_0, not f32");
}

TEST_F(OpShape, MatMul_C2_InnerDimsMustMatch) {
  MatMul(F32("a", {T, 4}), F32("b", {5, 6}), kAt);
  ExpectError("matmul(a f32[T,4], b f32[5,6]): C2: inner dims differ (4 vs 5)");
}

TEST_F(OpShape, MatMul_C3_OperandsMustBeMatrices) {
  MatMul(F32("a", {T, 4}), F32("b", {4}), kAt);
  ExpectError(
      "matmul(a f32[T,4], b f32[4]): C3: operand 1 has rank 1, below 2");
}

TEST_F(OpShape, MatMul_C4_BatchesMustBroadcast) {
  MatMul(F32("a", {2, 3, 4}), F32("b", {3, 4, 5}), kAt);
  ExpectError(
      "matmul(a f32[2,3,4], b f32[3,4,5]): C4: dims do not broadcast (2 vs 3)");
}

TEST_F(OpShape, Transpose_C1_ElementsMustBeMovable) {
  EXPECT_EQ(TypeOf(Transpose(In("x", DType::kF16, {2, T, 3}))), "f16[2,3,T]");
  Transpose(In("w", DType::kQ4_0, {32, 64}), kAt);
  ExpectError(
      "transpose(w q4_0[32,64]): C1: operand 0 is q4_0, whose elements cannot "
      "be moved one by one");
}

TEST_F(OpShape, Transpose_C2_OperandMustBeAMatrix) {
  Transpose(F32("x", {T}), kAt);
  ExpectError("transpose(x f32[T]): C2: operand 0 has rank 1, below 2");
}

TEST_F(OpShape, Dequant_C1_FormatMustHaveADecoder) {
  EXPECT_EQ(TypeOf(Dequant(In("w", DType::kQ4_0, {3, 64}))), "f32[3,64]");
  Dequant(I32("ids", {T}), kAt);
  ExpectError("dequant(ids i32[T]): C1: no decoder for i32");
}

TEST_F(OpShape, Quantize_C1_OperandMustBeF32) {
  // Rows may end inside a block of 256.
  EXPECT_EQ(TypeOf(Quantize(F32("x", {T, 3}), 256)), "q8_a[T,3]");
  EXPECT_EQ(TypeOf(Quantize(F32("x32", {T, 3}), 32)), "q8_a32[T,3]");
  EXPECT_EQ(TypeOf(Dequant(Quantize(F32("y", {T, 3}), 32))), "f32[T,3]");
  Quantize(I32("ids", {T}), 256, kAt);
  ExpectError("quantize(ids i32[T]): C1: operand 0 is i32, not f32");
}

TEST_F(OpShape, Quantize_C2_OperandMustHaveADimension) {
  Quantize(F32("x", kScalar), 256, kAt);
  ExpectError("quantize(x f32[]): C2: operand 0 has rank 0, below 1");
}

TEST_F(OpShape, Quantize_C3_AScaleIsFor256Or32Or1) {
  Quantize(F32("x", {T, 64}), 64, kAt);
  ExpectError("quantize(x f32[T,64]): C3: per_scale is 64, not 256, 32 or 1");
}

TEST_F(OpShape, Norm_C1_OperandMustBeF32) {
  EXPECT_EQ(TypeOf(RmsNorm(F32("x", {T, 3}), 0)), "f32[T,3]");
  RmsNorm(I32("ids", {T}), 1e-5, kAt);
  ExpectError("rms_norm(ids i32[T]): C1: operand 0 is i32, not f32");
}

TEST_F(OpShape, Norm_C2_OperandMustHaveADimension) {
  LayerNorm(F32("x", kScalar), 1e-5, kAt);
  ExpectError("layer_norm(x f32[]): C2: operand 0 has rank 0, below 1");
}

TEST_F(OpShape, Norm_C3_EpsMustNotBeNegative) {
  RmsNorm(F32("x", {T, 3}), -1, kAt);
  ExpectError("rms_norm(x f32[T,3]): C3: eps is -1, below 0");
}

TEST_F(OpShape, Softmax_C1_OperandMustBeF32) {
  EXPECT_EQ(TypeOf(Softmax(F32("x", {T, 3}))), "f32[T,3]");
  Softmax(I32("ids", {T}), {}, kAt);
  ExpectError("softmax(ids i32[T]): C1: operand 0 is i32, not f32");
}

TEST_F(OpShape, Softmax_C3_SinksMustBeOneForEachRow) {
  EXPECT_EQ(TypeOf(Softmax(F32("x", {T, 4, 1, 9}), F32("s", {4, 1, 1}))),
            "f32[T,4,1,9]");
  Softmax(F32("y", {T, 4, 1, 9}), F32("t", {9}), kAt);
  ExpectError(
      "softmax(y f32[T,4,1,9], t f32[9]): C3: sinks of shape [9] are not one "
      "for each row of [T,4,1,9]");
}

TEST_F(OpShape, Softmax_C2_OperandMustHaveADimension) {
  Softmax(F32("x", kScalar), {}, kAt);
  ExpectError("softmax(x f32[]): C2: operand 0 has rank 0, below 1");
}

TEST_F(OpShape, Mask_Types) {
  const Value pos = I32("pos", {T});
  EXPECT_EQ(TypeOf(Mask(F32("x", {T, 3, 1, 9}), pos, {})), "f32[T,3,1,9]");
  EXPECT_EQ(TypeOf(Mask(F32("y", {3, T, 9}), pos, {.query_axis = -2})),
            "f32[3,T,9]");
}

TEST_F(OpShape, Mask_C1_ScoresMustBeF32) {
  Mask(I32("x", {T, 9}), I32("pos", {T}), {}, kAt);
  ExpectError("mask(x i32[T,9], pos i32[T]): C1: operand 0 is i32, not f32");
}

TEST_F(OpShape, Mask_C2_PositionsMustBeAnI32Vector) {
  Mask(F32("x", {T, 9}), I32("pos", {T, 1}), {}, kAt);
  ExpectError(
      "mask(x f32[T,9], pos i32[T,1]): C2: operand 1 has rank 2, not 1");
}

TEST_F(OpShape, Mask_C3_QueriesMustHaveAnAxisOfTheirOwn) {
  Mask(F32("x", {9, T}), I32("pos", {T}), {.query_axis = 1}, kAt);
  ExpectError(
      "mask(x f32[9,T], pos i32[T]): C3: query axis 1 of a tensor of rank 2, "
      "whose last axis counts keys");
}

TEST_F(OpShape, Mask_C4_EveryQueryMustHaveAPosition) {
  Mask(F32("x", {3, T, 9}), I32("pos", {T}), {}, kAt);
  ExpectError("mask(x f32[3,T,9], pos i32[T]): C4: 3 queries, T positions");
}

TEST_F(OpShape, Mask_C5_WindowMustNotBeNegative) {
  Mask(F32("x", {T, 9}), I32("pos", {T}), {.window = -1}, kAt);
  ExpectError("mask(x f32[T,9], pos i32[T]): C5: window is -1, below 0");
}

TEST_F(OpShape, Alibi_C1_ScoresMustBeF32) {
  EXPECT_EQ(TypeOf(Alibi(F32("x", {T, 4, 1, 9}), I32("p", {T}), 8)),
            "f32[T,4,1,9]");
  EXPECT_EQ(TypeOf(Alibi(F32("y", {4, T, 9}), I32("q", {T}), 8, 1)),
            "f32[4,T,9]");
  Alibi(I32("s", {T, 4, 1, 9}), I32("pos", {T}), 8, 0, kAt);
  ExpectError(
      "alibi(s i32[T,4,1,9], pos i32[T]): C1: operand 0 is i32, not f32");
}

TEST_F(OpShape, Alibi_C2_PositionsMustBeI32) {
  Alibi(F32("s", {T, 4, 1, 9}), F32("pos", {T}), 8, 0, kAt);
  ExpectError(
      "alibi(s f32[T,4,1,9], pos f32[T]): C2: operand 1 is f32, not i32");
}

TEST_F(OpShape, Alibi_C2_PositionsMustBeAVector) {
  Alibi(F32("s", {T, 4, 1, 9}), I32("pos", {T, 1}), 8, 0, kAt);
  ExpectError(
      "alibi(s f32[T,4,1,9], pos i32[T,1]): C2: operand 1 has rank 2, not 1");
}

TEST_F(OpShape, Alibi_C3_QueriesMustHaveAnAxisOfTheirOwn) {
  Alibi(F32("s", {T, 4, 9}), I32("pos", {T}), 8, 0, kAt);
  ExpectError(
      "alibi(s f32[T,4,9], pos i32[T]): C3: query axis 0 of a tensor of rank "
      "3; wanted [T, H, 1, K] or [H, T, K]");
}

TEST_F(OpShape, Alibi_C4_EveryQueryMustHaveAPosition) {
  Alibi(F32("s", {4, T, 9}), I32("pos", {5}), 8, 1, kAt);
  ExpectError("alibi(s f32[4,T,9], pos i32[5]): C4: T queries, 5 positions");
}

TEST_F(OpShape, Alibi_C5_MaxBiasMustBeAboveZero) {
  Alibi(F32("s", {4, T, 9}), I32("pos", {T}), 0, 1, kAt);
  ExpectError(
      "alibi(s f32[4,T,9], pos i32[T]): C5: max_bias is 0, not above 0");
}

TEST_F(OpShape, RopeTable_Types) {
  const Value pos = I32("pos", {T});
  EXPECT_EQ(TypeOf(RopeTable(pos, {.n_dims = 64})), "f32[T,32,2]");
  EXPECT_EQ(TypeOf(RopeTable(pos, {.n_dims = 6}, F32("f", {3}))), "f32[T,3,2]");
}

TEST_F(OpShape, RopeTable_C1_PositionsMustBeAnI32Vector) {
  RopeTable(F32("pos", {T}), {.n_dims = 64}, {}, kAt);
  ExpectError("rope_table(pos f32[T]): C1: operand 0 is f32, not i32");
}

TEST_F(OpShape, RopeTable_C2_DimsMustBePairs) {
  RopeTable(I32("pos", {T}), {.n_dims = 5}, {}, kAt);
  ExpectError("rope_table(pos i32[T]): C2: n_dims is 5, not positive and even");
}

TEST_F(OpShape, RopeTable_C3_EveryPairMustHaveAFactor) {
  RopeTable(I32("pos", {T}), {.n_dims = 8}, F32("f", {3}), kAt);
  ExpectError(
      "rope_table(pos i32[T], f f32[3]): C3: factors have shape [3], not [4]");
}

TEST_F(OpShape, RopeTable_C4_FrequenciesMustBePositive) {
  RopeTable(I32("pos", {T}), {.n_dims = 8, .freq_base = 0}, {}, kAt);
  ExpectError(
      "rope_table(pos i32[T]): C4: freq_base is 0 and freq_scale 1, not above "
      "0");
}

TEST_F(OpShape, RopeTable_C5_YarnMustKnowItsContext) {
  RopeTable(I32("pos", {T}), {.n_dims = 8, .ext_factor = 1}, {}, kAt);
  ExpectError(
      "rope_table(pos i32[T]): C5: YaRN wants original_context > 0 and "
      "freq_base > 1, they are 0 and 10000");
}

TEST_F(OpShape, RopeTable_C5_YarnsBetasMustBeOrdered) {
  RopeTable(I32("pos", {T}),
            {.n_dims = 8,
             .ext_factor = 1,
             .beta_fast = 1,
             .beta_slow = 32,
             .original_context = 64},
            {}, kAt);
  ExpectError(
      "rope_table(pos i32[T]): C5: YaRN wants beta_fast >= beta_slow > 0, they "
      "are 1 and 32");
}

TEST_F(OpShape, Rotate_C1_OperandsMustBeF32) {
  const Value table = F32("table", {T, 4, 2});
  EXPECT_EQ(TypeOf(Rotate(F32("x", {T, 3, 10}), table, true)), "f32[T,3,10]");
  Rotate(In("h", DType::kF16, {T, 3, 8}), table, true, kAt);
  ExpectError(
      "rotate(h f16[T,3,8], table f32[T,4,2]): C1: operand 0 is f16, not f32");
}

TEST_F(OpShape, Rotate_C2_OperandMustBeHeads) {
  Rotate(F32("x", {T, 24}), F32("table", {T, 4, 2}), true, kAt);
  ExpectError(
      "rotate(x f32[T,24], table f32[T,4,2]): C2: operand 0 has rank 2, not 3");
}

TEST_F(OpShape, Rotate_C2_TableMustHoldPairs) {
  Rotate(F32("x", {T, 3, 8}), F32("table", {T, 2, 4}), true, kAt);
  ExpectError(
      "rotate(x f32[T,3,8], table f32[T,2,4]): C2: the table's last dim is 4, "
      "not 2");
}

TEST_F(OpShape, Rotate_C3_TokensMustMatch) {
  Rotate(F32("x", {T, 3, 8}), F32("table", {5, 4, 2}), true, kAt);
  ExpectError(
      "rotate(x f32[T,3,8], table f32[5,4,2]): C3: T tokens, 5 in the table");
}

TEST_F(OpShape, Rotate_C4_HeadsMustHoldTheRotatedDims) {
  Rotate(F32("x", {T, 3, 8}), F32("table", {T, 5, 2}), true, kAt);
  ExpectError(
      "rotate(x f32[T,3,8], table f32[T,5,2]): C4: the table rotates 2 * 5 "
      "dimensions, heads have 8");
}

// ---- Experts ----

TEST_F(OpShape, Route_Types) {
  const Routing r = Route(F32("x", {T, 8}), {.used = 2}, F32("b", {8}));
  EXPECT_EQ(TypeOf(r.ids), "i32[T,2]");
  EXPECT_EQ(TypeOf(r.weights), "f32[T,2]");
}

TEST_F(OpShape, Route_C1_LogitsMustBeF32OfRank2) {
  Route(F32("x", {T, 8, 1}), {}, {}, kAt);
  ExpectError("route(x f32[T,8,1]): C1: operand 0 has rank 3, not 2");
}

TEST_F(OpShape, Route_C2_NoMoreThanThereAre) {
  Route(F32("x", {T, 8}), {.used = 9}, {}, kAt);
  ExpectError("route(x f32[T,8]): C2: 9 of 8 experts");
}

TEST_F(OpShape, Route_C3_TheBiasIsOneForEachExpert) {
  Route(F32("x", {T, 8}), {}, F32("b", {7}), kAt);
  ExpectError(
      "route(x f32[T,8], b f32[7]): C3: the bias has shape [7], not [8]");
}

TEST_F(OpShape, Route_C4_GroupsMustHoldThem) {
  Route(F32("x", {T, 8}), {.used = 3, .groups = 4, .groups_used = 1}, {}, kAt);
  ExpectError("route(x f32[T,8]): C4: 3 experts from 1 of 4 groups of 8");
}

TEST_F(OpShape, MatmulById_Types) {
  const Value w = F32("w", {4, 6, 32}), ids = I32("ids", {T, 2});
  EXPECT_EQ(TypeOf(MatMulById(F32("x", {T, 32}), w, ids)), "f32[T,2,6]");
  EXPECT_EQ(TypeOf(MatMulById(F32("y", {T, 2, 32}), w, ids)), "f32[T,2,6]");
  EXPECT_EQ(TypeOf(MatMulById(F32("z", {T, 4, 32}), w)), "f32[T,4,6]");
}

TEST_F(OpShape, MatmulById_C1_IdsMustBeIntegers) {
  MatMulById(F32("x", {T, 32}), F32("w", {4, 6, 32}), F32("ids", {T, 2}), {},
             kAt);
  ExpectError(
      "matmul_by_id(x f32[T,32], w f32[4,6,32], ids f32[T,2]): C1: wanted f32 "
      "operands and i32 ids");
}

TEST_F(OpShape, MatmulById_C2_WeightsAreMatricesInARow) {
  MatMulById(F32("x", {T, 32}), F32("w", {6, 32}), I32("ids", {T, 2}), {}, kAt);
  ExpectError(
      "matmul_by_id(x f32[T,32], w f32[6,32], ids i32[T,2]): C2: x [T,32] and "
      "w [6,32] are no [T, J, K] and [E, N, K]");
}

TEST_F(OpShape, MatmulById_C3_InnerDimsMustBeEqual) {
  MatMulById(F32("x", {T, 64}), F32("w", {4, 6, 32}), I32("ids", {T, 2}), {},
             kAt);
  ExpectError(
      "matmul_by_id(x f32[T,64], w f32[4,6,32], ids i32[T,2]): C3: inner dims "
      "differ (64 vs 32)");
}

TEST_F(OpShape, MatmulById_C4_OneRowForEachPick) {
  MatMulById(F32("x", {T, 3, 32}), F32("w", {4, 6, 32}), I32("ids", {T, 2}), {},
             kAt);
  ExpectError(
      "matmul_by_id(x f32[T,3,32], w f32[4,6,32], ids i32[T,2]): C4: x has 3 "
      "rows a token, wanted 2");
}

TEST_F(OpShape, MatmulById_C5_TheBiasHasARowForEachMatrix) {
  MatMulById(F32("x", {T, 32}), F32("w", {4, 6, 32}), I32("ids", {T, 2}),
             F32("b", {6}), kAt);
  ExpectError(
      "matmul_by_id(x f32[T,32], w f32[4,6,32], ids i32[T,2], b f32[6]): C5: "
      "the bias is no [E, N]");
}

TEST_F(OpShape, ClampedSwiglu_C1_OperandsMustBeF32) {
  EXPECT_EQ(TypeOf(ClampedSwiGlu(F32("a", {T, 3}), F32("b", {T, 3}), 7)),
            "f32[T,3]");
  ClampedSwiGlu(F32("x", {T}), I32("y", {T}), 7, kAt);
  ExpectError(
      "clamped_swiglu(x f32[T], y i32[T]): C1: operand 1 is i32, not f32");
}

TEST_F(OpShape, ClampedSwiglu_C2_OfOneShape) {
  ClampedSwiGlu(F32("x", {T}), F32("y", {1}), 7, kAt);
  ExpectError(
      "clamped_swiglu(x f32[T], y f32[1]): C2: gate and up have shapes [T] "
      "and [1]");
}

TEST_F(OpShape, ClampedSwiglu_C3_TheLimitIsAboveZero) {
  ClampedSwiGlu(F32("x", {T}), F32("y", {T}), 0, kAt);
  ExpectError(
      "clamped_swiglu(x f32[T], y f32[T]): C3: the limit is 0, not above 0");
}

}  // namespace
}  // namespace weft::inline v0
