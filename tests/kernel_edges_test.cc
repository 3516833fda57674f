// Kernels at the edges: every size of the fastest dimension up to a few
// vectors, special values, all bit patterns of half floats, indices outside
// their tables, and elements of every width.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/cpu/target_names.h"
#include "graph/blocks/blocks.h"
#include "graph/half.h"
#include "ops/fused.h"
#include "ops/ops.h"
#include "tests/kernel_harness.h"
#include "tests/sample_data.h"

namespace weft::inline v0 {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

// One instruction set each.
class TargetTest : public ::testing::TestWithParam<std::string> {
 protected:
  static uint64_t Seed() {
    return 1 + static_cast<uint64_t>(GTEST_FLAG_GET(random_seed));
  }

  void Check(const std::function<Values(SampleGraph&)>& build) {
    CheckKernels({"edge", build}, {GetParam()}, Seed());
  }

  // Calls the kernel of that name.
  absl::Status Call(absl::string_view name,
                    const std::vector<const HostTensor*>& in, HostTensor& out,
                    const cpu::KernelParams& params = {}) {
    for (const cpu::Kernel& kernel : KernelsOfTarget(GetParam()))
      if (kernel.name == name)
        return CallKernel(kernel, params, in, absl::MakeSpan(&out, 1), {});
    return absl::NotFoundError(name);
  }

  // y = op(x) of an elementwise op or a row.
  std::vector<float> Map(absl::string_view name, std::vector<float> x) {
    const HostTensor in =
        HostTensor::FromFloats({static_cast<int64_t>(x.size())}, x);
    HostTensor out(DType::kF32, in.dims);
    const absl::Status status = Call(name, {&in}, out);
    EXPECT_TRUE(status.ok()) << name << ": " << status;
    return out.ToFloats();
  }
};

// ---- Sizes: 1 .. 4 vectors of 16 lanes + 3 ----

constexpr int64_t kMaxSize = 4 * 16 + 3;

TEST_P(TargetTest, EverySizeOfElementwise) {
  for (int64_t n = 1; n <= kMaxSize && !HasFailure(); ++n) {
    Check([n](SampleGraph& g) -> Values {
      const Value x = g.Normal({3, n});
      return {x + g.Normal({3, n}), x * g.Normal({n}), x - g.Normal({3, 1}),
              x * 0.5};
    });
    for (const OpDef* op : Activations())
      Check([n, op](SampleGraph& g) -> Values {
        const Value x = g.Normal({2, n});
        return {g.graph().Emit(*op, {x}, {}, Where()),
                Gated(x, g.Normal({2, n}), op->name)};
      });
  }
}

TEST_P(TargetTest, EverySizeOfRows) {
  for (int64_t n = 1; n <= kMaxSize && !HasFailure(); ++n)
    Check([n](SampleGraph& g) -> Values {
      const Value x = g.Normal({3, n});
      const Value w = g.Normal({n});
      return {Softmax(x),
              Exp(x),
              RmsNorm(x, 1e-5),
              LayerNorm(x, 1e-5),
              RmsNormMul(x, w, 1e-5),
              LayerNormMulAdd(x, w, g.Normal({n}), 1e-5),
              AddRmsNorm(x, g.Normal({3, n}), w, 1e-5)[1],
              Mask(x, g.Positions({3}, n / 2 - 1), {.window = n / 3})};
    });
}

TEST_P(TargetTest, EverySizeOfHeads) {
  for (int64_t pairs = 1; pairs <= kMaxSize && !HasFailure(); ++pairs)
    Check([pairs](SampleGraph& g) -> Values {
      const Value x = g.Normal({2, 3, 2 * pairs + pairs % 4});
      const Value table = g.Normal({2, pairs, 2});
      return {Rotate(x, table, true), Rotate(x, table, false)};
    });
}

TEST_P(TargetTest, EverySizeOfMatrices) {
  for (int64_t n = 1; n <= kMaxSize && !HasFailure(); ++n)
    Check([n](SampleGraph& g) -> Values {
      return {MatMul(g.Normal({n % 7 + 1, 5}), g.Normal({5, n})),
              MatMul(g.Normal({2, n % 9 + 1, n}), g.Normal({n, 19}))};
    });
}

TEST_P(TargetTest, EverySizeOfStates) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16})
    for (int64_t n = 1; n <= kMaxSize && !HasFailure(); ++n)
      Check([n, dtype](SampleGraph& g) -> Values {
        const Value state = g.State(dtype, {2, 4, 3, n});
        const Step step = {g.Ids({3}, 4), g.Ids({3}, 2)};
        return {Dequant(Append(state, g.Normal({3, 3, n}), step))};
      });
}

