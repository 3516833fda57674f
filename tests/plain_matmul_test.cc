// Products with rows of plain values, f32, f16 and bf16, on every instruction
// set: close to the truth, the same bits for any number of tokens.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/half.h"
#include "gtest/gtest.h"
#include "ops/quantize.h"
#include "tests/sample_data.h"
#include "tests/weight_product.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kMostTokens = 41;

struct Case {
  DType rows;
  bool rounds;  // activations to bf16
  std::string target;
};

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const std::string& target : (*MakeBackend("cpu"))->Targets()) {
    for (const DType rows : {DType::kF32, DType::kF16, DType::kBF16})
      cases.push_back({rows, false, target});
    cases.push_back({DType::kBF16, true, target});
  }
  return cases;
}

uint64_t Seed() {
  return static_cast<uint64_t>(
      ::testing::UnitTest::GetInstance()->random_seed());
}

class PlainMatMul : public ::testing::TestWithParam<Case> {
 protected:
  static WeightProduct Random(int64_t n, int64_t k) {
    HostTensor rows(GetParam().rows, {n, k});
    FillRandom(rows, Seed());
    return {std::move(rows),
            {GetParam().target,
             GetParam().rounds ? PerScaleFor(DType::kBF16) : 0, kMostTokens}};
  }
};

// The error of f32 sums, squared; 1e-11 is the bound for f32 products.
TEST_P(PlainMatMul, EqualsDecodingAndMultiplying) {
  SCOPED_TRACE(absl::StrCat("seed ", Seed()));
  constexpr int64_t kColumns = 1132;
  WeightProduct product = Random(37, kColumns);
  for (const int64_t tokens : {1, 9, 41}) {
    std::vector<float> x = NormalValues(tokens * kColumns, Seed() + 1);
    if (GetParam().rounds)
      for (float& v : x) v = BF16ToF32(F32ToBF16(v));
    EXPECT_LE(Nmse(product.Run(x), product.Truth(x)), 1e-11)
        << tokens << " tokens";
  }
}

// Tiles of every size and what they leave, rows that are short, a last tile of
// few rows, a last vector of few columns: each token has the bits that it has
// alone.
TEST_P(PlainMatMul, EachTokenIsAsIfAlone) {
  SCOPED_TRACE(absl::StrCat("seed ", Seed()));
  for (const auto& [n, k] :
       {std::pair<int64_t, int64_t>{70, 300}, {21, 68}, {16, 64}, {3, 5}}) {
    WeightProduct product = Random(n, k);
    const std::vector<float> x = NormalValues(kMostTokens * k, Seed() + 1);
    ExpectEachTokenAsIfAlone(product, x, k,
                             {2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                              13, 14, 15, 16, 17, 18, 19, 20, 27, 34, 41});
  }
}

INSTANTIATE_TEST_SUITE_P(All, PlainMatMul, ::testing::ValuesIn(AllCases()),
                         [](const auto& param) {
                           return absl::StrCat(
                               Name(param.param.rows),
                               param.param.rounds ? "_rounded_" : "_",
                               param.param.target);
                         });

}  // namespace
}  // namespace weft::inline v0
