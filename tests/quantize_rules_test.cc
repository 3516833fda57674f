// The pass that quantises activations, and the rules that put the quantisation
// into the op before it. Tests are named Rule_What.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/quantize.h"
#include "tests/rules.h"

namespace weft::inline v0 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(QuantizeRules, HaveTestsOfBothKinds) {
  for (const Rule& rule : QuantizeRules()) ExpectTested(rule);
}

class Quantized : public RulesTest {
 protected:
  Quantized() { numerics_ = Numerics::kFast; }

  // Nodes that give 8-bit activations.
  int CountQuantized() const {
    int count = 0;
    for (const NodeId id : graph_.order())
      for (const ValueId v : graph_.node(id).outputs)
        count += graph_.value(v).type.dtype == DType::kQ8_A ||
                 graph_.value(v).type.dtype == DType::kQ8_A32;
    return count;
  }

  Value x_ = In("x", {T, 64});
  Value y_ = In("y", {T, 64});
  Value norm_ = Weight("norm", {64});
  Value bias_ = Weight("bias", {64});
  Value w_ = Weight("w", {32, 64}, DType::kQ8_0);
};

// ---- quantize_activations ----

TEST_F(Quantized, QuantizeActivations_MakesANodeThatProductsShare) {
  const Value v = Weight("v", {8, 64}, DType::kQ4_1);
  Output(Linear(x_, w_));
  Output(Linear(x_, v));
  EXPECT_THAT(Fuse(), HasSubstr("q8_a32[T,64] = quantize(x, {per_scale=32})"));
  EXPECT_EQ(CountQuantized(), 1);
  EXPECT_EQ(report_.Count("quantize_activations"), 2);
}

TEST_F(Quantized, QuantizeActivations_KeepsBiasAndActivation) {
  const Value b = Weight("b", {32});
  Output(Silu(Linear(x_, w_) + b));
  EXPECT_THAT(Fuse(), HasSubstr("= qmatmul(%14, w, b, {activation=silu})"));
}

TEST_F(Quantized, QuantizeActivations_NotForPlainWeights) {
  for (const DType type : {DType::kF32, DType::kF16})
    Output(Linear(x_, Weight(Name(type), {32, 64}, type)));
  Fuse();
  EXPECT_EQ(CountQuantized(), 0);
  EXPECT_THAT(report_.Explain("quantize_activations"),
              HasSubstr("f16, which has no integer codes"));
}

TEST_F(Quantized, QuantizeActivations_RoundsToBF16BeforeSuchWeights) {
  Output(
      Linear(RmsNorm(x_, 1e-5) * norm_, Weight("v", {32, 64}, DType::kBF16)));
  EXPECT_THAT(Fuse(), HasSubstr("bf16[T,64] = rms_norm_mul(x, norm, "
                                "{eps=1e-05, quantized=1})"));
}

TEST_F(Quantized, QuantizeActivations_NotWhenExact) {
  numerics_ = Numerics::kExact;
  Output(Linear(x_, w_));
  EXPECT_THAT(Fuse(), Not(HasSubstr("q8_a")));
}

TEST_F(Quantized, QuantizeGated_GivesBothProductsOneValue) {
  const Value up = Weight("up", {32, 64}, DType::kQ8_0);
  Output(SwiGlu(Linear(x_, w_), Linear(x_, up)));
  const std::string fused = Fuse();
  EXPECT_THAT(fused, HasSubstr("q8_a32[T,64] = quantize(x, {per_scale=32})"));
  EXPECT_THAT(fused, HasSubstr("w, up, {activation=silu})"));
  EXPECT_EQ(report_.Count("quantize_gated"), 1);
}

TEST_F(Quantized, QuantizeGated_NotForPlainWeights) {
  const Value gate = Weight("gate", {32, 64}, DType::kF16);
  const Value up = Weight("up", {32, 64}, DType::kF16);
  Output(SwiGlu(Linear(x_, gate), Linear(x_, up)));
  Fuse();
  EXPECT_EQ(CountQuantized(), 0);
  EXPECT_THAT(Reason("quantize_gated"),
              HasSubstr("f16, which has no integer codes"));
}

// Weights in blocks of 256 want one scale for as many activations.
TEST_F(Quantized, QuantizeActivations_TakesTheFormatThatTheWeightWants) {
  const Value x = In("long", {T, 512});
  Output(Linear(x, Weight("k", {8, 512}, DType::kQ4_K)));
  EXPECT_THAT(Fuse(), HasSubstr("q8_a[T,512] = quantize(long, "
                                "{per_scale=256})"));
}