// Rows longer than a task's piece.
TEST_P(TargetTest, LongRows) {
  Check([](SampleGraph& g) -> Values {
    const Value x = g.Normal({2, 2500});
    const Value y = g.Normal({2, 2500});
    return {x + y,   x * g.Normal({2500}), x - g.Normal({2, 1}),
            Silu(x), Gated(x, y, "gelu"),  Softmax(x)};
  });
}

// ---- Elements of 1, 2, 4 and 8 bytes ----

TEST_P(TargetTest, MovesElementsOfEveryWidth) {
  for (const DType dtype :
       {DType::kI8, DType::kF16, DType::kF32, DType::kI64}) {
    // The values are irrelevant; all bytes are kept.
    HostTensor x(dtype, {3, 5, 18});
    for (size_t i = 0; i < x.bytes.size(); ++i)
      x.bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
    const int64_t size = Info(dtype).block_bytes;
    cpu::KernelParams params;
    params.perm = {2, 0, 1};
    HostTensor y(dtype, {18, 3, 5});
    ASSERT_TRUE(Call("permute", {&x}, y, params).ok());
    for (int64_t a = 0; a < 3; ++a)
      for (int64_t b = 0; b < 5; ++b)
        for (int64_t c = 0; c < 18; ++c)
          ASSERT_EQ(0,
                    std::memcmp(&x.bytes[size_t(((a * 5 + b) * 18 + c) * size)],
                                &y.bytes[size_t(((c * 3 + a) * 5 + b) * size)],
                                static_cast<size_t>(size)));
  }
}

// ---- Special values ----

TEST_P(TargetTest, ExpOfExtremes) {
  const auto y = Map("exp", {-kInf, -1e30f, -104.0f, -0.0f, 0.0f, 88.0f, 89.0f,
                             150.0f, 3e38f, kInf, kNan});
  for (const size_t i : {size_t{0}, size_t{1}}) EXPECT_EQ(y[i], 0.0f);
  EXPECT_LT(y[2], 1e-44f);
  EXPECT_EQ(y[3], 1.0f);
  EXPECT_EQ(y[4], 1.0f);
  EXPECT_NEAR(y[5] / 1.6516362549940018e38, 1, 1e-6);
  for (size_t i = 6; i < 10; ++i) EXPECT_EQ(y[i], kInf) << i;
  EXPECT_TRUE(std::isnan(y[10]));
}

TEST_P(TargetTest, ActivationsOfExtremes) {
  for (const OpDef* op : Activations()) {
    SCOPED_TRACE(op->name);
    const auto y = Map(op->name, {kNan, 3e38f, -3e38f, 0.0f, 1e-40f, kInf});
    EXPECT_TRUE(std::isnan(y[0]));
    const bool bounded = op == &kSigmoid || op == &kTanh;
    EXPECT_EQ(y[1], bounded ? 1.0f : 3e38f);
    EXPECT_EQ(y[2], op == &kTanh ? -1.0f : 0.0f);
    EXPECT_EQ(y[3], op == &kSigmoid ? 0.5f : 0.0f);
    EXPECT_NEAR(y[4], ActivationOf(op->name, 1e-40f), 1e-7);
    EXPECT_EQ(y[5], bounded ? 1.0f : kInf);
  }
}

TEST_P(TargetTest, ReluOfMinusInfinity) {
  EXPECT_EQ(Map("relu", {-kInf}), std::vector<float>{0.0f});
  EXPECT_EQ(ActivationOf("relu", -kInf), 0.0);
}

// Each function's own error, far below the tolerance of the ops: relative where
// |f| >= 1, absolute below.
TEST_P(TargetTest, ActivationsAreExactTo2e7) {
  std::vector<float> x;
  for (float v = -60; v <= 60; v += 0.0137f) x.push_back(v);
  for (const OpDef* op : Activations()) {
    const auto y = Map(op->name, x);
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = ActivationOf(op->name, x[i]);
      ASSERT_NEAR(y[i], want, 2e-7 * std::max(1.0, std::abs(want)))
          << op->name << " of " << x[i];
    }
  }
}

TEST_P(TargetTest, TanhKeepsSmallNumbers) {
  for (float x = 1e-30f; x < 0.1f; x *= 1.7f)
    EXPECT_NEAR(Map("tanh", {x})[0] / std::tanh(static_cast<double>(x)), 1,
                5e-7)
        << x;
}

