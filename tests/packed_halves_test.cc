// Products with packed rows of bf16 and f16, on every instruction set that
// packs them: close to the truth, the same bits for any number of tokens.
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "graph/half.h"
#include "graph/packed.h"
#include "graph/sample.h"
#include "gtest/gtest.h"
#include "ops/fused.h"
#include "ops/quantize.h"
#include "ops/shape_ops.h"
#include "tests/sample_data.h"
#include "tests/sanitizer.h"
#include "tests/weight_product.h"

namespace weft::inline v0 {
namespace {

// See quant_matmul_test.
constexpr bool kEmulated = sizeof(WEFT_EMULATOR) > 1;
constexpr int64_t kMostTokens = kEmulated ? 20 : kSanitized ? 80 : 545;
// 12 columns more than whole steps.
constexpr int64_t kColumns = kEmulated ? 108 : 1132;

struct Case {
  DType rows;
  bool rounds;  // activations to bf16
  std::string target;
};

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const std::string& target : (*MakeBackend("cpu"))->Targets()) {
    cases.push_back({DType::kBF16, false, target});
    cases.push_back({DType::kBF16, true, target});
    // f16 has a kernel for tile registers alone.
    if ((*MakeBackend("cpu", {.target = target}))->PacksHalves())
      cases.push_back({DType::kF16, false, target});
  }
  return cases;
}

uint64_t Seed() {
  return static_cast<uint64_t>(
      ::testing::UnitTest::GetInstance()->random_seed());
}

WeightProduct Packed(const Case& c, const HostTensor& rows) {
  HostTensor packed(PackedType(c.rows), rows.dims);
  PackRows(c.rows, rows.bytes.data(), rows.dim(0),
           *RowBytes(c.rows, rows.dim(1)), packed.bytes.data());
  HostTensor unpacked(c.rows, rows.dims);
  UnpackRows(c.rows, packed.bytes.data(), rows.dim(0),
             *RowBytes(c.rows, rows.dim(1)), unpacked.bytes.data());
  EXPECT_EQ(unpacked.bytes, rows.bytes);
  return {std::move(packed),
          {c.target, c.rounds ? PerScaleFor(c.rows) : 0, kMostTokens}};
}

HostTensor RandomRows(DType type, int64_t n, int64_t k) {
  HostTensor rows(type, {n, k});
  FillRandom(rows, Seed());
  return rows;
}

class PackedHalves : public ::testing::TestWithParam<Case> {};

TEST_P(PackedHalves, EqualsDecodingAndMultiplying) {
  SCOPED_TRACE(absl::StrCat("seed ", Seed()));
  const HostTensor rows = RandomRows(GetParam().rows, 48, kColumns);
  WeightProduct product = Packed(GetParam(), rows);
  EXPECT_EQ(product.w().ToFloats(), rows.ToFloats());
  for (const int64_t tokens : {1, 3, 20, 64}) {
    if (tokens > kMostTokens) continue;
    std::vector<float> x = NormalValues(tokens * kColumns, Seed() + 1);
    if (GetParam().rounds)
      for (float& v : x) v = BF16ToF32(F32ToBF16(v));
    EXPECT_LE(Nmse(product.Run(x), product.Truth(x)), 1e-11)
        << tokens << " tokens";
  }
}

// Tiles of every size, those of tile registers, chunks of tokens, a last task
// of few rows, a last step of few columns: each token has the bits that it has
// alone.
TEST_P(PackedHalves, EachTokenIsAsIfAlone) {
  SCOPED_TRACE(absl::StrCat("seed ", Seed()));
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{48, kColumns},
                             {304, kEmulated ? 34 : 544},
                             {16, 6},
                             {32, 2}}) {
    WeightProduct product =
        Packed(GetParam(), RandomRows(GetParam().rows, n, k));
    const std::vector<float> x = NormalValues(kMostTokens * k, Seed() + 1);
    ExpectEachTokenAsIfAlone(product, x, k,
                             {2, 3, 7, 8, 13, 16, 17, 31, 33, 64, 545});
  }
}