// Blocks of 256 and of 32 on one value: a node for each kind, which products of
// that kind share.
TEST_F(Quantized, QuantizeActivations_TwoNodesWhereBothKindsReadAValue) {
  const Value h = RmsNorm(In("long", {T, 512}), 1e-5) * Weight("n", {512});
  for (const DType type :
       {DType::kQ4_K, DType::kQ8_0, DType::kQ6_K, DType::kQ5_1})
    Output(Linear(h, Weight(Name(type), {8, 512}, type)));
  const std::string text = Fuse();
  EXPECT_EQ(CountQuantized(), 2) << text;
  EXPECT_THAT(text, HasSubstr("q8_a[T,512] = quantize("));
  EXPECT_THAT(text, HasSubstr("q8_a32[T,512] = quantize("));
  EXPECT_THAT(Reason("norm_quantize"), HasSubstr("has 2 uses"));
}

// Of a layer's seven products q, k and v read one quantised value, and gate and
// up another; o and down have their own. Formats are mixed as files mix them.
class QuantizedLayer : public Quantized,
                       public testing::WithParamInterface<std::vector<DType>> {
};

TEST_P(QuantizedLayer, HasFourQuantizedValues) {
  size_t next = 0;
  const auto Product = [&](Value in, absl::string_view name, int64_t rows) {
    const DType type = GetParam()[next++ % GetParam().size()];
    const int64_t k = in.dim(-1).bound();
    return Linear(in, Weight(name, {rows, k}, type));
  };
  const Value in = In("in", {T, 256});
  Value h = RmsNorm(in, 1e-5) * Weight("norm1", {256});
  const Value q = Product(h, "q", 256);
  const Value k = Product(h, "k", 256);
  const Value v = Product(h, "v", 256);
  // In place of attention: reads all three.
  const Value a = Exp(q) + k + v;
  const Value x = in + Product(a, "o", 256);
  h = RmsNorm(x, 1e-5) * Weight("norm2", {256});
  const Value gate = Product(h, "gate", 512), up = Product(h, "up", 512);
  Output(x + Product(Silu(gate) * up, "down", 256));
  Fuse();
  const int gated = report_.Count("gated_matmul");
  EXPECT_EQ(report_.Count("quantize_gated"), gated);
  EXPECT_EQ(report_.Count("quantize_activations"), 7 - 2 * gated);
  EXPECT_EQ(CountQuantized(), 4) << Text();
  EXPECT_EQ(report_.Count("norm_quantize"), 1);
  EXPECT_EQ(report_.Count("add_norm_quantize"), 1);
  EXPECT_EQ(report_.Count("gated_quantize"), 1);
}

INSTANTIATE_TEST_SUITE_P(
    Mixtures, QuantizedLayer,
    testing::Values(std::vector<DType>{DType::kQ4_K, DType::kQ6_K,
                                       DType::kIQ4_XS, DType::kQ2_K},
                    std::vector<DType>{DType::kQ4_0, DType::kQ8_0, DType::kQ5_1,
                                       DType::kIQ4_NL, DType::kQ4_1,
                                       DType::kMXFP4}));

// ---- norm_quantize ----

TEST_F(Quantized, NormQuantize_FusesTheProductOfTheNorm) {
  Output(Linear(RmsNorm(x_, 1e-5) * norm_, w_));
  EXPECT_THAT(Fuse(), HasSubstr("q8_a32[T,64] = rms_norm_mul(x, norm, "
                                "{eps=1e-05, quantized=32})"));
  EXPECT_EQ(report_.Count("norm_quantize"), 1);
}

TEST_F(Quantized, NormQuantize_NotWhenAnotherNodeReadsTheNorm) {
  const Value h = RmsNorm(x_, 1e-5) * norm_;
  Output(Linear(h, w_));
  Output(Exp(h));
  EXPECT_THAT(Fuse(), HasSubstr("f32[T,64] = rms_norm_mul"));
  EXPECT_EQ(report_.Count("norm_quantize"), 0);
  EXPECT_THAT(Reason("norm_quantize"), HasSubstr("has 2 uses"));
}

TEST_F(Quantized, NormQuantize_NotWhenTheNormIsAnOutput) {
  const Value h = RmsNorm(x_, 1e-5) * norm_;
  Output(Linear(h, w_));
  Output(h);
  Fuse();
  EXPECT_EQ(report_.Count("norm_quantize"), 0);
  EXPECT_THAT(Reason("norm_quantize"), HasSubstr("is an output"));
}

