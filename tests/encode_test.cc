// Encoders: what they refuse, that no row makes them worse than rounding to
// nearest, and that bytes depend on nothing but the values.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/encode.h"
#include "gmock/gmock.h"
#include "graph/dtype.h"
#include "gtest/gtest.h"
#include "tests/encode_data.h"

namespace weft::inline v0 {
namespace {

using testing::HasSubstr;

std::vector<DType> EncodableTypes() {
  std::vector<DType> types;
  for (const DTypeInfo& info : AllDTypes())
    if (CanEncode(info.type)) types.push_back(info.type);
  return types;
}

std::string TypeName(DType type) { return std::string(Name(type)); }

std::vector<std::byte> Encoded(DType type, absl::Span<const float> values,
                               int64_t row_length,
                               absl::Span<const float> importance = {}) {
  const auto bytes = RowBytes(type, static_cast<int64_t>(values.size()));
  std::vector<std::byte> out(static_cast<size_t>(bytes.value()));
  const absl::Status status = EncodeRows(type, values, row_length, importance,
                                         {out.data(), out.size()});
  EXPECT_TRUE(status.ok()) << status;
  return out;
}

class EncodeTest : public testing::TestWithParam<DType> {
 protected:
  DType type() const { return GetParam(); }
  std::string ErrorOf(const std::vector<float>& values, int64_t row_length,
                      const std::vector<float>& importance = {},
                      int64_t extra_bytes = 0) const {
    const int64_t bytes =
        RowBytes(type(), static_cast<int64_t>(values.size())).value_or(0);
    std::vector<std::byte> out(static_cast<size_t>(bytes + extra_bytes));
    const absl::Status status = EncodeRows(
        type(), values, row_length, importance, {out.data(), out.size()});
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  }
};

INSTANTIATE_TEST_SUITE_P(AllTypes, EncodeTest,
                         testing::ValuesIn(EncodableTypes()),
                         [](const auto& param) {
                           return TypeName(param.param);
                         });

TEST(CanEncode, AllThatDecodes) {
  for (const DTypeInfo& info : AllDTypes())
    EXPECT_EQ(CanEncode(info.type), IsDecodable(info.type)) << info.name;
  EXPECT_FALSE(CanEncode(DType::kUnknown));
}

TEST(EncodeRows, NamesAFormatThatItDoesNotWrite) {
  std::vector<float> values(256);
  std::vector<std::byte> out(66);
  const absl::Status status =
      EncodeRows(DType::kTQ2_0, values, 256, {}, {out.data(), out.size()});
  EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("tq2_0"));
}

TEST_P(EncodeTest, RefusesSizesThatDoNotFit) {
  const int64_t n = Info(type()).block_values;
  const std::vector<float> two(static_cast<size_t>(2 * n));
  EXPECT_EQ(ErrorOf(two, n), "");
  EXPECT_EQ(ErrorOf(two, 2 * n), "");
  EXPECT_EQ(ErrorOf({}, n), "");
  EXPECT_THAT(ErrorOf(two, 3 * n), HasSubstr("not whole rows"));
  EXPECT_THAT(ErrorOf(two, 0), HasSubstr("rows of 0 values"));
  EXPECT_THAT(ErrorOf(two, -n), HasSubstr("rows of -"));
  EXPECT_THAT(ErrorOf(two, n, {}, 1), HasSubstr("bytes, not"));
  EXPECT_THAT(ErrorOf(two, n, {}, -1), HasSubstr("bytes, not"));
  if (n > 1) {
    EXPECT_THAT(ErrorOf(two, n + 1), HasSubstr(absl::StrCat("blocks of ", n)));
  }
}

TEST_P(EncodeTest, RefusesBadImportance) {
  const auto n = static_cast<size_t>(Info(type()).block_values);
  const std::vector<float> row(n, 0.5f);
  const auto length = static_cast<int64_t>(n);
  EXPECT_THAT(ErrorOf(row, length, std::vector<float>(n + 1, 1)),
              HasSubstr("importance has"));
  for (const float bad : {-1.0f, std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> weights(n, 1);
    weights.back() = bad;
    EXPECT_THAT(ErrorOf(row, length, weights),
                HasSubstr(absl::StrCat("column ", n - 1)));
  }
}

TEST_P(EncodeTest, NamesRowAndColumnOfABadValue) {
  const auto n = static_cast<size_t>(Info(type()).block_values);
  for (const float bad : {std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values(6 * n, 0.5f);  // 3 rows of 2 blocks
    values[4 * n + n / 2] = bad;
    const std::string error = ErrorOf(values, static_cast<int64_t>(2 * n));
    EXPECT_THAT(error, HasSubstr(absl::StrCat("row 2, column ", n / 2, ":")));
    EXPECT_THAT(error, HasSubstr(TypeName(type())));
  }
}

// Either a Status or finite blocks, whatever the magnitude; and where there is
// a limit, values just below it keep their sign and order of magnitude.
TEST_P(EncodeTest, LargeValuesFailOrStayFinite) {
  const auto n = static_cast<size_t>(Info(type()).block_values);
  float largest = 0;
  for (int power = 10; power < 128; ++power)
    for (const float sign : {-1.0f, 1.0f}) {
      std::vector<float> values(n, std::ldexp(-sign, power - 1));
      values[n / 2] = std::ldexp(sign * 1.999f, power);
      std::vector<std::byte> out(static_cast<size_t>(Info(type()).block_bytes));
      const absl::Status status =
          EncodeRows(type(), values, static_cast<int64_t>(n), {},
                     {out.data(), out.size()});
      if (!status.ok()) {
        EXPECT_THAT(std::string(status.message()),
                    HasSubstr(absl::StrCat("too large for ", Name(type()))));
        continue;
      }
      largest = std::fabs(values[n / 2]);
      const std::vector<float> decoded = Decoded(type(), out);
      for (const float v : decoded) EXPECT_TRUE(std::isfinite(v)) << power;
      EXPECT_GT(decoded[n / 2] / values[n / 2], 0.5) << power;
      EXPECT_LT(decoded[n / 2] / values[n / 2], 1.5) << power;
    }
  EXPECT_GT(largest, 30000);  // what f16, the narrowest, holds
}

// ---- Rows of every kind ----

// Where the plain encoders leave nothing to search, errors are within a step.
double LargestStep(DType type, absl::Span<const float> block) {
  float low = 0, high = 0;
  for (const float v : block) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const double top = std::max(high, -low), range = high - low;
  switch (type) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return std::max(top * 0x1p-11, 0x1p-25);
    case DType::kBF16:
      return std::max(top * 0x1p-8, 0x1p-133);
    case DType::kQ8_0:
    case DType::kQ8_K:
      return top / 127;
    case DType::kQ4_0:
      return top / 8;
    case DType::kQ5_0:
      return top / 16;
    case DType::kQ4_1:
      return range / 15;
    case DType::kQ5_1:
      return range / 31;
    default:
      return range;
  }
}

TEST_P(EncodeTest, ErrorsAreWithinAStep) {
  const DTypeInfo& info = Info(type());
  const auto n = static_cast<size_t>(info.block_values);
  for (const RowKind kind : kAllRowKinds) {
    SCOPED_TRACE(NameOf(kind));
    const std::vector<float> values = RowsOf(kind, 4096, /*seed=*/3);
    const std::vector<float> decoded =
        Decoded(type(), Encoded(type(), values, 1024));
    ASSERT_EQ(decoded.size(), values.size());
    for (size_t b = 0; b < values.size(); b += n) {
      const auto block = absl::MakeConstSpan(values).subspan(b, n);
      // An f16 scale is off by 2^-11 of itself or by 2^-25, up to 128 times,
      // and so may a minimum be.
      const double step = LargestStep(type(), block) * 1.01 +
                          (type() == DType::kF32 ? 0 : 0x1p-18);
      for (size_t i = 0; i < n; ++i) {
        ASSERT_TRUE(std::isfinite(decoded[b + i])) << b << " " << i;
        ASSERT_LE(std::fabs(decoded[b + i] - block[i]), step) << b << " " << i;
      }
    }
  }
}

// Per block, not only in all.
TEST_P(EncodeTest, IsNeverWorseThanRoundingToNearest) {
  const auto n = static_cast<size_t>(Info(type()).block_values);
  // The search of the q4_0 kind begins where importance is given.
  const std::vector<float> ones(1024, 1);
  for (const RowKind kind : kAllRowKinds)
    for (const uint64_t seed : {11, 12, 13}) {
      SCOPED_TRACE(absl::StrCat(NameOf(kind), " seed ", seed));
      const std::vector<float> x = RowsOf(kind, 4096, seed);
      const std::vector<float> rounded = RoundedToNearest(type(), x);
      if (rounded.empty()) GTEST_SKIP() << "encoding is rounding to nearest";
      const std::vector<float> ours =
          Decoded(type(), Encoded(type(), x, 1024, ones));
      for (size_t b = 0; b < x.size(); b += n) {
        const auto Error = [&](absl::Span<const float> y) {
          return SquaredError(absl::MakeConstSpan(x).subspan(b, n),
                              y.subspan(b, n));
        };
        // The search compares errors in f32: 256 summands, 2^-24 each.
        ASSERT_LE(Error(ours), Error(rounded) * 1.00002) << "block " << b / n;
      }
    }
}

TEST_P(EncodeTest, ZeroAndConstantRows) {
  for (const float v :
       Decoded(type(), Encoded(type(), RowsOf(RowKind::kZero, 512, 1), 256)))
    EXPECT_EQ(v, 0);
  for (const RowKind kind : {RowKind::kConstant, RowKind::kNegative}) {
    const std::vector<float> values = RowsOf(kind, 512, 1);
    for (const float v : Decoded(type(), Encoded(type(), values, 256))) {
      // mxfp4 has powers of two times 1, 1.5, 2, 3 ...; others have an f16
      // scale, one code of which is the constant.
      EXPECT_NEAR(v, values[0], type() == DType::kBF16 ? 0 : 0.75 * 0x1p-10);
    }
  }
}

// ---- The same bytes everywhere ----

TEST_P(EncodeTest, RowsDoNotSeeEachOther) {
  // Seven rows of three blocks: groups of four blocks straddle rows.
  const int64_t length = Info(type()).block_values * 3;
  const std::vector<float> values =
      RowsOf(RowKind::kHeavyTailed, 7 * length, /*seed=*/5);
  std::vector<float> importance =
      RowsOf(RowKind::kPositive, length, /*seed=*/6);
  for (const bool weighted : {false, true}) {
    if (!weighted) importance.clear();
    const std::vector<std::byte> all =
        Encoded(type(), values, length, importance);
    std::vector<std::byte> rows;
    for (int64_t r = 0; r < 7; ++r) {
      const auto row = Encoded(
          type(),
          absl::MakeConstSpan(values).subspan(static_cast<size_t>(r * length),
                                              static_cast<size_t>(length)),
          length, importance);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    EXPECT_EQ(all, rows);
  }
}

TEST_P(EncodeTest, OnlyRatiosOfImportanceMatter) {
  const std::vector<float> values = RowsOf(RowKind::kNormal, 2048, /*seed=*/7);
  std::vector<float> importance = RowsOf(RowKind::kPositive, 512, /*seed=*/8);
  const auto first = Encoded(type(), values, 512, importance);
  for (const int power : {-60, 90}) {
    std::vector<float> scaled;
    for (const float w : importance) scaled.push_back(std::ldexp(w, power));
    EXPECT_EQ(Encoded(type(), values, 512, scaled), first);
  }
  const std::vector<float> zeros(512, 0), ones(512, 1);
  EXPECT_EQ(Encoded(type(), values, 512, zeros),
            Encoded(type(), values, 512, ones));
}

// FNV-1a of the bytes.
uint64_t HashOf(const std::vector<std::byte>& bytes, uint64_t hash) {
  for (const std::byte b : bytes)
    hash = (hash ^ std::to_integer<uint64_t>(b)) * 0x100000001B3u;
  return hash;
}

struct KnownBytes {
  DType type;
  uint64_t hash;
};

// What g++ 12 for x86-64 made. Any compiler, processor and level of
// optimisation must make the same: the encoders have no reassociated sums and
// no fused multiply-adds. A change of the search changes these, as it may.
constexpr KnownBytes kKnownBytes[] = {
    {DType::kF32, 0x2C137716EE058A4D},    {DType::kF16, 0xE7A46C66C9929C8D},
    {DType::kQ4_0, 0x5C5930F40BF45C8A},   {DType::kQ4_1, 0x76BE579B26D5C28A},
    {DType::kQ5_0, 0x9F19C645A20B608B},   {DType::kQ5_1, 0xC8EDDD4AB2B4DE85},
    {DType::kQ8_0, 0xA11BBAFBB3E8F3A9},   {DType::kQ2_K, 0xE8F06B6B8A68E94B},
    {DType::kQ3_K, 0x847283989B948FC2},   {DType::kQ4_K, 0x84FBE954826F557C},
    {DType::kQ5_K, 0xA3AFC20DEA0013C8},   {DType::kQ6_K, 0x2B9C3F7FFA88851D},
    {DType::kQ8_K, 0x46B018CFEED6E9B1},   {DType::kIQ4_NL, 0x01A472EC4B0359E7},
    {DType::kIQ4_XS, 0xC9E28EED5A6E0055}, {DType::kBF16, 0x3FC1B8E5470EB4B9},
    {DType::kMXFP4, 0x0821796E573CCD8D},
};

TEST_P(EncodeTest, BytesAreTheSameOnEveryMachine) {
  uint64_t hash = 0xCBF29CE484222325u;
  const std::vector<float> importance =
      RowsOf(RowKind::kPositive, 1024, /*seed=*/9);
  for (const RowKind kind : kAllRowKinds) {
    const std::vector<float> values = RowsOf(kind, 8192, /*seed=*/10);
    hash = HashOf(Encoded(type(), values, 1024), hash);
    hash = HashOf(Encoded(type(), values, 1024, importance), hash);
  }
  for (const KnownBytes& known : kKnownBytes)
    if (known.type == type()) {
      EXPECT_EQ(hash, known.hash) << std::hex << "0x" << hash;
      return;
    }
  ADD_FAILURE() << "no known bytes of " << Name(type()) << ": 0x" << std::hex
                << hash;
}

}  // namespace
}  // namespace weft::inline v0
