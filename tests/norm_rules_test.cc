// The rules of norms and gates: what each makes of its chain, and what it must
// leave alone. Tests are named Rule_What.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rules.h"

namespace weft::inline v0 {
namespace {

using ::testing::HasSubstr;

TEST(FusionRules, ThoseOfNormsAndGatesHaveTestsOfBothKinds) {
  for (const Rule& rule : FusionRules())
    if (!TakesWeights(rule) && rule.name() != "attention") ExpectTested(rule);
}

// Values %0 to %3.
class NormRules : public RulesTest {
 protected:
  Value x_ = In("x", {T, 8});
  Value y_ = In("y", {T, 8});
  Value w_ = Weight("w", {8});
  Value b_ = Weight("b", {8});
};

// ---- rms_norm_mul ----

TEST_F(NormRules, RmsNormMul_FusesOnEitherSide) {
  Output(RmsNorm(x_, 1e-5) * w_);
  Output(w_ * RmsNorm(x_, 1e-6));
  EXPECT_EQ(Fuse(),
            "%8: f32[T,8] = rms_norm_mul(x, w, {eps=1e-05})\n"
            "%9: f32[T,8] = rms_norm_mul(x, w, {eps=1e-06})\n"
            "output y0 = %8\noutput y1 = %9\n");
  EXPECT_EQ(report_.Count("rms_norm_mul"), 2);
}

TEST_F(NormRules, RmsNormMul_NotByAMatrix) {
  Output(RmsNorm(x_, 1e-5) * y_);
  ExpectMiss("rms_norm_mul",
             "not so: the weight is a vector of the row's length");
}

TEST_F(NormRules, RmsNormMul_NotByAVectorOfAnotherLength) {
  const Value one = Weight("one", {1});
  Output(RmsNorm(x_, 1e-5) * one);
  ExpectMiss("rms_norm_mul",
             "not so: the weight is a vector of the row's length");
}

TEST_F(NormRules, RmsNormMul_NotWhenTheNormHasAnotherUse) {
  const Value normed = RmsNorm(x_, 1e-5);
  Output(normed * w_);
  Output(Exp(normed));
  ExpectMiss("rms_norm_mul", "%4 rms_norm has 2 uses (%5 mul, %6 exp)");
}

TEST_F(NormRules, RmsNormMul_NotWhenTheNormIsAnOutput) {
  const Value normed = RmsNorm(x_, 1e-5);
  Output(normed * w_);
  Output(normed);
  ExpectMiss("rms_norm_mul", "%4 rms_norm is an output of the graph");
}

TEST_F(NormRules, RmsNormMul_NotWithoutAProduct) {
  Output(RmsNorm(x_, 1e-5) + w_);
  ExpectMiss("rms_norm_mul", "no mul uses %4 rms_norm");
}

// ---- add_rms_norm ----

TEST_F(NormRules, AddRmsNorm_FusesTheResidualToo) {
  const Value sum = x_ + y_;
  const Value normed = RmsNorm(sum, 1e-5) * w_;
  Output(sum + Exp(normed));
  EXPECT_EQ(Text(),
            "%4: f32[T,8] = add(x, y)\n"
            "%5: f32[T,8] = rms_norm(%4, {eps=1e-05})\n"
            "%6: f32[T,8] = mul(%5, w)\n"
            "%7: f32[T,8] = exp(%6)\n"
            "%8: f32[T,8] = add(%4, %7)\n"
            "output y0 = %8\n");
  EXPECT_EQ(Fuse(),
            "%10: f32[T,8], %11: f32[T,8] = add_rms_norm(x, y, w, "
            "{eps=1e-05})\n"
            "%7: f32[T,8] = exp(%11)\n"
            "%8: f32[T,8] = add(%10, %7)\n"
            "output y0 = %8\n");
  EXPECT_EQ(report_.Count("add_rms_norm"), 1);
}

TEST_F(NormRules, AddRmsNorm_FusesWhenTheSumIsAnOutput) {
  const Value sum = x_ + y_;
  Output(sum);
  Output(RmsNorm(sum, 1e-5) * w_);
  EXPECT_EQ(Fuse(),
            "%8: f32[T,8], %9: f32[T,8] = add_rms_norm(x, y, w, {eps=1e-05})\n"
            "output y0 = %8\noutput y1 = %9\n");
}

TEST_F(NormRules, AddRmsNorm_NotOfDifferentShapes) {
  const Value sum = x_ + b_;
  Output(RmsNorm(sum, 1e-5) * w_);
  ExpectMiss("add_rms_norm", "not so: the summands have one shape");
}

TEST_F(NormRules, AddRmsNorm_NotOfAProduct) {
  const Value product = x_ * y_;
  Output(RmsNorm(product, 1e-5) * w_);
  ExpectMiss("add_rms_norm", "%4 mul is no add");
}

TEST_F(NormRules, AddRmsNorm_NotWhenTheWeightDependsOnTheSum) {
  const Value one = graph_.Input("one", DType::kI32, {1});
  const Value sum = x_ + y_;
  const Value w = Reshape(GatherRows(Exp(sum), one), {8});
  Output(RmsNorm(sum, 1e-5) * w);
  ExpectMiss("add_rms_norm", "the fused node would depend on itself");
}

// Two norms of one sum: the first takes the sum in, the second reads it.
TEST_F(NormRules, AddRmsNorm_NotTwiceOfOneSum) {
  const Value sum = x_ + y_;
  Output(RmsNorm(sum, 1e-5) * w_);
  Output(RmsNorm(sum, 1e-6) * w_);
  EXPECT_EQ(Fuse(),
            "%11: f32[T,8], %12: f32[T,8] = add_rms_norm(x, y, w, "
            "{eps=1e-05})\n"
            "%10: f32[T,8] = rms_norm_mul(%11, w, {eps=1e-06})\n"
            "output y0 = %12\noutput y1 = %10\n");
}

// ---- layer_norm_mul_add ----

TEST_F(NormRules, LayerNormMulAdd_FusesInEveryOrder) {
  const Value z = Exp(x_);
  Output(LayerNorm(x_, 1e-5) * w_ + b_);
  Output(w_ * LayerNorm(y_, 1e-5) + b_);
  Output(b_ + LayerNorm(z, 1e-5) * w_);
  Output(b_ + w_ * LayerNorm(z, 1e-6));
  EXPECT_EQ(Fuse(),
            "%17: f32[T,8] = layer_norm_mul_add(x, w, b, {eps=1e-05})\n"
            "%18: f32[T,8] = layer_norm_mul_add(y, w, b, {eps=1e-05})\n"
            "%10: f32[T,8] = exp(x)\n"
            "%19: f32[T,8] = layer_norm_mul_add(%10, w, b, {eps=1e-05})\n"
            "%20: f32[T,8] = layer_norm_mul_add(%10, w, b, {eps=1e-06})\n"
            "output y0 = %17\noutput y1 = %18\noutput y2 = %19\n"
            "output y3 = %20\n");
  EXPECT_EQ(report_.Count("layer_norm_mul_add"), 4);
}

TEST_F(NormRules, LayerNormMulAdd_NotWithoutABias) {
  Output(LayerNorm(x_, 1e-5) * w_);
  ExpectMiss("layer_norm_mul_add", "no add uses %4 layer_norm");
}

TEST_F(NormRules, LayerNormMulAdd_NotWithAMatrixForABias) {
  Output(LayerNorm(x_, 1e-5) * w_ + y_);
  ExpectMiss("layer_norm_mul_add",
             "not so: weight and bias are vectors of the row's length");
}

TEST_F(NormRules, LayerNormMulAdd_NotWhenTheProductIsAnOutput) {
  const Value scaled = LayerNorm(x_, 1e-5) * w_;
  Output(scaled + b_);
  Output(scaled);
  ExpectMiss("layer_norm_mul_add", "%5 mul is an output of the graph");
}

// ---- gated ----

TEST_F(NormRules, Gated_FusesEveryActivationOnEitherSide) {
  const Value z = Exp(y_);
  for (const OpDef* op : Activations()) {
    Output(graph_.Emit(*op, {x_}, {}, Where()) * y_);
    Output(y_ * graph_.Emit(*op, {z}, {}, Where()));
  }
  const std::string fused = Fuse();
  for (const OpDef* op : Activations()) {
    const std::string attrs = absl::StrCat("{activation=", op->name, "})");
    EXPECT_THAT(fused, HasSubstr(absl::StrCat("gated(x, y, ", attrs)));
    EXPECT_THAT(fused, HasSubstr(absl::StrCat("gated(%6, y, ", attrs)));
  }
  EXPECT_EQ(report_.Count("gated"), 2 * Activations().size());
}

// silu(gate) * up must not lose its silu to the product of the gate.
TEST_F(NormRules, Gated_FusesBeforeTheProductTakesTheActivation) {
  const Value w = Weight("w2", {6, 8});
  const Value gate = Linear(x_, w);
  const Value up = Linear(y_, w);
  Output(SwiGlu(gate, up));
  EXPECT_EQ(Fuse(),
            "%11: f32[T,6] = qmatmul(x, w2)\n"
            "%12: f32[T,6] = qmatmul(y, w2)\n"
            "%13: f32[T,6] = gated(%11, %12, {activation=silu})\n"
            "output y0 = %13\n");
  EXPECT_EQ(report_.Count("matmul_activation"), 0);
}

TEST_F(NormRules, Gated_NotWithAnotherShape) {
  Output(Silu(x_) * w_);
  ExpectMiss("gated", "%4 silu has another shape than the other factor");
}

TEST_F(NormRules, Gated_NotWhenTheGateHasAnotherUse) {
  const Value gate = Silu(x_);
  Output(gate * y_);
  Output(Exp(gate));
  ExpectMiss("gated", "%4 silu has 2 uses (%5 mul, %6 exp)");
}

TEST_F(NormRules, Gated_NotWhenTheGateIsAnOutput) {
  const Value gate = Silu(x_);
  Output(gate * y_);
  Output(gate);
  ExpectMiss("gated", "%4 silu is an output of the graph");
}

TEST_F(NormRules, Gated_NotWithoutAnActivation) {
  Output(Exp(x_) * y_);
  ExpectMiss("gated", "%5 mul multiplies no activation");
}

}  // namespace
}  // namespace weft::inline v0