// ---- add_norm_quantize ----

TEST_F(Quantized, AddNormQuantize_FusesTheSecondResult) {
  const Value sum = x_ + y_;
  Output(Linear(RmsNorm(sum, 1e-5) * norm_, w_));
  Output(sum);
  EXPECT_THAT(Fuse(), HasSubstr("q8_a32[T,64] = add_rms_norm(x, y, norm, "
                                "{eps=1e-05, quantized=32})"));
  EXPECT_EQ(report_.Count("add_norm_quantize"), 1);
}

TEST_F(Quantized, AddNormQuantize_NotWhenAnotherNodeReadsTheNorm) {
  const Value sum = x_ + y_;
  const Value h = RmsNorm(sum, 1e-5) * norm_;
  Output(Linear(h, w_));
  Output(Exp(h));
  Output(sum);
  Fuse();
  EXPECT_EQ(report_.Count("add_norm_quantize"), 0);
  EXPECT_THAT(Reason("add_norm_quantize"), HasSubstr("has 2 uses"));
}

// The first result is the sum; quantising it is another matter.
TEST_F(Quantized, AddNormQuantize_NotOfTheSum) {
  const Value sum = x_ + y_;
  Output(Linear(sum, w_));
  Output(RmsNorm(sum, 1e-5) * norm_);
  EXPECT_THAT(Fuse(), HasSubstr("= quantize("));
  EXPECT_EQ(report_.Count("add_norm_quantize"), 0);
}

// ---- layer_norm_quantize ----

TEST_F(Quantized, LayerNormQuantize_FusesWeightAndBias) {
  Output(Linear(LayerNorm(x_, 1e-5) * norm_ + bias_, w_));
  EXPECT_THAT(Fuse(), HasSubstr("q8_a32[T,64] = layer_norm_mul_add(x, norm, "
                                "bias, {eps=1e-05, quantized=32})"));
  EXPECT_EQ(report_.Count("layer_norm_quantize"), 1);
}

TEST_F(Quantized, LayerNormQuantize_NotWhenAnotherNodeReadsTheNorm) {
  const Value h = LayerNorm(x_, 1e-5) * norm_ + bias_;
  Output(Linear(h, w_));
  Output(Exp(h));
  Fuse();
  EXPECT_EQ(report_.Count("layer_norm_quantize"), 0);
}

TEST_F(Quantized, LayerNormQuantize_NotWithoutItsWeights) {
  Output(Linear(LayerNorm(x_, 1e-5), w_));
  Fuse();
  EXPECT_EQ(report_.Count("layer_norm_quantize"), 0);
}

// ---- gated_quantize ----

TEST_F(Quantized, GatedQuantize_FusesWithItsActivation) {
  Output(Linear(Gelu(x_) * y_, w_));
  EXPECT_THAT(Fuse(), HasSubstr("q8_a32[T,64] = gated(x, y, {activation=gelu, "
                                "quantized=32})"));
  EXPECT_EQ(report_.Count("gated_quantize"), 1);
}

TEST_F(Quantized, GatedQuantize_FusesWithTheProductsThatAreGated) {
  const Value up = Weight("up", {32, 64}, DType::kQ8_0);
  const Value down = Weight("down", {64, 32}, DType::kQ8_0);
  Output(Linear(SwiGlu(Linear(x_, w_), Linear(x_, up)), down));
  EXPECT_THAT(Fuse(), HasSubstr("w, up, {activation=silu, quantized=32})"));
  EXPECT_EQ(report_.Count("gated_quantize"), 1);
}

TEST_F(Quantized, GatedQuantize_NotWhenAnotherNodeReadsTheProduct) {
  const Value gated = Silu(x_) * y_;
  Output(Linear(gated, w_));
  Output(Exp(gated));
  Fuse();
  EXPECT_EQ(report_.Count("gated_quantize"), 0);
  EXPECT_THAT(Reason("gated_quantize"), HasSubstr("has 2 uses"));
}

TEST_F(Quantized, GatedQuantize_NotOfAnotherOp) {
  Output(Linear(x_ + y_, w_));
  Fuse();
  EXPECT_EQ(report_.Count("gated_quantize"), 0);
  EXPECT_THAT(Reason("gated_quantize"),
              HasSubstr("is no product of an activated gate"));
}

}  // namespace
}  // namespace weft::inline v0