TEST_P(TargetTest, SoftmaxOfExcludedRows) {
  for (const size_t n : {1u, 3u, 16u, 37u}) {
    const auto none = Map("softmax", std::vector<float>(n, -kInf));
    EXPECT_EQ(none, std::vector<float>(n, 0.0f));
    std::vector<float> one(n, -kInf), want(n, 0.0f);
    one[n / 2] = -3e38f;
    want[n / 2] = 1.0f;
    EXPECT_EQ(Map("softmax", one), want);
    one[n - 1] = kNan;
    EXPECT_TRUE(std::isnan(Map("softmax", one)[0]));
  }
}

TEST_P(TargetTest, SoftmaxOfLargeNumbers) {
  const auto y = Map("softmax", {1e30f, 1e30f, -1e30f, 0.0f});
  EXPECT_EQ(y, (std::vector<float>{0.5f, 0.5f, 0.0f, 0.0f}));
}

// ---- Halves ----

// Same bits; any NaN for a NaN.
template <class T>
bool SameFloat(T a, T b, bool nan) {
  return nan || std::memcmp(&a, &b, sizeof(T)) == 0;
}

TEST_P(TargetTest, DecodesAllHalves) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    HostTensor x(dtype, {1 << 16});
    auto* bits = reinterpret_cast<uint16_t*>(x.bytes.data());
    for (size_t i = 0; i < (1 << 16); ++i) bits[i] = static_cast<uint16_t>(i);
    HostTensor y(DType::kF32, x.dims);
    ASSERT_TRUE(Call(absl::StrCat("dequant.", Name(dtype)), {&x}, y).ok());
    const std::vector<float> want = x.ToFloats();
    for (size_t i = 0; i < want.size(); ++i)
      ASSERT_TRUE(SameFloat(y.f32()[i], want[i],
                            std::isnan(want[i]) && std::isnan(y.f32()[i])))
          << Name(dtype) << " " << i << ": " << y.f32()[i] << ", wanted "
          << want[i];
  }
}

// Rows that begin with each half and go on with zeros, times ones.
TEST_P(TargetTest, MultipliesAllHalves) {
  for (const int64_t k : {1, 19}) {  // part of a vector; one and more
    HostTensor w(DType::kF16, {1 << 16, k});
    auto* bits = reinterpret_cast<uint16_t*>(w.bytes.data());
    std::vector<float> want;
    for (int64_t i = 0; i < (1 << 16); ++i) {
      bits[i * k] = static_cast<uint16_t>(i);
      want.push_back(F16ToF32(static_cast<uint16_t>(i)));
    }
    const std::vector<float> ones(static_cast<size_t>(k), 1.0f);
    const HostTensor x = HostTensor::FromFloats({1, k}, ones);
    HostTensor y(DType::kF32, {1, 1 << 16});
    ASSERT_TRUE(Call("qmatmul.f16", {&x, &w}, y).ok());
    for (size_t i = 0; i < want.size(); ++i) {
      if (std::isnan(want[i])) {
        ASSERT_TRUE(std::isnan(y.f32()[i])) << i << ": " << y.f32()[i];
      } else {
        ASSERT_EQ(y.f32()[i], want[i]) << i;
      }
    }
  }
}

// Scales and minimums that are no numbers stay what they are.
TEST_P(TargetTest, MultipliesInfiniteScales) {
  const std::vector<float> ones(32, 1.0f);
  const HostTensor x = HostTensor::FromFloats({1, 32}, ones);
  HostTensor y(DType::kF32, {1, 5});
  HostTensor q8_0(DType::kQ8_0, {5, 32}), q5_1(DType::kQ5_1, {5, 32});
  for (int64_t row = 0; row < 5; ++row) {
    auto& scaled = reinterpret_cast<BlockQ8_0*>(q8_0.bytes.data())[row];
    scaled.d = 0x7C00;
    std::fill_n(scaled.q, 32, int8_t{1});
    reinterpret_cast<BlockQ5_1*>(q5_1.bytes.data())[row].m = 0x7C00;
  }
  for (const auto& [name, w] :
       {std::pair("qmatmul.q8_0", &q8_0), std::pair("qmatmul.q5_1", &q5_1)}) {
    ASSERT_TRUE(Call(name, {&x, w}, y).ok());
    EXPECT_EQ(y.ToFloats(), std::vector<float>(5, kInf)) << name;
  }
}

