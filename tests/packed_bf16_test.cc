// Products with packed rows of bf16, on every instruction set: close to
// the truth, the same bits for any number of tokens.
#include <cstring>

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
  bool rounds;  // activations to bf16
  std::string target;
};

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const std::string& target : (*MakeBackend("cpu"))->Targets()) {
    cases.push_back({false, target});
    cases.push_back({true, target});
  }
  return cases;
}

uint64_t Seed() {
  return static_cast<uint64_t>(
      ::testing::UnitTest::GetInstance()->random_seed());
}

WeightProduct Packed(const Case& c, const HostTensor& rows) {
  HostTensor packed(PackedType(DType::kBF16), rows.dims);
  PackRows(DType::kBF16, rows.bytes.data(), rows.dim(0),
           *RowBytes(DType::kBF16, rows.dim(1)), packed.bytes.data());
  EXPECT_EQ(packed.ToFloats(), rows.ToFloats());
  return {std::move(packed),
          {c.target, c.rounds ? PerScaleFor(DType::kBF16) : 0, kMostTokens}};
}

HostTensor RandomRows(int64_t n, int64_t k) {
  HostTensor rows(DType::kBF16, {n, k});
  FillRandom(rows, Seed());
  return rows;
}

class PackedBF16 : public ::testing::TestWithParam<Case> {};

TEST_P(PackedBF16, EqualsDecodingAndMultiplying) {
  SCOPED_TRACE(absl::StrCat("seed ", Seed()));
  WeightProduct product = Packed(GetParam(), RandomRows(48, kColumns));
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
TEST_P(PackedBF16, EachTokenIsAsIfAlone) {
  SCOPED_TRACE(absl::StrCat("seed ", Seed()));
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{48, kColumns},
                             {304, kEmulated ? 34 : 544},
                             {16, 6},
                             {32, 2}}) {
    WeightProduct product = Packed(GetParam(), RandomRows(n, k));
    const std::vector<float> x = NormalValues(kMostTokens * k, Seed() + 1);
    ExpectEachTokenAsIfAlone(product, x, k,
                             {2, 3, 7, 8, 13, 16, 17, 31, 33, 64, 545});
  }
}

// With what follows a product, and tokens that lie at no one distance.
TEST_P(PackedBF16, PermutedTokensGiveTheirBits) {
  constexpr int64_t kA = 3, kB = 7, kN = 48, kK = 70;
  auto graph = std::make_shared<Graph>();
  const Value x = graph->Input("x", DType::kF32, {kA, kB, kK});
  const Value in = GetParam().rounds ? Quantize(x, 1) : x;
  const Value w = graph->Weight("w", PackedType(DType::kBF16), {kN, kK});
  const Value bias = graph->Weight("bias", DType::kF32, {kN});
  graph->Output("straight", QMatMul(in, w, bias, "silu"));
  graph->Output("turned", QMatMul(Permute(in, {1, 0, 2}), w, bias, "silu"));
  ASSERT_TRUE(graph->Finish().ok()) << graph->status();
  const HostTensor rows = RandomRows(kN, kK);
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

INSTANTIATE_TEST_SUITE_P(Formats, PackedBF16, ::testing::ValuesIn(AllCases()),
                         [](const auto& param) {
                           return absl::StrCat(
                               param.param.rounds ? "bf16" : "f32", "_",
                               param.param.target);
                         });

}  // namespace
}  // namespace weft::inline v0
