// The scalar references of the ops, against numbers worked out by hand or by
// another formula.
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "graph/interpret.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::Pointwise;

constexpr float kInf = std::numeric_limits<float>::infinity();

class OpReference : public ::testing::Test {
 protected:
  Value F32(Dims dims, std::vector<float> values) {
    return graph_.Constant(HostTensor::FromFloats(std::move(dims), values));
  }
  Value I32(std::vector<int32_t> values) {
    return graph_.Constant(
        HostTensor::FromInts({static_cast<int64_t>(values.size())}, values));
  }
  // A tensor of 0, 1, 2, ...
  Value Iota(Dims dims) {
    std::vector<float> values(static_cast<size_t>(Elements(dims)));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i);
    return F32(std::move(dims), std::move(values));
  }
  // Runs the graph; states hold zeros.
  absl::StatusOr<std::vector<float>> Run(Value v) {
    if (!graph_.status().ok()) return graph_.status();
    absl::StatusOr<Interpretation> run = Interpret(
        graph_, {},
        [](const Graph& g, const Node& n) -> absl::StatusOr<HostTensor> {
          const TensorType& type = g.value(n.outputs[0]).type;
          return HostTensor(type.dtype, type.shape.Bind({}));
        });
    if (!run.ok()) return run.status();
    return run->values[static_cast<size_t>(v.id())].ToFloats();
  }
  std::vector<float> Eval(Value v) {
    const absl::StatusOr<std::vector<float>> result = Run(v);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(std::vector<float>());
  }
  void ExpectOutOfRange(Value v, absl::string_view text) {
    const absl::Status status = Run(v).status();
    EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), text)) << status;
  }

  Graph graph_;
};

TEST_F(OpReference, BinaryOpsBroadcast) {
  const Value x = F32({2, 3}, {1, 2, 3, 4, 5, 6});
  const Value row = F32({3}, {10, 20, 30});
  const Value column = F32({2, 1}, {10, 20});
  EXPECT_THAT(Eval(x + row), ElementsAre(11, 22, 33, 14, 25, 36));
  EXPECT_THAT(Eval(x - column), ElementsAre(-9, -8, -7, -16, -15, -14));
  EXPECT_THAT(Eval(column * row), ElementsAre(100, 200, 300, 200, 400, 600));
  EXPECT_THAT(Eval(Scale(x, -0.5)), ElementsAre(-.5, -1, -1.5, -2, -2.5, -3));
}

TEST_F(OpReference, Activations) {
  const Value x = F32({3}, {0, 1, -2});
  // Worked out elsewhere, to ten digits.
  const double sigmoid_1 = 0.7310585786, sigmoid_m2 = 0.1192029220;
  const double phi_1 = 0.8413447461, phi_m2 = 0.0227501319;
  const auto expect = [&](Value v, double at0, double at1, double at_m2) {
    EXPECT_THAT(Eval(v),
                ElementsAre(FloatNear(static_cast<float>(at0), 1e-7f),
                            FloatNear(static_cast<float>(at1), 1e-7f),
                            FloatNear(static_cast<float>(at_m2), 1e-7f)))
        << graph_.Describe(graph_.producer(v.id()));
  };
  expect(Sigmoid(x), 0.5, sigmoid_1, sigmoid_m2);
  expect(Silu(x), 0, sigmoid_1, -2 * sigmoid_m2);
  expect(Relu(x), 0, 1, 0);
  expect(Tanh(x), 0, 0.7615941560, -0.9640275801);
  expect(Exp(x), 1, std::numbers::e, 0.1353352832);
  expect(Gelu(x), 0, phi_1, -2 * phi_m2);
  expect(GeluTanh(x), 0, 0.8411919906, -0.0454023059);
  expect(GeluQuick(x), 0, 0.8457957659, -2 * 0.0321706884);
}

TEST_F(OpReference, GeluKeepsItsTail) {
  // Phi(-10) by its asymptotic series; 1 + erf(-7.07) would be 0.
  EXPECT_NEAR(Eval(Gelu(F32({1}, {-10})))[0] * 1e22, -0.761985, 1e-6);
}

TEST_F(OpReference, ActivationOfIsTheReference) {
  EXPECT_EQ(Activations().size(), 7u);
  for (const OpDef* op : Activations()) {
    EXPECT_EQ(FindActivation(op->name), op);
    for (const float x : {-30.f, -1.5f, 0.f, 0.7f, 30.f}) {
      const Value v = graph_.Emit(*op, {F32({1}, {x})}, {}, Where());
      EXPECT_EQ(Eval(v)[0], ActivationOf(op->name, x)) << op->name;
    }
  }
  EXPECT_EQ(FindActivation("exp"), nullptr);
  EXPECT_EQ(ActivationOf("swish", 1), 0);
}