// With what follows a product, and tokens that lie at no one distance.
TEST_P(PackedHalves, PermutedTokensGiveTheirBits) {
  constexpr int64_t kA = 3, kB = 7, kN = 48, kK = 70;
  auto graph = std::make_shared<Graph>();
  const Value x = graph->Input("x", DType::kF32, {kA, kB, kK});
  const Value in = GetParam().rounds ? Quantize(x, 1) : x;
  const Value w = graph->Weight("w", PackedType(GetParam().rows), {kN, kK});
  const Value bias = graph->Weight("bias", DType::kF32, {kN});
  graph->Output("straight", QMatMul(in, w, bias, "silu"));
  graph->Output("turned", QMatMul(Permute(in, {1, 0, 2}), w, bias, "silu"));
  ASSERT_TRUE(graph->Finish().ok()) << graph->status();
  const HostTensor rows = RandomRows(GetParam().rows, kN, kK);
  const std::vector<float> biases = NormalValues(kN, Seed() + 2);
  const auto backend =
      MakeBackend("cpu", {.threads = 1, .target = GetParam().target});
  ASSERT_TRUE(backend.ok()) << backend.status();
  const auto made = (*backend)->Compile(graph, [&](const Node& node) {
    return node.name == "w"
               ? absl::MakeConstSpan(rows.bytes)  // in some order
               : absl::MakeConstSpan(
                     reinterpret_cast<const std::byte*>(biases.data()),
                     biases.size() * sizeof(float));
  });
  ASSERT_TRUE(made.ok()) << made.status();
  const std::vector<float> values = NormalValues(kA * kB * kK, Seed() + 1);
  std::memcpy((*made)->Input("x")->data(), values.data(),
              values.size() * sizeof(float));
  ASSERT_TRUE((*made)->Run({}).ok());
  const std::byte* straight = (*made)->Output("straight")->data();
  const std::byte* turned = (*made)->Output("turned")->data();
  constexpr int64_t kRow = kN * int64_t{sizeof(float)};
  for (int64_t a = 0; a < kA; ++a)
    for (int64_t b = 0; b < kB; ++b)
      EXPECT_EQ(0, std::memcmp(straight + (a * kB + b) * kRow,
                               turned + (b * kA + a) * kRow, kRow))
          << a << ", " << b << ", seed " << Seed();
}

// A number that is not finite spoils its token or its row, and nothing else.
TEST_P(PackedHalves, WhatIsNotFiniteStaysInItsRow) {
  constexpr int64_t kN = 48, kK = 70, kTokens = kEmulated ? 20 : 40;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  HostTensor rows = RandomRows(GetParam().rows, kN, kK);
  auto* bits = reinterpret_cast<uint16_t*>(rows.bytes.data());
  bits[17 * kK + 69] = 0xFFFF;  // no number in either type
  WeightProduct product = Packed(GetParam(), rows);
  std::vector<float> x = NormalValues(kTokens * kK, Seed() + 1);
  uint32_t all_ones = ~uint32_t{0};
  std::memcpy(&x[3 * kK + 68], &all_ones, sizeof(float));
  x[18 * kK + 5] = kInfinity;
  const auto expect = [&](int64_t first, int64_t count) {
    const std::vector<float> y = product.Run(absl::MakeConstSpan(x).subspan(
        static_cast<size_t>(first * kK), static_cast<size_t>(count * kK)));
    for (int64_t t = 0; t < count; ++t)
      for (int64_t n = 0; n < kN; ++n)
        EXPECT_EQ(std::isfinite(y[static_cast<size_t>(t * kN + n)]),
                  first + t != 3 && first + t != 18 && n != 17)
            << "token " << t << " of " << count << " from " << first << ", row "
            << n << ", seed " << Seed();
  };
  expect(0, kTokens);
  expect(2, 18);
  for (const int64_t alone : {2, 3, 18}) expect(alone, 1);
}

INSTANTIATE_TEST_SUITE_P(Formats, PackedHalves, ::testing::ValuesIn(AllCases()),
                         [](const auto& param) {
                           return absl::StrCat(
                               Info(param.param.rows).name, "_",
                               param.param.rounds ? "bf16" : "f32", "_",
                               param.param.target);
                         });

}  // namespace
}  // namespace weft::inline v0
