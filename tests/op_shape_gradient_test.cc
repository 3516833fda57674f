// Shape rules of the ops of training, as in op_shape_test.cc.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/gradient_ops.h"
#include "ops/ops.h"
#include "tests/op_shape.h"

namespace weft::inline v0 {
namespace {

TEST(OpShapeTests, CoverEveryConstraint) {
  for (const OpDef* op : AllOps())
    if (op->infer != nullptr && IsOfTraining(*op)) ExpectCovered(*op);
}

TEST_F(OpShape, ActivationGradient_C1_OperandsMustBeF32) {
  EXPECT_EQ(
      TypeOf(ActivationGradient(F32("a", {T, 3}), F32("b", {T, 3}), "silu")),
      "f32[T,3]");
  ActivationGradient(F32("x", {T}), I32("g", {T}), "silu", kAt);
  ExpectError(
      "activation_gradient(x f32[T], g i32[T]): C1: operand 1 is i32, not f32");
}

TEST_F(OpShape, ActivationGradient_C2_OfOneShape) {
  ActivationGradient(F32("x", {T, 3}), F32("g", {3}), "silu", kAt);
  ExpectError(
      "activation_gradient(x f32[T,3], g f32[3]): C2: the operands' shapes are "
      "[T,3] and [3]");
}

TEST_F(OpShape, ActivationGradient_C4_TheActivationMustExist) {
  ActivationGradient(F32("x", {T}), F32("g", {T}), "exp", kAt);
  ExpectError(
      "activation_gradient(x f32[T], g f32[T]): C4: no activation is named "
      "exp");
}

TEST_F(OpShape, NormGradient_C1_OperandsMustBeF32) {
  EXPECT_EQ(
      TypeOf(NormGradient(F32("a", {T, 3}), F32("b", {T, 3}), 1e-5, true)),
      "f32[T,3]");
  NormGradient(I32("x", {T}), F32("g", {T}), 1e-5, false, kAt);
  ExpectError(
      "norm_gradient(x i32[T], g f32[T]): C1: operand 0 is i32, not f32");
}

TEST_F(OpShape, NormGradient_C2_OfOneShape) {
  NormGradient(F32("x", {T, 3}), F32("g", {T, 1}), 1e-5, false, kAt);
  ExpectError(
      "norm_gradient(x f32[T,3], g f32[T,1]): C2: the operands' shapes are "
      "[T,3] and [T,1]");
}

TEST_F(OpShape, NormGradient_C3_OperandsMustHaveADimension) {
  NormGradient(F32("x", kScalar), F32("g", kScalar), 1e-5, false, kAt);
  ExpectError(
      "norm_gradient(x f32[], g f32[]): C3: operand 0 has rank 0, below 1");
}

TEST_F(OpShape, SoftmaxGradient_C1_OperandsMustBeF32) {
  EXPECT_EQ(TypeOf(SoftmaxGradient(F32("a", {T, 3}), F32("b", {T, 3}))),
            "f32[T,3]");
  SoftmaxGradient(F32("y", {T}), I32("g", {T}), kAt);
  ExpectError(
      "softmax_gradient(y f32[T], g i32[T]): C1: operand 1 is i32, not f32");
}

TEST_F(OpShape, SoftmaxGradient_C2_OfOneShape) {
  SoftmaxGradient(F32("y", {T, 3}), F32("g", {8, 3}), kAt);
  ExpectError(
      "softmax_gradient(y f32[T,3], g f32[8,3]): C2: the operands' shapes are "
      "[T,3] and [8,3]");
}

TEST_F(OpShape, SoftmaxGradient_C3_OperandsMustHaveADimension) {
  SoftmaxGradient(F32("y", kScalar), F32("g", kScalar), kAt);
  ExpectError(
      "softmax_gradient(y f32[], g f32[]): C3: operand 0 has rank 0, below 1");
}

TEST_F(OpShape, CrossEntropy_C1_LogitsMustBeF32) {
  EXPECT_EQ(TypeOf(CrossEntropy(F32("a", {2, T, 9}), I32("b", {2, T}))),
            "f32[1]");
  CrossEntropy(I32("x", {T, 9}), I32("t", {T}), kAt);
  ExpectError(
      "cross_entropy(x i32[T,9], t i32[T]): C1: operand 0 is i32, not f32");
}

TEST_F(OpShape, CrossEntropy_C1_LogitsMustBeAMatrix) {
  CrossEntropy(F32("x", {9}), I32("t", {1}), kAt);
  ExpectError(
      "cross_entropy(x f32[9], t i32[1]): C1: operand 0 has rank 1, below 2");
}

TEST_F(OpShape, CrossEntropy_C2_TargetsMustBeI32) {
  CrossEntropy(F32("x", {T, 9}), F32("t", {T}), kAt);
  ExpectError(
      "cross_entropy(x f32[T,9], t f32[T]): C2: operand 1 is f32, not i32");
}

TEST_F(OpShape, CrossEntropy_C2_EachRowMustHaveATarget) {
  CrossEntropy(F32("x", {2, T, 9}), I32("t", {T}), kAt);
  ExpectError(
      "cross_entropy(x f32[2,T,9], t i32[T]): C2: targets have shape [T], the "
      "rows of logits [2,T]");
}

TEST_F(OpShape, CrossEntropyGradient_C1_LogitsMustBeAMatrix) {
  EXPECT_EQ(TypeOf(CrossEntropyGradient(F32("a", {T, 9}), I32("b", {T}),
                                        F32("c", {1}))),
            "f32[T,9]");
  CrossEntropyGradient(F32("x", {9}), I32("t", {1}), F32("g", {1}), kAt);
  ExpectError(
      "cross_entropy_gradient(x f32[9], t i32[1], g f32[1]): C1: operand 0 has "
      "rank 1, below 2");
}

TEST_F(OpShape, CrossEntropyGradient_C2_EachRowMustHaveATarget) {
  CrossEntropyGradient(F32("x", {T, 9}), I32("t", {9}), F32("g", {1}), kAt);
  ExpectError(
      "cross_entropy_gradient(x f32[T,9], t i32[9], g f32[1]): C2: targets "
      "have shape [9], the rows of logits [T]");
}

TEST_F(OpShape, CrossEntropyGradient_C3_GMustBeF32) {
  CrossEntropyGradient(F32("x", {T, 9}), I32("t", {T}), I32("g", {1}), kAt);
  ExpectError(
      "cross_entropy_gradient(x f32[T,9], t i32[T], g i32[1]): C3: operand 2 "
      "is i32, not f32");
}

TEST_F(OpShape, CrossEntropyGradient_C3_GMustBeOneValue) {
  CrossEntropyGradient(F32("x", {T, 9}), I32("t", {T}), F32("g", {T}), kAt);
  ExpectError(
      "cross_entropy_gradient(x f32[T,9], t i32[T], g f32[T]): C3: g has shape "
      "[T], not [1]");
}

TEST_F(OpShape, ScatterRows_C1_RowsMustBeF32) {
  EXPECT_EQ(TypeOf(ScatterRows(F32("a", {T, 3}), I32("b", {T}), 7)),
            "f32[7,3]");
  ScatterRows(In("x", DType::kF16, {T, 3}), I32("ids", {T}), 7, kAt);
  ExpectError(
      "scatter_rows(x f16[T,3], ids i32[T]): C1: operand 0 is f16, not f32");
}

TEST_F(OpShape, ScatterRows_C1_ThereMustBeRows) {
  ScatterRows(F32("x", kScalar), I32("ids", {T}), 7, kAt);
  ExpectError(
      "scatter_rows(x f32[], ids i32[T]): C1: operand 0 has rank 0, below 1");
}

TEST_F(OpShape, ScatterRows_C2_IdsMustBeI32) {
  ScatterRows(F32("x", {T, 3}), F32("ids", {T}), 7, kAt);
  ExpectError(
      "scatter_rows(x f32[T,3], ids f32[T]): C2: operand 1 is f32, not i32");
}

TEST_F(OpShape, ScatterRows_C2_EachRowMustHaveAnId) {
  ScatterRows(F32("x", {T, 3}), I32("ids", {8}), 7, kAt);
  ExpectError(
      "scatter_rows(x f32[T,3], ids i32[8]): C2: ids have shape [8], not [T]");
}

TEST_F(OpShape, ScatterRows_C3_TheResultMustHaveRows) {
  ScatterRows(F32("x", {T, 3}), I32("ids", {T}), 0, kAt);
  ExpectError("scatter_rows(x f32[T,3], ids i32[T]): C3: [0] rows");
}

TEST_F(OpShape, Pad_C1_ElementsMustBeMovable) {
  EXPECT_EQ(TypeOf(Pad(I32("a", {T, 4}), -1, 2, 3)), "i32[T,9]");
  Pad(In("w", DType::kQ8_0, {2, 32}), 0, 1, 0, kAt);
  ExpectError(
      "pad(w q8_0[2,32]): C1: operand 0 is q8_0, whose elements cannot be "
      "moved one by one");
}

TEST_F(OpShape, Pad_C2_TheAxisMustExist) {
  Pad(F32("x", {T, 4}), 2, 1, 0, kAt);
  ExpectError("pad(x f32[T,4]): C2: axis 2 of a tensor of rank 2");
}

TEST_F(OpShape, Pad_C3_TheDimMustBeAConstant) {
  Pad(F32("x", {T, 4}), 0, 1, 0, kAt);
  ExpectError("pad(x f32[T,4]): C3: dim T is no constant");
}

TEST_F(OpShape, Pad_C4_ZerosBeforeMustNotBeNegative) {
  Pad(F32("x", {T, 4}), 1, -1, 2, kAt);
  ExpectError("pad(x f32[T,4]): C4: -1 and 2 zeros");
}

TEST_F(OpShape, Pad_C4_ZerosAfterMustNotBeNegative) {
  Pad(F32("x", {T, 4}), 1, 2, -1, kAt);
  ExpectError("pad(x f32[T,4]): C4: 2 and -1 zeros");
}

TEST_F(OpShape, SumTo_C1_OperandMustBeF32) {
  EXPECT_EQ(TypeOf(SumTo(F32("a", {2, T, 3}), {T, 1})), "f32[T,1]");
  SumTo(I32("x", {T, 3}), {3}, kAt);
  ExpectError("sum_to(x i32[T,3]): C1: operand 0 is i32, not f32");
}

TEST_F(OpShape, SumTo_C2_TheShapeMustBroadcast) {
  SumTo(F32("x", {T, 3}), {8, 3}, kAt);
  ExpectError(
      "sum_to(x f32[T,3]): C2: shape [8,3] does not broadcast to [T,3]");
}

TEST_F(OpShape, SumTo_C2_TheRankMustNotGrow) {
  SumTo(F32("x", {3}), {1, 3}, kAt);
  ExpectError("sum_to(x f32[3]): C2: shape [1,3] does not broadcast to [3]");
}

TEST_F(OpShape, Assign_C1_OperandsMustBeF32) {
  EXPECT_EQ(
      TypeOf(Assign(graph_.State("a", DType::kF32, {1, 3}), F32("b", {1, 3}))),
      "f32[1,3]");
  Assign(graph_.State("s", DType::kF32, {1, 3}), I32("x", {1, 3}), kAt);
  ExpectError("assign(s f32[1,3], x i32[1,3]): C1: operand 1 is i32, not f32");
}

TEST_F(OpShape, Assign_C2_OfOneShape) {
  Assign(graph_.State("s", DType::kF32, {1, 3}), F32("x", {3}), kAt);
  ExpectError(
      "assign(s f32[1,3], x f32[3]): C2: a state of shape [1,3], x of [3]");
}

TEST_F(OpShape, Checkpoint_C1_BlocksMustHoldOneValue) {
  EXPECT_EQ(TypeOf(Checkpoint(F32("x", {T, 3}))), "f32[T,3]");
  Checkpoint(In("w", DType::kQ8_0, {2, 32}), kAt);
  ExpectError(
      "checkpoint(w q8_0[2,32]): C1: operand 0 is q8_0, whose blocks hold more "
      "than one value");
}

TEST_F(OpShape, RouteGradient_C1_TypesOfOperands) {
  EXPECT_EQ(TypeOf(RouteGradient(F32("a", {T, 8}), I32("b", {T, 2}),
                                 F32("c", {T, 2}), {})),
            "f32[T,8]");
  RouteGradient(F32("x", {T, 8}), F32("ids", {T, 2}), F32("g", {T, 2}), {},
                kAt);
  ExpectError(
      "route_gradient(x f32[T,8], ids f32[T,2], g f32[T,2]): C1: operand 1 is "
      "f32, not i32");
}

TEST_F(OpShape, RouteGradient_C2_ShapesOfOperands) {
  RouteGradient(F32("x", {T, 8}), I32("ids", {T, 2}), F32("g", {T, 3}), {},
                kAt);
  ExpectError(
      "route_gradient(x f32[T,8], ids i32[T,2], g f32[T,3]): C2: logits [T,8], "
      "ids [T,2] and g [T,3]");
}

TEST_F(OpShape, OuterById_C1_TypesOfOperands) {
  EXPECT_EQ(TypeOf(OuterById(F32("a", {T, 2, 8}), F32("b", {T, 5}),
                             I32("c", {T, 2}), Dim(4))),
            "f32[4,8,5]");
  OuterById(F32("g", {T, 2, 8}), I32("x", {T, 5}), I32("ids", {T, 2}), Dim(4),
            kAt);
  ExpectError(
      "outer_by_id(g f32[T,2,8], x i32[T,5], ids i32[T,2]): C1: operand 1 is "
      "i32, not f32");
}

TEST_F(OpShape, OuterById_C2_ShapesOfOperands) {
  OuterById(F32("g", {T, 2, 8}), F32("x", {T, 3, 5}), I32("ids", {T, 2}),
            Dim(4), kAt);
  ExpectError(
      "outer_by_id(g f32[T,2,8], x f32[T,3,5], ids i32[T,2]): C2: g [T,2,8], x "
      "[T,3,5] and ids [T,2]");
}

class RecurrentGradientShape : public OpShape {
 protected:
  Step AStep() { return {I32("pos", {T}), I32("slot", {T})}; }
  ScanInputs Scan() {
    return {F32("x", {T, 8}), F32("delta", {T, 8}), F32("a", {8, 4}),
            F32("b", {T, 4}), F32("c", {T, 4})};
  }
};

TEST_F(RecurrentGradientShape, CausalConvGradient_C1_Ranks) {
  const Values of = CausalConvGradient(F32("x1", {T, 8}), F32("w1", {8, 4}),
                                       F32("g1", {T, 8}), AStep());
  EXPECT_EQ(TypeOf(of[0]), "f32[T,8]");
  EXPECT_EQ(TypeOf(of[1]), "f32[8,4]");
  CausalConvGradient(F32("x", {T, 8}), F32("w", {8}), F32("g", {T, 8}), AStep(),
                     kAt);
  EXPECT_THAT(graph_.status().message(),
              ::testing::HasSubstr("): C1: operand 1 has rank 1, not 2"));
}

TEST_F(RecurrentGradientShape, CausalConvGradient_C2_Types) {
  CausalConvGradient(F32("x", {T, 8}), F32("w", {8, 4}), F32("g", {T, 7}),
                     AStep(), kAt);
  EXPECT_THAT(
      graph_.status().message(),
      ::testing::HasSubstr("): C2: operand 2 has shape [T,7], not [T,8]"));
}

TEST_F(RecurrentGradientShape, SelectiveScanGradient_C1_Ranks) {
  ScanInputs in = Scan();
  const Values of = SelectiveScanGradient(in, F32("g1", {T, 8}), AStep());
  EXPECT_EQ(TypeOf(of[2]), "f32[8,4]");
  EXPECT_EQ(TypeOf(of[4]), "f32[T,4]");
  in.a = F32("flat", {8});
  SelectiveScanGradient(in, F32("g", {T, 8}), AStep(), kAt);
  EXPECT_THAT(graph_.status().message(),
              ::testing::HasSubstr("): C1: operand 2 has rank 1, not 2"));
}

TEST_F(RecurrentGradientShape, SelectiveScanGradient_C2_Types) {
  SelectiveScanGradient(Scan(), F32("g", {T, 8}),
                        {F32("pos", {T}), I32("slot", {T})}, kAt);
  EXPECT_THAT(graph_.status().message(),
              ::testing::HasSubstr("): C2: operand 7 is f32, not i32"));
}

class AdamWShape : public OpShape {
 protected:
  AdamWStep Step() {
    AdamWStep s;
    s.p = F32("p", {1, 3});
    s.m = F32("m", {1, 3});
    s.v = F32("v", {1, 3});
    s.g = F32("g", {1, 3});
    s.rate = F32("rate", {1});
    s.factor = F32("factor", {1});
    s.step = F32("step", {1});
    s.apply = F32("apply", {1});
    return s;
  }
};

TEST_F(AdamWShape, Adamw_C1_OperandsMustBeF32) {
  AdamWStep s = Step();
  EXPECT_EQ(TypeOf(AdamW(s, {})[2]), "f32[1,3]");
  s.g = I32("ids", {1, 3});
  AdamW(s, {}, kAt);
  EXPECT_THAT(graph_.status().message(),
              ::testing::HasSubstr("): C1: operand 3 is i32, not f32"));
}

TEST_F(AdamWShape, Adamw_C2_OfOneShape) {
  AdamWStep s = Step();
  s.v = F32("w", {3});
  AdamW(s, {}, kAt);
  EXPECT_THAT(graph_.status().message(),
              ::testing::HasSubstr("): C2: operand 2 has shape [3], p [1,3]"));
}

TEST_F(AdamWShape, Adamw_C3_NumbersAreOne) {
  AdamWStep s = Step();
  s.apply = F32("w", {3});
  AdamW(s, {}, kAt);
  EXPECT_THAT(graph_.status().message(),
              ::testing::HasSubstr("): C3: operand 7 has shape [3], not [1]"));
}

}  // namespace
}  // namespace weft::inline v0
