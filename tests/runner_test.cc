// Any graph, run with the caller's buffers.
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "models/runner.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

// y = relu(x w^T) + b, z = x + x, of N rows.
std::unique_ptr<Graph> TwoOutputs(DType dtype = DType::kF32) {
  auto g = std::make_unique<Graph>();
  const Dim n = Dim::Symbol("N", 8);
  const Value x = g->Input("x", DType::kF32, {n, 32});
  const Value b = g->Input("b", DType::kF32, {n, 4});
  g->Output("y", Relu(Linear(x, g->Weight("w", dtype, {4, 32}))) + b);
  g->Output("z", x + x);
  return g;
}

TEST(Runner, RunsWithWeightsFromMemory) {
  std::vector<float> w(4 * 32, 0.0f);
  for (size_t i = 0; i < 4; ++i) w[i * 32 + i] = i % 2 == 0 ? 1.0f : -1.0f;
  const NamedWeight weight = {
      "w", {reinterpret_cast<const std::byte*>(w.data()), w.size() * 4}};
  auto runner = Runner::Compile(TwoOutputs(), WeightsFromMemory({weight}));
  ASSERT_TRUE(runner.ok()) << runner.status();
  EXPECT_EQ((*runner)->fusion_report().Count("matmul_activation"), 1);
  for (const int64_t rows : {3, 8, 1}) {
    std::vector<float> x(static_cast<size_t>(rows) * 32), b, y, z;
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 7) + 1;
    b.assign(static_cast<size_t>(rows) * 4, 0.5f);
    y.assign(b.size(), -1.0f);
    z.assign(x.size(), -1.0f);
    const absl::Status ran =
        (*runner)->Run({InputOf(x, {rows, 32}), InputOf(b, {rows, 4})},
                       {OutputOf(y), OutputOf(z)});
    ASSERT_TRUE(ran.ok()) << ran;
    for (size_t r = 0; r < static_cast<size_t>(rows); ++r)
      for (size_t i = 0; i < 4; ++i)
        EXPECT_EQ(y[r * 4 + i], (i % 2 == 0 ? x[r * 32 + i] : 0) + 0.5f);
    for (size_t i = 0; i < z.size(); ++i) ASSERT_EQ(z[i], 2 * x[i]);
  }
}

TEST(Runner, RandomWeightsFollowTheirSeed) {
  const auto run = [](uint64_t seed, DType dtype) {
    auto runner = Runner::Compile(TwoOutputs(dtype), RandomWeights(seed));
    EXPECT_TRUE(runner.ok()) << runner.status();
    std::vector<float> x(32), b(4), y(4);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 5) - 1;
    EXPECT_TRUE(
        (*runner)
            ->Run({InputOf(x, {1, 32}), InputOf(b, {1, 4})}, {OutputOf(y)})
            .ok());
    return y;
  };
  EXPECT_EQ(run(1, DType::kF32), run(1, DType::kF32));
  EXPECT_NE(run(1, DType::kF32), run(2, DType::kF32));
  // The same values, rounded.
  const auto exact = run(3, DType::kF32), rounded = run(3, DType::kQ8_0);
  for (size_t i = 0; i < exact.size(); ++i)
    EXPECT_NEAR(exact[i], rounded[i], 0.02);  // 32 products of error < 3e-4
  EXPECT_TRUE(absl::IsUnimplemented(
      Runner::Compile(
          [] {
            auto g = std::make_unique<Graph>();
            const Value x = g->Input("x", DType::kF32, {1, 256});
            g->Output("y", Linear(x, g->Weight("w", DType::kQ4_K, {4, 256})));
            return g;
          }(),
          RandomWeights(1))
          .status()));
}

TEST(Runner, SaysWhatIsWrong) {
  auto runner = Runner::Compile(TwoOutputs(), RandomWeights(1));
  ASSERT_TRUE(runner.ok()) << runner.status();
  std::vector<float> x(9 * 32), b(9 * 4), y(2);
  const auto run = [&](std::vector<InputBuffer> in,
                       std::vector<OutputBuffer> out = {}) {
    return std::string((*runner)->Run(in, out).ToString());
  };
  const auto rows = [](std::vector<float>& v, int64_t n, int64_t width) {
    return InputOf(absl::MakeSpan(v).first(static_cast<size_t>(n * width)),
                   {n, width});
  };
  EXPECT_EQ(run({rows(x, 1, 32)}),
            "INVALID_ARGUMENT: 1 inputs and 0 outputs; the graph has 2 and 2");
  EXPECT_EQ(run({rows(x, 9, 32), rows(b, 9, 4)}),
            "OUT_OF_RANGE: input x f32[N,32]: dim 0 is 9; N is 1 to 8");
  EXPECT_EQ(run({rows(x, 2, 32), rows(b, 3, 4)}),
            "INVALID_ARGUMENT: input b f32[N,4]: dim 0 is 3; expected 2");
  EXPECT_EQ(run({InputOf(x, {2, 32}), rows(b, 2, 4)}),
            "INVALID_ARGUMENT: input x f32[N,32]: given 1152 bytes; these dims "
            "have 256");
  EXPECT_EQ(run({rows(x, 2, 32), rows(b, 2, 4)}, {OutputOf(y)}),
            "INVALID_ARGUMENT: output y f32[N,4]: room for 8 bytes; needs 32");
  EXPECT_TRUE(absl::IsNotFound(
      Runner::Compile(TwoOutputs(), WeightsFromMemory({})).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Runner::Compile(TwoOutputs(), WeightsFromMemory({{"w", {}}})).status()));
}

}  // namespace
}  // namespace weft::inline v0