// Every 4099th f32, so that all exponents and many ties come up.
TEST_P(TargetTest, EncodesHalves) {
  constexpr int64_t kCount = (int64_t{1} << 32) / 4099;
  HostTensor x(DType::kF32, {1, kCount});
  for (int64_t i = 0; i < kCount; ++i) {
    const uint32_t bits = static_cast<uint32_t>(i * 4099);
    std::memcpy(&x.f32()[i], &bits, 4);
  }
  // Halves between two f16 and two bf16: ties.
  for (int64_t i = 0; i < kCount; i += 3) {
    const float tie = F16ToF32(static_cast<uint16_t>(i % 0x7C00)) * 1.00048828f;
    x.f32()[i] = i % 2 == 0 ? tie : -tie;
  }
  const HostTensor zero = HostTensor::FromInts({1}, {0});
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    HostTensor y(dtype, {1, 1, kCount});
    const HostTensor state = y;
    ASSERT_TRUE(Call(absl::StrCat("append.", Name(dtype)),
                     {&state, &x, &zero, &zero}, y)
                    .ok());
    const auto* bits = reinterpret_cast<const uint16_t*>(y.bytes.data());
    const std::vector<float> decoded = y.ToFloats();
    for (int64_t i = 0; i < kCount; ++i) {
      const float f = x.f32()[i];
      const uint16_t want = dtype == DType::kF16 ? F32ToF16(f) : F32ToBF16(f);
      ASSERT_TRUE(SameFloat(bits[i], want,
                            std::isnan(f) && std::isnan(decoded[size_t(i)])))
          << Name(dtype) << " of " << f << " is " << bits[i] << ", wanted "
          << want;
    }
  }
}

// ---- Indices ----

TEST_P(TargetTest, GatherReportsBadIds) {
  HostTensor table(DType::kF32, {4, 3});
  FillRandom(table, Seed());
  for (const int32_t bad : {-1, 4, INT32_MIN, INT32_MAX}) {
    const HostTensor ids = HostTensor::FromInts({3}, {2, bad, 0});
    for (const absl::string_view name : {"gather_rows", "qgather.f32"}) {
      HostTensor y(DType::kF32, {3, 3});
      const absl::Status status = Call(name, {&table, &ids}, y);
      EXPECT_EQ(status, absl::OutOfRangeError(absl::StrCat("index ", bad)));
      for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(y.f32()[i], table.f32()[6 + i]);
        EXPECT_EQ(y.f32()[3 + i], 0.0f);
        EXPECT_EQ(y.f32()[6 + i], table.f32()[i]);
      }
    }
  }
}

TEST_P(TargetTest, AppendReportsBadPlaces) {
  HostTensor x(DType::kF32, {2, 3});
  FillRandom(x, Seed());
  const HostTensor state(DType::kF32, {2, 4, 3});
  for (const int32_t bad : {-1, 4, INT32_MIN, INT32_MAX}) {
    const HostTensor good = HostTensor::FromInts({2}, {1, 0});
    const HostTensor wrong = HostTensor::FromInts({2}, {1, bad});
    for (const bool slot_is_wrong : {false, true}) {
      HostTensor y = state;
      const absl::Status status =
          Call("append.f32",
               {&state, &x, slot_is_wrong ? &wrong : &good,
                slot_is_wrong ? &good : &wrong},
               y);
      EXPECT_EQ(status, absl::OutOfRangeError(absl::StrCat("index ", bad)));
      // Token 0 stands at (1, 1); nothing else was written.
      HostTensor want = state;
      std::memcpy(want.f32() + (1 * 4 + 1) * 3, x.f32(), 12);
      EXPECT_EQ(y.bytes, want.bytes);
    }
  }
}

TEST_P(TargetTest, TheLastOfTwoTokensWithOnePlaceWins) {
  HostTensor x(DType::kF32, {3, 2, 5});
  FillRandom(x, Seed());
  HostTensor y(DType::kF32, {1, 2, 2, 5});
  const HostTensor state = y;
  const HostTensor slot = HostTensor::FromInts({3}, {0, 0, 0});
  const HostTensor pos = HostTensor::FromInts({3}, {1, 0, 1});
  ASSERT_TRUE(Call("append.f32", {&state, &x, &slot, &pos}, y).ok());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(y.f32()[i], x.f32()[10 + i]);
    EXPECT_EQ(y.f32()[10 + i], x.f32()[20 + i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, TargetTest,
                         ::testing::ValuesIn(cpu::RunnableTargets()),
                         [](const auto& target) { return target.param; });

}  // namespace
}  // namespace weft::inline v0