TEST_F(OpReference, MatMul) {
  const Value a = F32({2, 3}, {1, 2, 3, 4, 5, 6});
  const Value b = F32({3, 2}, {7, 8, 9, 10, 11, 12});
  EXPECT_THAT(Eval(MatMul(a, b)), ElementsAre(58, 64, 139, 154));
}

TEST_F(OpReference, MatMulBroadcastsBatches) {
  const Value a = Iota({2, 1, 1, 2});              // (0 1) and (2 3)
  const Value b = F32({2, 2, 1}, {1, 10, 2, 20});  // (1 10)' and (2 20)'
  EXPECT_THAT(Eval(MatMul(a, b)), ElementsAre(10, 20, 32, 64));
}

TEST_F(OpReference, MatMulAddsInDouble) {
  const Value a = F32({1, 3}, {1e8f, 1, -1e8f});
  EXPECT_THAT(Eval(MatMul(a, F32({3, 1}, {1, 1, 1}))), ElementsAre(1));
}

TEST_F(OpReference, Transpose) {
  EXPECT_THAT(Eval(Transpose(Iota({2, 3}))), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(Eval(Transpose(Iota({2, 2, 2}))),
              ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
}

TEST_F(OpReference, DequantDecodesBlocks) {
  HostTensor block(DType::kQ8_0, {1, 32});
  // f16 1.5 is 0x3E00; the first two weights are -2 and 3.
  block.bytes[1] = std::byte{0x3E};
  block.bytes[2] = std::byte{0xFE};
  block.bytes[3] = std::byte{0x03};
  const std::vector<float> y = Eval(Dequant(graph_.Constant(block)));
  ASSERT_EQ(y.size(), 32u);
  EXPECT_EQ(y[0], -3);
  EXPECT_EQ(y[1], 4.5);
  EXPECT_EQ(y[2], 0);
}

TEST_F(OpReference, Norms) {
  const Value x = F32({2, 2}, {3, 4, 1, 3});
  const float rms = std::sqrt(12.5f + 0.5f);
  const float deviation = std::sqrt(1.f + 3.f);
  EXPECT_THAT(
      Eval(RmsNorm(x, 0.5)),
      ElementsAre(FloatEq(3 / rms), FloatEq(4 / rms),
                  FloatEq(1 / std::sqrt(5.5f)), FloatEq(3 / std::sqrt(5.5f))));
  EXPECT_THAT(Eval(LayerNorm(F32({2}, {1, 3}), 3)),
              ElementsAre(FloatEq(-1 / deviation), FloatEq(1 / deviation)));
}

TEST_F(OpReference, SoftmaxExcludesHidden) {
  const float ln2 = std::numbers::ln2_v<float>;
  const Value x = F32({2, 3}, {1000, 1000 + ln2, -kInf, -kInf, -kInf, -kInf});
  // 1000 + ln 2 rounds in f32, hence the tolerance.
  EXPECT_THAT(Eval(Softmax(x)),
              ElementsAre(FloatNear(1 / 3.f, 1e-5f), FloatNear(2 / 3.f, 1e-5f),
                          0, 0, 0, 0));
}

TEST_F(OpReference, SoftmaxKeepsNan) {
  const Value x = F32({1, 2}, {-kInf, std::nanf("")});
  EXPECT_TRUE(std::isnan(Eval(Softmax(x))[1]));
}

TEST_F(OpReference, MaskHidesKeys) {
  const Value x = F32({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Value pos = I32({1, 2});
  EXPECT_THAT(Eval(Mask(x, pos, {})),
              ElementsAre(1, 2, -kInf, -kInf, 5, 6, 7, -kInf));
  EXPECT_THAT(Eval(Mask(x, pos, {.window = 2})),
              ElementsAre(1, 2, -kInf, -kInf, -kInf, 6, 7, -kInf));
  EXPECT_THAT(Eval(Mask(x, pos, {.causal = false, .window = 1})),
              ElementsAre(-kInf, 2, 3, 4, -kInf, -kInf, 7, 8));
}

TEST_F(OpReference, MaskCountsQueriesOnItsAxis) {
  const Value x = Iota({2, 2, 2});
  EXPECT_THAT(Eval(Mask(x, I32({0, 1}), {.query_axis = 1})),
              ElementsAre(0, -kInf, 2, 3, 4, -kInf, 6, 7));
}

// The angle of pair i at position 1, from the table's cosine and sine.
double AngleOf(const std::vector<float>& table, size_t i) {
  return std::atan2(table[2 * i + 1], table[2 * i]);
}

TEST_F(OpReference, RopeTableScalesFrequencies) {
  const Value pos = I32({0, 1});
  const std::vector<float> plain = Eval(RopeTable(pos, {.n_dims = 4}));
  // Position 0 turns nothing; at 1 the angles are 1 and 10000^(-1/2).
  EXPECT_THAT(plain, Pointwise(FloatEq(), {1.f, 0.f, 1.f, 0.f, std::cos(1.f),
                                           std::sin(1.f), std::cos(.01f),
                                           std::sin(.01f)}));
  const std::vector<float> scaled =
      Eval(RopeTable(I32({1}), {.n_dims = 4, .freq_scale = 0.5, .magnitude = 3},
                     F32({2}, {2, 1})));
  EXPECT_NEAR(AngleOf(scaled, 0), 1 * 0.5 / 2, 1e-6);
  EXPECT_NEAR(AngleOf(scaled, 1), .01 * 0.5, 1e-6);
  EXPECT_NEAR(std::hypot(scaled[0], scaled[1]), 3, 1e-6);
}

TEST_F(OpReference, RopeTableFollowsYarn) {
  // Over 4096 positions, pairs turn 4096 / (2 pi 10000^(i / 32)) times: 32
  // times at i = 10.47, once at i = 22.51. So the ramp runs from 10 to 23.
  const std::vector<float> table =
      Eval(RopeTable(I32({1}), {.n_dims = 64,
                                .freq_scale = 0.25,
                                .ext_factor = 1,
                                .original_context = 4096}));
  const auto unscaled = [](int i) { return std::pow(10000.0, -i / 32.0); };
  for (const int i : {0, 5, 10})
    EXPECT_NEAR(AngleOf(table, static_cast<size_t>(i)), unscaled(i), 1e-6);
  for (const int i : {23, 31})
    EXPECT_NEAR(AngleOf(table, static_cast<size_t>(i)), unscaled(i) / 4, 1e-8);
  const double share = 1 - (16 - 10) / 13.0;
  EXPECT_NEAR(AngleOf(table, 16),
              unscaled(16) * share + unscaled(16) / 4 * (1 - share), 1e-8);
}

TEST_F(OpReference, RotateTurnsPairs) {
  const Value x = F32({1, 1, 5}, {1, 2, 3, 4, 5});
  const Value quarter = F32({1, 2, 2}, {0, 1, 1, 0});  // 90 and 0 degrees
  EXPECT_THAT(Eval(Rotate(x, quarter, true)), ElementsAre(-2, 1, 3, 4, 5));
  EXPECT_THAT(Eval(Rotate(x, quarter, false)), ElementsAre(-3, 2, 1, 4, 5));
}

TEST_F(OpReference, RopeDependsOnDistanceOnly) {
  const RopeOptions options = {.n_dims = 8, .adjacent = false};
  const Value q = Iota({1, 1, 8});
  const Value k = F32({1, 1, 8}, {3, -1, 4, 1, -5, 9, 2, -6});
  const auto score = [&](int32_t m, int32_t n) {
    const Value product =
        Rope(q, I32({m}), options) * Rope(k, I32({n}), options);
    double sum = 0;
    for (const float v : Eval(product)) sum += v;
    return sum;
  };
  EXPECT_NEAR(score(7, 3), score(104, 100), 1e-4);
  EXPECT_GT(std::abs(score(7, 3) - score(8, 3)), 1);
}

TEST_F(OpReference, DataMovement) {
  const Value x = Iota({2, 3});
  EXPECT_THAT(Eval(Reshape(x, {3, 2})), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(Eval(Slice(x, 1, 1, 3)), ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(Eval(Slice(x, -2, 1, 2)), ElementsAre(3, 4, 5));
  EXPECT_THAT(Eval(Concat({x, F32({2, 1}, {8, 9})}, 1)),
              ElementsAre(0, 1, 2, 8, 3, 4, 5, 9));
  EXPECT_THAT(Eval(Concat({x, x}, 0)),
              ElementsAre(0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5));
  EXPECT_THAT(Eval(Repeat(x, 1, 2)),
              ElementsAre(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5));
  EXPECT_THAT(Eval(Repeat(x, 0, 2)),
              ElementsAre(0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5));
}

TEST_F(OpReference, PermuteReordersAxes) {
  const Value x = Iota({2, 3, 4});
  const std::vector<float> y = Eval(Permute(x, {2, 0, 1}));
  for (size_t i = 0; i < 4; ++i)
    for (size_t j = 0; j < 2; ++j)
      for (size_t k = 0; k < 3; ++k)
        EXPECT_EQ(y[(i * 2 + j) * 3 + k],
                  static_cast<float>((j * 3 + k) * 4 + i));
}

TEST_F(OpReference, GatherRows) {
  EXPECT_THAT(Eval(GatherRows(Iota({3, 2}), I32({2, 0, 2}))),
              ElementsAre(4, 5, 0, 1, 4, 5));
}

TEST_F(OpReference, GatherRowsRefusesIdsAboveTheTable) {
  ExpectOutOfRange(GatherRows(Iota({3, 2}), I32({0, 3})),
                   "ids[1] is 3, not in [0, 3)");
}

TEST_F(OpReference, GatherRowsRefusesNegativeIds) {
  ExpectOutOfRange(GatherRows(Iota({3, 2}), I32({-1})),
                   "ids[0] is -1, not in [0, 3)");
}

TEST_F(OpReference, AppendWritesPlaces) {
  const Value state = graph_.State("kv", DType::kF32, {2, 2, 2});
  const Value x = F32({3, 2}, {1, 2, 3, 4, 5, 6});
  // The third token overwrites the first.
  const Step step = {I32({1, 0, 1}), I32({0, 1, 0})};
  EXPECT_THAT(Eval(Append(state, x, step)),
              ElementsAre(0, 0, 5, 6, 3, 4, 0, 0));
}

TEST_F(OpReference, AppendRoundsToNearestEven) {
  const Step step = {I32({0}), I32({0})};
  // f16 has 11 significant bits: 2049 and 2051 are ties.
  const Value x = F32({1, 3}, {2049, 2051, 2050.5});
  const Value f16 = graph_.State("a", DType::kF16, {1, 1, 3});
  EXPECT_THAT(Eval(Append(f16, x, step)), ElementsAre(2048, 2052, 2050));
  // bf16 has 8: 257 and 259 are ties.
  const Value y = F32({1, 3}, {257, 259, 258.5});
  const Value bf16 = graph_.State("b", DType::kBF16, {1, 1, 3});
  EXPECT_THAT(Eval(Append(bf16, y, step)), ElementsAre(256, 260, 258));
}

TEST_F(OpReference, AppendRefusesPositionsOutsideTheState) {
  const Value state = graph_.State("kv", DType::kF16, {2, 4, 1});
  ExpectOutOfRange(Append(state, Iota({2, 1}), {I32({3, 4}), I32({0, 1})}),
                   "pos[1] is 4, not in [0, 4)");
}

TEST_F(OpReference, AppendRefusesSlotsOutsideTheState) {
  const Value state = graph_.State("kv", DType::kF16, {2, 4, 1});
  ExpectOutOfRange(Append(state, Iota({2, 1}), {I32({3, 3}), I32({0, 2})}),
                   "slot[1] is 2, not in [0, 2)");
}

// Each row is blocks of its own, the last one padded.
TEST_F(OpReference, AppendRoundsToBlocks) {
  const Step step = {I32({0}), I32({0})};
  const Value state = graph_.State("kv", DType::kQ8_0, {1, 1, 2, 3});
  // Steps of 2 and of 1: 5 is a tie, away from zero.
  const Value x = F32({1, 2, 3}, {254, 5, -7, 127, 0.5, 1.25});
  EXPECT_THAT(Eval(Append(state, x, step)),
              ElementsAre(254, 6, -8, 127, 1, 1));
}

TEST_F(OpReference, StepsWithoutTokensAreFine) {
  Graph g;
  const Dim t = Dim::Symbol("T", 4);
  const Value x = g.Input("x", DType::kF32, {t, 6});
  const Value pos = g.Input("pos", DType::kI32, {t});
  const Value h =
      Rope(Reshape(RmsNorm(x, 1e-5), {t, 1, 6}), pos, {.n_dims = 6});
  const Value y = Softmax(Mask(Permute(h, {0, 2, 1}), pos, {}));
  ASSERT_TRUE(g.status().ok()) << g.status();
  const SymbolValues none = {{"T", 0}};
  const auto run = Interpret(
      g, none, [&](const Graph&, const Node& n) -> absl::StatusOr<HostTensor> {
        const TensorType& type = g.value(n.outputs[0]).type;
        return HostTensor(type.dtype, type.shape.Bind(none));
      });
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->values[static_cast<size_t>(y.id())].elements(), 0);
}

}  // namespace
}  // namespace weft::inline v0
