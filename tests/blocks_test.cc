// Block formats: every struct, and every kernel that reads one, against blocks
// that an independent engine coded and decoded.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "graph/blocks/blocks.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "ops/fused.h"
#include "ops/ops.h"
#include "tests/encode_data.h"
#include "tests/golden.h"

namespace weft::inline v0 {
namespace {

// Blocks of one format and what they stand for.
struct GoldenBlocks {
  std::string stored;
  std::vector<float> values;
};

// Empty where the files are absent.
GoldenBlocks ReadBlocks(absl::string_view type, const std::string& set) {
  const std::string stored = GoldenBlocksPath(type, set + ".bin");
  const std::string values = GoldenBlocksPath(type, set + ".f32");
  if (stored.empty() || values.empty()) return {};
  return {ReadText(stored), ReadFloats(values)};
}

// Values of a real quantiser, then arbitrary bits with extreme scales.
GoldenBlocks ReadAllBlocks(absl::string_view type) {
  GoldenBlocks all = ReadBlocks(type, "");
  const GoldenBlocks rest = ReadBlocks(type, ".rand");
  all.stored += rest.stored;
  all.values.insert(all.values.end(), rest.values.begin(), rest.values.end());
  return all;
}

// Where the bits of two arrays first differ; -1 when they do not. NaNs are
// equal: which operand's bits a sum of two keeps is the compiler's choice.
int64_t FirstDifference(absl::Span<const float> a, absl::Span<const float> b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0 &&
        !(std::isnan(a[i]) && std::isnan(b[i])))
      return static_cast<int64_t>(i);
  return a.size() == b.size() ? -1 : static_cast<int64_t>(a.size());
}

// ---- The structs and the table ----

template <class Block>
class BlockTest : public testing::Test {
 protected:
  // By the struct itself.
  static std::vector<float> AtOf(absl::string_view stored) {
    std::vector<float> out;
    for (size_t at = 0; at < stored.size(); at += sizeof(Block)) {
      Block block;
      std::memcpy(&block, stored.data() + at, sizeof(Block));
      for (int i = 0; i < Block::kCount; ++i) out.push_back(block.At(i));
    }
    return out;
  }
  // By the table's function, from memory without alignment, into memory that
  // shows what was written.
  static std::vector<float> DecodeOf(absl::string_view stored) {
    constexpr float kGuard = -12345;
    // Of exactly this size, so that AddressSanitizer sees reads beyond it.
    const std::unique_ptr<char[]> memory(new char[stored.size() + 1]);
    std::memcpy(memory.get() + 1, stored.data(), stored.size());
    const size_t blocks = stored.size() / sizeof(Block);
    std::vector<float> out(blocks * Block::kCount + 2, kGuard);
    Info(Block::kType)
        .decode(memory.get() + 1, static_cast<int64_t>(blocks), &out[1]);
    EXPECT_EQ(out.front(), kGuard);
    EXPECT_EQ(out.back(), kGuard);
    return {out.begin() + 1, out.end() - 1};
  }
};

template <class... Bs>
testing::Types<Bs...> TestTypes(TypeList<Bs...>);

struct BlockName {
  template <class Block>
  static std::string GetName(int) {
    return Block::kName;
  }
};

TYPED_TEST_SUITE(BlockTest, decltype(TestTypes(Blocks())), BlockName);

TYPED_TEST(BlockTest, IsInTheTable) {
  const DTypeInfo& info = Info(TypeParam::kType);
  EXPECT_EQ(info.name, TypeParam::kName);
  EXPECT_EQ(info.block_values, TypeParam::kCount);
  EXPECT_EQ(info.block_bytes, static_cast<int>(sizeof(TypeParam)));
  EXPECT_TRUE(IsDecodable(TypeParam::kType));
}

TYPED_TEST(BlockTest, DecodesToTheReferenceBits) {
  const GoldenBlocks golden = ReadAllBlocks(TypeParam::kName);
  if (golden.values.empty())
    GTEST_SKIP() << "no reference values of " << TypeParam::kName << " in "
                 << WEFT_SHARED_DIR;
  EXPECT_EQ(FirstDifference(this->AtOf(golden.stored), golden.values), -1);
  EXPECT_EQ(FirstDifference(this->DecodeOf(golden.stored), golden.values), -1);
}

TYPED_TEST(BlockTest, D7_DecodesAnyBits) {
  std::mt19937 random(1);
  for (int round = 0; round < 1000; ++round) {
    std::string bytes(sizeof(TypeParam), '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_EQ(FirstDifference(this->DecodeOf(bytes), this->AtOf(bytes)), -1);
  }
  for (const int byte : {0x00, 0x7F, 0x80, 0xFF}) {
    const std::string bytes(3 * sizeof(TypeParam), static_cast<char>(byte));
    const std::vector<float> values = this->DecodeOf(bytes);
    EXPECT_EQ(FirstDifference(values, this->AtOf(bytes)), -1);
    for (const float value : values) {
      EXPECT_TRUE(byte != 0x00 || value == 0) << value;
      EXPECT_TRUE(byte != 0x80 || std::isfinite(value)) << value;
    }
  }
}

TEST(DTypeTable, EqualsTheReferenceIndex) {
  const std::string path = SharedPath("golden/blocks/index.json");
  if (path.empty()) GTEST_SKIP() << "no index in " << WEFT_SHARED_DIR;
  const auto index = nlohmann::json::parse(ReadText(path));
  for (const auto& type : index["types"]) {
    const std::string name = type["type"];
    const auto info = FindDType(type["id"].get<int64_t>());
    ASSERT_TRUE(info.has_value()) << name;
    EXPECT_EQ(info->name, absl::AsciiStrToLower(name));
    EXPECT_EQ(info->block_values, type["block_size"].get<int>()) << name;
    EXPECT_EQ(info->block_bytes, type["bytes_per_block"].get<int>()) << name;
  }
}

TEST(DTypeTable, NamesAndNumbersAreDistinct) {
  std::set<DType> types;
  std::set<absl::string_view> names;
  for (const DTypeInfo& info : AllDTypes()) {
    EXPECT_TRUE(types.empty() || *types.rbegin() < info.type) << info.name;
    types.insert(info.type);
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(&Info(info.type), &info);
  }
  EXPECT_FALSE(FindDType(4).has_value());  // q4_2, withdrawn
  EXPECT_FALSE(FindDType(-1).has_value());
  EXPECT_FALSE(FindDType(INT64_MAX).has_value());
  EXPECT_EQ(Name(DType::kUnknown), "?");
  EXPECT_FALSE(IsDecodable(DType::kUnknown));
}

TEST(RowBytes, CountsWholeBlocks) {
  for (const DTypeInfo& info : AllDTypes()) {
    const int64_t n = info.block_values;
    EXPECT_EQ(RowBytes(info.type, 0), 0);
    EXPECT_EQ(RowBytes(info.type, n), info.block_bytes);
    EXPECT_EQ(RowBytes(info.type, 3 * n), 3 * info.block_bytes);
    EXPECT_EQ(RowBytes(info.type, -n), std::nullopt);
    if (n > 1) {
      EXPECT_EQ(RowBytes(info.type, 1), std::nullopt);
      EXPECT_EQ(RowBytes(info.type, n + 1), std::nullopt);
      EXPECT_EQ(RowBytes(info.type, n - 1), std::nullopt);
    }
  }
  EXPECT_EQ(RowBytes(DType::kUnknown, 0), std::nullopt);
}

TEST(RowBytes, RefusesOverflow) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(RowBytes(DType::kI8, kMax), kMax);
  EXPECT_EQ(RowBytes(DType::kF32, kMax / 4), kMax / 4 * 4);
  EXPECT_EQ(RowBytes(DType::kF32, kMax / 4 + 1), std::nullopt);
  // q8_k: more bytes than values.
  const int64_t blocks = kMax / 292;
  EXPECT_EQ(RowBytes(DType::kQ8_K, blocks * 256), blocks * 292);
  EXPECT_EQ(RowBytes(DType::kQ8_K, (blocks + 1) * 256), std::nullopt);
}

// ---- The kernels ----

// A graph of one weight "w" on one instruction set.
class BlockKernelTest
    : public testing::TestWithParam<std::tuple<DType, std::string>> {
 protected:
  static DType dtype() { return std::get<0>(GetParam()); }

  void Compile(const std::string& stored) {
    stored_ = stored;
    const absl::Status built = graph_->Finish();
    ASSERT_TRUE(built.ok()) << built;
    const auto backend =
        MakeBackend("cpu", {.threads = 1, .target = std::get<1>(GetParam())});
    ASSERT_TRUE(backend.ok()) << backend.status();
    auto executable = (*backend)->Compile(graph_, [this](const Node&) {
      return absl::MakeConstSpan(
          reinterpret_cast<const std::byte*>(stored_.data()), stored_.size());
    });
    ASSERT_TRUE(executable.ok()) << executable.status();
    executable_ = *std::move(executable);
    for (const PlannedStep& step : executable_->plan().steps)
      EXPECT_FALSE(step.on_reference)
          << graph_->Describe(graph_->node(step.node));
  }
  template <class T>
  void SetInput(absl::string_view name, const std::vector<T>& values) {
    std::memcpy((*executable_->Input(name)).data(), values.data(),
                values.size() * sizeof(T));
  }
  std::vector<float> Output(absl::string_view name) {
    const auto bytes = *executable_->Output(name);
    std::vector<float> out(bytes.size() / sizeof(float));
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }

  std::shared_ptr<Graph> graph_ = std::make_shared<Graph>();
  std::string stored_;
  std::unique_ptr<Executable> executable_;
};

TEST_P(BlockKernelTest, DequantAndQGatherGiveTheReferenceBits) {
  const GoldenBlocks golden = ReadAllBlocks(Name(dtype()));
  if (golden.values.empty())
    GTEST_SKIP() << "no reference values in " << WEFT_SHARED_DIR;
  // Four blocks a row; every format has a multiple of four.
  const int64_t k = 4 * Info(dtype()).block_values;
  const int64_t n = static_cast<int64_t>(golden.values.size()) / k;
  const Value w = graph_->Weight("w", dtype(), {n, k});
  const Value ids = graph_->Input("ids", DType::kI32, {n + 1});
  graph_->Output("all", Dequant(w));
  graph_->Output("some", QGather(w, ids));
  ASSERT_NO_FATAL_FAILURE(Compile(golden.stored));
  // The rows backwards, and the last again.
  std::vector<int32_t> order;
  for (int64_t r = n - 1; r >= 0; --r) order.push_back(static_cast<int32_t>(r));
  order.push_back(static_cast<int32_t>(n - 1));
  SetInput("ids", order);
  const absl::Status run = executable_->Run({});
  ASSERT_TRUE(run.ok()) << run;
  EXPECT_EQ(FirstDifference(Output("all"), golden.values), -1);
  std::vector<float> want;
  for (const int32_t r : order)
    want.insert(want.end(), golden.values.begin() + r * k,
                golden.values.begin() + (r + 1) * k);
  EXPECT_EQ(FirstDifference(Output("some"), want), -1);
}

// A matrix of `n` rows from the blocks that a quantiser made, in a mixed order.
GoldenBlocks MixRows(const GoldenBlocks& golden, DType dtype, int64_t n,
                     int64_t blocks_per_row) {
  const size_t bytes = static_cast<size_t>(Info(dtype).block_bytes);
  const size_t count = static_cast<size_t>(Info(dtype).block_values);
  std::mt19937 random(1);
  GoldenBlocks out;
  for (int64_t i = 0; i < n * blocks_per_row; ++i) {
    const size_t b = random() % (golden.values.size() / count);
    out.stored += golden.stored.substr(b * bytes, bytes);
    const auto first = golden.values.begin() + static_cast<int64_t>(b * count);
    out.values.insert(out.values.end(), first,
                      first + static_cast<int64_t>(count));
  }
  return out;
}

TEST_P(BlockKernelTest, QMatMulEqualsDecodedProduct) {
  const GoldenBlocks golden = ReadBlocks(Name(dtype()), "");
  if (golden.values.empty())
    GTEST_SKIP() << "no reference values in " << WEFT_SHARED_DIR;
  // Rows and tokens that no tile divides.
  constexpr int64_t kRows = 19, kTokens = 7;
  const int64_t count = Info(dtype()).block_values;
  const int64_t blocks = count == 1 ? 67 : 3, k = blocks * count;
  const GoldenBlocks w = MixRows(golden, dtype(), kRows, blocks);
  const Value x = graph_->Input("x", DType::kF32, {kTokens, k});
  graph_->Output("y", QMatMul(x, graph_->Weight("w", dtype(), {kRows, k})));
  ASSERT_NO_FATAL_FAILURE(Compile(w.stored));
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> in(static_cast<size_t>(kTokens * k));
  for (float& value : in) value = normal(random);
  SetInput("x", in);
  const absl::Status run = executable_->Run({});
  ASSERT_TRUE(run.ok()) << run;
  const std::vector<float> got = Output("y");
  // Rows differ in scale: each is measured by itself.
  for (int64_t r = 0; r < kRows; ++r) {
    double worst = 0, largest = 0;
    for (int64_t t = 0; t < kTokens; ++t) {
      double want = 0;
      for (int64_t i = 0; i < k; ++i)
        want += static_cast<double>(in[static_cast<size_t>(t * k + i)]) *
                w.values[static_cast<size_t>(r * k + i)];
      const float y = got[static_cast<size_t>(t * kRows + r)];
      worst = std::max(worst, std::abs(y - want));
      largest = std::max(largest, std::abs(want));
      EXPECT_TRUE(std::isfinite(y));
    }
    EXPECT_LE(worst, 1e-4 * largest) << "row " << r;
  }
}

std::vector<DType> StoredTypes() {
  std::vector<DType> types;
  for (const DTypeInfo& info : AllDTypes())
    if (info.decode != nullptr && info.type != DType::kF32)
      types.push_back(info.type);
  return types;
}

INSTANTIATE_TEST_SUITE_P(
    Formats, BlockKernelTest,
    testing::Combine(testing::ValuesIn(StoredTypes()),
                     testing::ValuesIn((*MakeBackend("cpu"))->Targets())),
    [](const auto& test) {
      return absl::StrCat(Name(std::get<0>(test.param)), "_",
                          std::get<1>(test.param));
    });

}  // namespace
}  // namespace weft::inline v0
