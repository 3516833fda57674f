// The rules that take weights in: what each makes of its chain, and what it
// must leave alone. Tests are named Rule_What; norm_rules_test.cc and the tests
// of attention have the other rules.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rules.h"

namespace weft::inline v0 {
namespace {

using ::testing::HasSubstr;

TEST(FusionRules, ThoseOfWeightsHaveTestsOfBothKinds) {
  for (const Rule& rule : FusionRules())
    if (TakesWeights(rule)) ExpectTested(rule);
}

class LinearRules : public RulesTest {
 protected:
  // x w^T, f32[T,6].
  Value Product() {
    const Value x = In("x", {T, 8});
    return Linear(x, Weight("w", {6, 8}));
  }
};

// ---- dequant_matmul ----

std::vector<DType> StoredTypes() {
  std::vector<DType> types;
  for (const DTypeInfo& info : AllDTypes())
    if (info.decode != nullptr && info.type != DType::kF32)
      types.push_back(info.type);
  return types;
}

class StoredTypeTest : public LinearRules,
                       public ::testing::WithParamInterface<DType> {};

TEST_P(StoredTypeTest, DequantMatmul_Fuses) {
  const Value x = In("x", {T, 256});
  Output(Linear(x, Weight("w", {96, 256}, GetParam())));
  EXPECT_EQ(Text(),
            "%2: f32[96,256] = dequant(w)\n"
            "%3: f32[256,96] = transpose(%2)\n"
            "%4: f32[T,96] = matmul(x, %3)\n"
            "output y0 = %4\n");
  EXPECT_EQ(Fuse(),
            "%5: f32[T,96] = qmatmul(x, w)\n"
            "output y0 = %5\n");
  EXPECT_EQ(report_.Count("dequant_matmul"), 1);
  EXPECT_EQ(Reason("dequant_matmul"), "");
}

TEST_P(StoredTypeTest, DequantGather_Fuses) {
  const Value ids = graph_.Input("ids", DType::kI32, {T});
  Output(GatherRows(Dequant(Weight("w", {96, 256}, GetParam())), ids));
  EXPECT_EQ(Text(),
            "%2: f32[96,256] = dequant(w)\n"
            "%3: f32[T,256] = gather_rows(%2, ids)\n"
            "output y0 = %3\n");
  EXPECT_EQ(Fuse(),
            "%4: f32[T,256] = qgather(w, ids)\n"
            "output y0 = %4\n");
}

INSTANTIATE_TEST_SUITE_P(All, StoredTypeTest,
                         ::testing::ValuesIn(StoredTypes()),
                         [](const auto& param) {
                           return std::string(Name(param.param));
                         });

// Common subexpressions leave one dequant; each product takes it in.
TEST_F(LinearRules, DequantMatmul_FusesEachUseOfAWeight) {
  const Value x = In("x", {T, 64});
  const Value w = Weight("w", {64, 64}, DType::kQ8_0);
  const Value once = Linear(x, w);
  Output(Linear(once, w));
  EXPECT_EQ(Fuse(),
            "%8: f32[T,64] = qmatmul(x, w)\n"
            "%9: f32[T,64] = qmatmul(%8, w)\n"
            "output y0 = %9\n");
}

TEST_F(LinearRules, DequantMatmul_FusesTiedEmbeddings) {
  const Value w = Weight("w", {96, 64}, DType::kQ4_0);
  const Value ids = graph_.Input("ids", DType::kI32, {T});
  const Value x = GatherRows(Dequant(w), ids);
  Output(Linear(x, w));
  EXPECT_EQ(Fuse(),
            "%8: f32[T,64] = qgather(w, ids)\n"
            "%7: f32[T,96] = qmatmul(%8, w)\n"
            "output y0 = %7\n");
}

TEST_F(LinearRules, DequantMatmul_NotOfATensorOfHigherRank) {
  const Value x = In("x", {2, T, 32});
  const Value w = Weight("w", {2, 8, 32}, DType::kQ8_0);
  Output(MatMul(x, Transpose(Dequant(w))));
  ExpectMiss("dequant_matmul", "not so: w is a matrix");
}

TEST_F(LinearRules, DequantMatmul_NotWithoutATranspose) {
  const Value x = In("x", {T, 8});
  Output(MatMul(x, Dequant(Weight("w", {8, 32}, DType::kQ8_0))));
  ExpectMiss("dequant_matmul", "%2 dequant is no transpose");
}

TEST_F(LinearRules, DequantMatmul_NotWithTheWeightOnTheLeft) {
  const Value x = In("x", {32, T});
  const Value w = Weight("w", {32, 64}, DType::kQ8_0);
  Output(MatMul(Transpose(Dequant(w)), x));
  ExpectMiss("dequant_matmul", "input x is no transpose");
}

TEST_F(LinearRules, DequantMatmul_NotWhenADecodedActivationHasAnotherUse) {
  const Value x = In("x", {T, 32});
  const Value decoded = Dequant(graph_.Input("h", DType::kF16, {8, 32}));
  Output(MatMul(x, Transpose(decoded)));
  Output(Exp(decoded));
  ExpectMiss("dequant_matmul", "%2 dequant has 2 uses (%3 transpose, %5 exp)");
}

// ---- dequant_gather ----

TEST_F(LinearRules, DequantGather_NotOfATensorOfHigherRank) {
  const Value ids = graph_.Input("ids", DType::kI32, {T});
  Output(GatherRows(Dequant(Weight("w", {4, 2, 32}, DType::kQ8_0)), ids));
  ExpectMiss("dequant_gather", "not so: w is a matrix");
}

TEST_F(LinearRules, DequantGather_NotOfF32) {
  const Value ids = graph_.Input("ids", DType::kI32, {T});
  Output(GatherRows(Weight("w", {4, 32}), ids));
  ExpectMiss("dequant_gather", "weight w is no dequant");
}

// ---- transpose_matmul ----

TEST_F(LinearRules, TransposeMatmul_FusesF32Weights) {
  Output(Product());
  EXPECT_EQ(Text(),
            "%2: f32[8,6] = transpose(w)\n"
            "%3: f32[T,6] = matmul(x, %2)\n"
            "output y0 = %3\n");
  EXPECT_EQ(Fuse(),
            "%4: f32[T,6] = qmatmul(x, w)\n"
            "output y0 = %4\n");
  EXPECT_EQ(report_.Count("transpose_matmul"), 1);
}

TEST_F(LinearRules, TransposeMatmul_NotOfATensorOfHigherRank) {
  const Value x = In("x", {2, T, 8});
  Output(MatMul(x, Transpose(In("w", {2, 6, 8}))));
  ExpectMiss("transpose_matmul", "not so: w is a matrix");
}

TEST_F(LinearRules, TransposeMatmul_NotWithTheTransposeOnTheLeft) {
  const Value x = In("x", {8, T});
  Output(MatMul(Transpose(Weight("w", {8, 6})), x));
  ExpectMiss("transpose_matmul", "input x is no transpose");
}

TEST_F(LinearRules, TransposeMatmul_NotOfWhatIsComputed) {
  Output(MatMul(In("x", {T, 8}), Transpose(In("w", {6, 8}))));
  ExpectMiss("transpose_matmul", "not so: w is a weight");
}

// ---- transposed_left, transposed_right ----

TEST_F(LinearRules, TransposedRight_FusesBatches) {
  Output(MatMul(In("x", {2, T, 8}), Transpose(In("y", {2, 6, 8}))));
  EXPECT_EQ(Fuse(),
            "%4: f32[2,T,6] = matmul_transposed(x, y, {transposed=1})\n"
            "output y0 = %4\n");
}

TEST_F(LinearRules, TransposedRight_NotWhenTheTransposeIsAnOutput) {
  const Value x = In("x", {T, 8});
  const Value t = Transpose(In("w", {6, 8}));
  Output(MatMul(x, t));
  Output(t);
  ExpectMiss("transposed_right", "%2 transpose is an output of the graph");
}

TEST_F(LinearRules, TransposedRight_NotOfPlainOperands) {
  Output(MatMul(In("x", {T, 8}), In("y", {8, 6})));
  ExpectMiss("transposed_right", "input y is no transpose");
}

TEST_F(LinearRules, TransposedLeft_FusesSumsOverTokens) {
  const Value g = In("g", {T, 6});
  Output(MatMul(Transpose(g), In("x", {T, 8})));
  EXPECT_EQ(Fuse(),
            "%4: f32[6,8] = matmul_transposed(g, x, {transposed=0})\n"
            "output y0 = %4\n");
}

TEST_F(LinearRules, TransposedLeft_NotWhenTheTransposeIsAnOutput) {
  const Value t = Transpose(In("g", {T, 6}));
  Output(MatMul(t, In("x", {T, 8})));
  Output(t);
  ExpectMiss("transposed_left", "%2 transpose is an output of the graph");
}

TEST_F(LinearRules, TransposedLeft_NotOfPlainOperands) {
  Output(MatMul(In("x", {T, 8}), In("y", {8, 6})));
  ExpectMiss("transposed_left", "input x is no transpose");
}

// ---- matmul_bias ----

TEST_F(LinearRules, MatmulBias_FusesOnEitherSide) {
  const Value x = In("x", {T, 8});
  const Value w = Weight("w", {6, 8});
  const Value b = Weight("b", {6});
  Output(Linear(x, w) + b);
  Output(b + Linear(Exp(x), w));
  EXPECT_EQ(Fuse(),
            "%12: f32[T,6] = qmatmul(x, w, b)\n"
            "%6: f32[T,8] = exp(x)\n"
            "%13: f32[T,6] = qmatmul(%6, w, b)\n"
            "output y0 = %12\noutput y1 = %13\n");
  EXPECT_EQ(report_.Count("matmul_bias"), 2);
}

TEST_F(LinearRules, MatmulBias_NotOfAnotherLength) {
  const Value y = Product();
  Output(y + Weight("b", {1}));
  ExpectMiss("matmul_bias", "not so: the bias is a vector of w's rows");
}

TEST_F(LinearRules, MatmulBias_NotOfAMatrix) {
  const Value y = Product();
  Output(y + In("b", {T, 6}));
  ExpectMiss("matmul_bias", "not so: the bias is a vector of w's rows");
}

TEST_F(LinearRules, MatmulBias_NotWhenTheProductHasAnotherUse) {
  const Value y = Product();
  Output(y + Weight("b", {6}));
  Output(Exp(y));
  ExpectMiss("matmul_bias", "%7 qmatmul has 2 uses (%5 add, %6 exp)");
}

// ---- matmul_activation ----

TEST_F(LinearRules, MatmulActivation_FusesEveryActivation) {
  const Value w = Weight("w", {6, 8});
  const Value b = Weight("b", {6});
  for (const OpDef* op : Activations()) {
    Output(
        graph_.Emit(*op, {Linear(In(op->name, {T, 8}), w) + b}, {}, Where()));
    const std::string other = absl::StrCat("x_", op->name);
    Output(graph_.Emit(*op, {Linear(In(other, {T, 8}), w)}, {}, Where()));
  }
  const std::string fused = Fuse();
  for (const OpDef* op : Activations()) {
    const absl::string_view name = op->name;
    EXPECT_THAT(fused, HasSubstr(absl::StrCat("qmatmul(", name, ", w, b, ",
                                              "{activation=", name, "})")));
    EXPECT_THAT(fused, HasSubstr(absl::StrCat("qmatmul(x_", name, ", w, ",
                                              "{activation=", name, "})")));
  }
}

TEST_F(LinearRules, MatmulActivation_NotTwice) {
  Output(Relu(Silu(Product())));
  EXPECT_EQ(Fuse(),
            "%7: f32[T,6] = qmatmul(x, w, {activation=silu})\n"
            "%5: f32[T,6] = relu(%7)\n"
            "output y0 = %5\n");
}

TEST_F(LinearRules, MatmulActivation_NotWhenTheProductHasAnotherUse) {
  const Value y = Product();
  Output(Silu(y));
  Output(Relu(y));
  ExpectMiss("matmul_activation",
             "%6 qmatmul is not read by an activation alone");
}

TEST_F(LinearRules, MatmulActivation_NotWhenTheProductIsAnOutput) {
  const Value y = Product();
  Output(Silu(y));
  Output(y);
  ExpectMiss("matmul_activation", "%5 qmatmul is an output of the graph");
}

TEST_F(LinearRules, MatmulActivation_NotOfOtherOps) {
  Output(Exp(Product()));
  ExpectMiss("matmul_activation",
             "%5 qmatmul is not read by an activation alone");
}

// ---- gated_matmul ----

// activation(gate) * up of products with f32[6,8].
class GatedProducts : public RulesTest {
 protected:
  Value x_ = In("x", {T, 8});
  Value y_ = In("y", {T, 8});
  Value gate_ = Weight("gate", {6, 8});
  Value up_ = Weight("up", {6, 8});
};

TEST_F(GatedProducts, GatedMatmul_FusesTwoProductsOfOneValue) {
  Output(SwiGlu(Linear(x_, gate_), Linear(x_, up_)));
  Output(Linear(y_, up_) * Gelu(Linear(y_, gate_)));
  EXPECT_EQ(Fuse(),
            "%22: f32[T,6] = gated_qmatmul(x, gate, up, {activation=silu})\n"
            "%23: f32[T,6] = gated_qmatmul(y, gate, up, {activation=gelu})\n"
            "output y0 = %22\noutput y1 = %23\n");
  EXPECT_EQ(report_.Count("gated_matmul"), 2);
}

TEST_F(GatedProducts, GatedMatmul_NotOfTwoValues) {
  Output(SwiGlu(Linear(x_, gate_), Linear(y_, up_)));
  ExpectMiss("gated_matmul", "%11 qmatmul is a product of another value");
}

TEST_F(GatedProducts, GatedMatmul_NotOfTwoFormats) {
  const Value gate = Weight("g", {6, 32}, DType::kQ8_0);
  const Value up = Weight("u", {6, 32}, DType::kQ4_0);
  const Value x = In("z", {T, 32});
  Output(SwiGlu(Linear(x, gate), Linear(x, up)));
  ExpectMiss("gated_matmul",
             "%16 qmatmul has a weight in q4_0, the gate's is in q8_0");
}

TEST_F(GatedProducts, GatedMatmul_NotWithABias) {
  Output(SwiGlu(Linear(x_, gate_), Linear(x_, up_) + Weight("b", {6})));
  ExpectMiss("gated_matmul", "%10 add is no product with a weight alone");
}

TEST_F(GatedProducts, GatedMatmul_NotWhenAProductHasAnotherUse) {
  const Value up = Linear(x_, up_);
  Output(SwiGlu(Linear(x_, gate_), up));
  Output(Exp(up));
  ExpectMiss("gated_matmul", "%12 qmatmul has 2 uses (%10 exp, %13 gated)");
}

TEST_F(GatedProducts, GatedMatmul_NotOfOneProduct) {
  const Value gate = Linear(x_, gate_);
  Output(Silu(gate) * gate);
  ExpectMiss("gated_matmul", "%8 qmatmul is both factors");
}

// ---- matmul_by_id ----

TEST_F(LinearRules, MatmulById_FusesExpertsAndHeads) {
  const Value x = In("x", {T, 64});
  const Value ids = graph_.Input("ids", DType::kI32, {T, 2});
  const Value w = Weight("w", {4, 96, 64}, DType::kQ8_0);
  const Value heads = Weight("heads", {2, 32, 96});
  Output(LinearById(LinearById(x, w, ids), heads));
  EXPECT_EQ(Fuse(),
            "%7: f32[T,2,96] = qmatmul_by_id(x, w, ids, {has_ids=1, "
            "has_bias=0})\n"
            "%8: f32[T,2,32] = qmatmul_by_id(%7, heads, {has_ids=0, "
            "has_bias=0})\n"
            "output y0 = %8\n");
  EXPECT_EQ(report_.Count("matmul_by_id"), 2);
}

TEST_F(LinearRules, MatmulById_NotOfInputs) {
  const Value x = In("x", {T, 3, 8});
  Output(MatMulById(x, In("w", {3, 6, 8})));
  ExpectMiss("matmul_by_id", "input w is no stored weight");
}

TEST_F(LinearRules, MatmulById_NotOfWhatIsComputed) {
  const Value x = In("x", {T, 3, 8});
  Output(MatMulById(x, Exp(Weight("w", {3, 6, 8}))));
  ExpectMiss("matmul_by_id", "%2 exp is no stored weight");
}

}  // namespace
}  // namespace weft::inline v0
