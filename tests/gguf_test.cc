// What is valid is read right: tensors, typed getters, options, warnings.
#include "models/gguf.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/gguf_builder.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

absl::StatusOr<GgufFile> ParseText(const std::string& file,
                                   bool header_only = false) {
  return GgufFile::Parse(AsBytes(file), "m.gguf", {.header_only = header_only});
}

// `file` must outlive the result.
GgufFile MustParse(const std::string& file, bool header_only = false) {
  absl::StatusOr<GgufFile> parsed = ParseText(file, header_only);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  if (parsed.ok()) return *std::move(parsed);
  // Something to go on with: the smallest valid file.
  static const std::string kEmpty = GgufSpec().Build();
  return *ParseText(kEmpty);
}

std::string DataOf(const GgufTensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data.data()),
          tensor.data.size()};
}

using Dims = std::vector<int64_t>;
Dims DimsOf(const GgufTensor& tensor) {
  return {tensor.dims.begin(), tensor.dims.end()};
}

TEST(GgufTest, ReadsTensors) {
  const GgufSpec spec = SmallGguf();
  const std::string bytes = spec.Build();
  const GgufFile file = MustParse(bytes);
  EXPECT_EQ(file.source(), "m.gguf");
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.alignment(), 32u);
  EXPECT_TRUE(file.warnings().empty());
  ASSERT_EQ(file.tensors().size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const GgufTensor& tensor = file.tensors()[i];
    EXPECT_EQ(tensor.name, spec.tensors[i].name);
    EXPECT_EQ(DataOf(tensor), spec.tensors[i].data);
    EXPECT_EQ(tensor.bytes, spec.tensors[i].data.size());
    EXPECT_EQ(file.FindTensor(tensor.name), &tensor);
  }
  EXPECT_EQ(file.tensors()[1].dtype, DType::kQ4_0);
  EXPECT_EQ(file.FindTensor("output"), nullptr);
  EXPECT_EQ(file.FindTensor(""), nullptr);
}

TEST(GgufTest, DimsAreSlowestFirst) {
  GgufSpec spec;
  spec.Tensor("a", DType::kF32, {2, 3, 4, 5})
      .Tensor("b", DType::kF32, {2, 3, 4, 5})
      .Tensor("c", DType::kF32, {7})
      .Tensor("d", DType::kF32, {});
  const std::string bytes = spec.Build();
  const GgufFile file = MustParse(bytes);
  ASSERT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(DimsOf(file.tensors()[0]), (Dims{5, 4, 3, 2}));
  EXPECT_EQ(DimsOf(file.tensors()[1]), (Dims{5, 4, 3, 2}));
  EXPECT_EQ(DimsOf(file.tensors()[2]), (Dims{7}));
  EXPECT_EQ(DimsOf(file.tensors()[3]), (Dims{1}));
}

TEST(GgufTest, KeysKeepTheirOrder) {
  const GgufSpec spec = SmallGguf();
  const std::string bytes = spec.Build();
  const GgufFile file = MustParse(bytes);
  ASSERT_EQ(file.keys().size(), spec.keys.size());
  for (size_t i = 0; i < spec.keys.size(); ++i) {
    EXPECT_EQ(file.keys()[i], spec.keys[i].key);
    EXPECT_TRUE(file.Has(spec.keys[i].key));
    EXPECT_EQ(static_cast<uint32_t>(*file.TypeOf(spec.keys[i].key)),
              spec.keys[i].type);
  }
  EXPECT_FALSE(file.Has("nothing"));
  EXPECT_EQ(file.TypeOf("nothing").status().code(), StatusCode::kNotFound);
}

TEST(GgufTest, ViewsOutliveAMove) {
  const std::string bytes = SmallGguf().Build();
  GgufFile first = MustParse(bytes);
  const GgufTensor* const tensor = first.FindTensor("output.weight");
  const GgufFile second = std::move(first);
  EXPECT_EQ(second.FindTensor("output.weight"), tensor);
  EXPECT_EQ(*second.GetString("general.architecture"), "llama");
}

TEST(GgufTest, TypeNames) {
  EXPECT_EQ(Name(GgufType::kUint8), "uint8");
  EXPECT_EQ(Name(GgufType::kArray), "array");
  EXPECT_EQ(Name(GgufType::kFloat64), "float64");
  EXPECT_EQ(Name(static_cast<GgufType>(13)), "?");
}

class GgufGettersTest : public testing::Test {
 protected:
  const std::string bytes_ = SmallGguf().Build();
  const GgufFile file_ = MustParse(bytes_);
};

TEST_F(GgufGettersTest, Integers) {
  EXPECT_EQ(*file_.GetUint32("s.u8"), 200u);
  EXPECT_EQ(*file_.GetUint32("s.u16"), 60000u);
  EXPECT_EQ(*file_.GetUint32("s.u32"), 4000000000u);
  EXPECT_EQ(*file_.GetInt64("s.i8"), -100);
  EXPECT_EQ(*file_.GetInt64("s.i16"), -30000);
  EXPECT_EQ(*file_.GetInt64("s.i32"), -2000000000);
  EXPECT_EQ(*file_.GetInt64("s.i64"), -5);
  EXPECT_EQ(*file_.GetInt64("s.u32"), 4000000000);
}

TEST_F(GgufGettersTest, IntegersThatDoNotFit) {
  for (const char* key : {"s.i8", "s.i16", "s.i32", "s.i64", "s.u64"}) {
    const auto value = file_.GetUint32(key);
    EXPECT_EQ(value.status().code(), StatusCode::kOutOfRange) << key;
    EXPECT_PRED2(Says, value.status().message(), key);
    EXPECT_PRED2(Says, value.status().message(), "0 to 4294967295");
  }
  const auto value = file_.GetInt64("s.u64");
  EXPECT_EQ(value.status().code(), StatusCode::kOutOfRange);
  EXPECT_PRED2(Says, value.status().message(), "9223372036854775808");
}

TEST_F(GgufGettersTest, FloatsBoolsStrings) {
  EXPECT_EQ(*file_.GetFloat("s.f32"), 1.5f);
  EXPECT_EQ(*file_.GetFloat("s.f64"), 0.25f);
  EXPECT_EQ(*file_.GetBool("s.bool"), true);
  EXPECT_EQ(*file_.GetString("general.architecture"), "llama");
}

TEST_F(GgufGettersTest, Arrays) {
  EXPECT_EQ(*file_.GetStrings("a.str"),
            (std::vector<absl::string_view>{"a", "", "xyz",
                                            absl::string_view("\0\xff", 2)}));
  EXPECT_EQ(*file_.GetFloats("a.f32"), (std::vector<float>{0.5f, -2.0f}));
  EXPECT_EQ(*file_.GetInt32s("a.i32"), (std::vector<int32_t>{-3, 3, 4}));
  EXPECT_EQ(*file_.GetInt32s("a.u8"), (std::vector<int32_t>{1, 255}));
  EXPECT_EQ(*file_.GetInt32s("a.i16"), (std::vector<int32_t>{-2, 2}));
  EXPECT_EQ(*file_.GetInt32s("a.i64"), (std::vector<int32_t>{-4, 1}));
  const auto info = file_.GetArrayInfo("a.bool");
  EXPECT_EQ(info->element, GgufType::kBool);
  EXPECT_EQ(info->count, 3u);
}

TEST_F(GgufGettersTest, ArrayElementThatDoesNotFit) {
  const auto numbers = file_.GetInt32s("a.u32");
  EXPECT_EQ(numbers.status().code(), StatusCode::kOutOfRange);
  EXPECT_PRED2(Says, numbers.status().message(), "element 1");
}

TEST_F(GgufGettersTest, WrongTypesNameKeyAndTypes) {
  const auto expect = [](const absl::Status& status, const char* key,
                         const char* found, const char* asked) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_PRED2(Says, status.message(), key);
    EXPECT_PRED2(Says, status.message(), found);
    EXPECT_PRED2(Says, status.message(), asked);
  };
  expect(file_.GetUint32("s.f32").status(), "s.f32", "float32", "integer");
  expect(file_.GetUint32("s.bool").status(), "s.bool", "bool", "integer");
  expect(file_.GetInt64("a.i32").status(), "a.i32", "array", "integer");
  expect(file_.GetFloat("s.i32").status(), "s.i32", "int32", "float32");
  expect(file_.GetBool("s.u8").status(), "s.u8", "uint8", "bool");
  expect(file_.GetString("s.u8").status(), "s.u8", "uint8", "string");
  expect(file_.GetStrings("s.u8").status(), "s.u8", "uint8", "array");
  expect(file_.GetStrings("a.u32").status(), "element type", "uint32",
         "string");
  expect(file_.GetFloats("a.f64").status(), "element type", "float64",
         "float32");
  expect(file_.GetInt32s("a.bool").status(), "element type", "bool", "integer");
  expect(file_.GetInt32s("a.str").status(), "element type", "string",
         "integer");
  expect(file_.GetArrayInfo("s.u8").status(), "s.u8", "uint8", "array");
}

TEST_F(GgufGettersTest, AbsentKeys) {
  const auto value = file_.GetUint32("no.\x1b key");
  EXPECT_EQ(value.status().code(), StatusCode::kNotFound);
  EXPECT_PRED2(Says, value.status().message(), "\"no.\\x1b key\"");
  EXPECT_EQ(file_.GetStrings("x").status().code(), StatusCode::kNotFound);
}

TEST(GgufFloatTest, Float64OutOfRange) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  GgufSpec spec;
  spec.Scalar("big", GgufType::kFloat64, 1e300)
      .Scalar("inf", GgufType::kFloat64, -kInfinity)
      .Scalar("nan", GgufType::kFloat64, std::nan(""));
  const std::string bytes = spec.Build();
  const GgufFile file = MustParse(bytes);
  EXPECT_EQ(file.GetFloat("big").status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(*file.GetFloat("inf"), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(*file.GetFloat("nan")));
}

TEST(GgufAcceptTest, Version2) {
  GgufSpec spec = SmallGguf();
  spec.version = 2;
  const std::string bytes = spec.Build();
  EXPECT_EQ(MustParse(bytes).version(), 2u);
}

TEST(GgufAcceptTest, NothingButAHeader) {
  const std::string bytes = GgufSpec().Build();
  const GgufFile file = MustParse(bytes);
  EXPECT_TRUE(file.keys().empty());
  EXPECT_TRUE(file.tensors().empty());
  EXPECT_TRUE(file.warnings().empty());
}

// A vocabulary: keys, no tensors, with or without padding after them.
TEST(GgufAcceptTest, NoTensors) {
  for (const bool padded : {false, true}) {
    GgufSpec spec;
    spec.String("a", "b");
    std::string bytes = spec.Build();
    if (padded) bytes.resize((bytes.size() + 31) / 32 * 32);
    EXPECT_TRUE(MustParse(bytes).warnings().empty());
  }
}

TEST(GgufAcceptTest, EveryPowerOfTwoAlignment) {
  for (uint32_t alignment = 1; alignment <= 65536; alignment *= 2) {
    GgufSpec spec = SmallGguf();
    spec.alignment = alignment;
    spec.Key("general.alignment").payload = LittleEndian(alignment);
    const std::string bytes = spec.Build();
    const GgufFile file = MustParse(bytes);
    ASSERT_EQ(file.tensors().size(), 3u) << alignment;
    EXPECT_EQ(file.alignment(), alignment);
    for (size_t i = 0; i < 3; ++i)
      EXPECT_EQ(DataOf(file.tensors()[i]), spec.tensors[i].data) << alignment;
    EXPECT_TRUE(file.warnings().empty());
  }
}

TEST(GgufAcceptTest, D5_PaddingOfAnyBytes) {
  GgufSpec spec = SmallGguf();
  spec.Tensor("more", DType::kF32, {1}).Tensor("last", DType::kF32, {3});
  for (const char padding : {'\1', '\x7f', '\xff'}) {
    spec.padding = padding;
    const std::string bytes = spec.Build();
    const GgufFile file = MustParse(bytes);
    EXPECT_EQ(DataOf(file.tensors().back()), spec.tensors.back().data);
    EXPECT_TRUE(file.warnings().empty());
  }
}

TEST(GgufAcceptTest, LastTensorWithoutPadding) {
  GgufSpec spec;
  spec.Tensor("a", DType::kF32, {3});
  std::string bytes = spec.Build();
  bytes.resize(bytes.size() - 20);
  EXPECT_TRUE(MustParse(bytes).warnings().empty());
}

TEST(GgufAcceptTest, D4_ExtraBytesGiveOneWarning) {
  for (const size_t n : {1, 31, 4096}) {
    GgufSpec spec = SmallGguf();
    spec.tail = std::string(n, 'x');
    const std::string bytes = spec.Build();
    const GgufFile file = MustParse(bytes);
    ASSERT_EQ(file.warnings().size(), 1u) << n;
    EXPECT_PRED2(Says, file.warnings()[0], "GGUF-D4");
    EXPECT_PRED2(Says, file.warnings()[0], std::to_string(n) + " extra");
  }
}

TEST(GgufAcceptTest, T8_ZeroDimensions) {
  for (size_t at = 0; at < 4; ++at) {
    GgufSpec spec = SmallGguf();
    std::vector<uint64_t> dims(4, 32);
    dims[at] = 0;
    spec.Tensor("empty", DType::kQ4_0, dims).Tensor("next", DType::kF32, {8});
    const std::string bytes = spec.Build();
    const GgufFile file = MustParse(bytes);
    const GgufTensor* const empty = file.FindTensor("empty");
    ASSERT_NE(empty, nullptr);
    EXPECT_EQ(empty->dims[3 - at], 0);
    EXPECT_EQ(empty->bytes, 0u);
    EXPECT_TRUE(empty->data.empty());
    EXPECT_EQ(DataOf(*file.FindTensor("next")), spec.tensors.back().data);
    EXPECT_TRUE(file.warnings().empty());
  }
}

TEST(GgufAcceptTest, DataInAnotherOrder) {
  GgufSpec spec = SmallGguf();
  GgufSpec swapped = spec;
  std::swap(swapped.tensors[0], swapped.tensors[2]);
  // The table as it was, over data in the swapped order.
  spec.tensors[0].offset = 32 + 288;
  spec.tensors[1].offset = 32;
  spec.tensors[2].offset = 0;
  const std::string data = swapped.Build().substr(swapped.Build().size() - 384);
  std::string bytes = spec.Build();
  bytes.replace(bytes.size() - 384, 384, data);
  const GgufFile file = MustParse(bytes);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(DataOf(file.tensors()[i]), spec.tensors[i].data) << i;
  ASSERT_EQ(file.warnings().size(), 1u);
  EXPECT_PRED2(Says, file.warnings()[0], "GGUF-T26");
}

TEST(GgufAcceptTest, GapBetweenTensors) {
  GgufSpec spec = SmallGguf();
  const std::string data = spec.tensors[2].data;
  spec.tensors[2].data = std::string(32, 'g') + data;
  spec.tensors[2].offset = 64 + 288 + 32;
  const std::string bytes = spec.Build();
  const GgufFile file = MustParse(bytes);
  EXPECT_EQ(DataOf(file.tensors()[2]), data);
  ASSERT_EQ(file.warnings().size(), 1u);
  EXPECT_PRED2(Says, file.warnings()[0], "GGUF-T23");
  EXPECT_PRED2(Says, file.warnings()[0], "output.weight");
}

TEST(GgufAcceptTest, NamesAtTheirLimits) {
  GgufSpec spec;
  const std::string key(65535, 'k'), name(63, 'n');
  spec.String(key, "v").String("Upper case, spaces!", "").String("~", "t");
  spec.Tensor(name, DType::kF32, {1});
  spec.Tensor("caf\xc3\xa9 \xf0\x9f\x98\x80", DType::kF32, {1});
  const std::string bytes = spec.Build();
  const GgufFile file = MustParse(bytes);
  EXPECT_EQ(*file.GetString(key), "v");
  EXPECT_EQ(*file.GetString("Upper case, spaces!"), "");
  EXPECT_NE(file.FindTensor(name), nullptr);
  EXPECT_NE(file.FindTensor("caf\xc3\xa9 \xf0\x9f\x98\x80"), nullptr);
}

TEST(GgufAcceptTest, EveryKnownTensorType) {
  GgufSpec spec;
  for (const DTypeInfo& info : AllDTypes())
    if (static_cast<int>(info.type) < 256)
      spec.Tensor(info.name, info.type,
                  {static_cast<uint64_t>(info.block_values), 2});
  const std::string bytes = spec.Build();
  const GgufFile file = MustParse(bytes);
  ASSERT_EQ(file.tensors().size(), spec.tensors.size());
  for (size_t i = 0; i < spec.tensors.size(); ++i)
    EXPECT_EQ(DataOf(file.tensors()[i]), spec.tensors[i].data);
}

TEST(GgufAcceptTest, EmptyArrays) {
  GgufSpec spec;
  spec.Strings("s", {}).Array<float>("f", GgufType::kFloat32, {});
  const std::string bytes = spec.Build();
  const GgufFile file = MustParse(bytes);
  EXPECT_TRUE(file.GetStrings("s")->empty());
  EXPECT_TRUE(file.GetFloats("f")->empty());
}

TEST(GgufHeaderOnlyTest, KeepsTensorsThatAreWhole) {
  std::string bytes = SmallGguf().Build();
  bytes.resize(bytes.size() - 33);
  const GgufFile file = MustParse(bytes, true);
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(DataOf(file.tensors()[0]), SmallGguf().tensors[0].data);
  EXPECT_TRUE(file.tensors()[1].data.empty());
  EXPECT_EQ(file.tensors()[1].bytes, 288u);
  EXPECT_TRUE(file.tensors()[2].data.empty());
  ASSERT_EQ(file.warnings().size(), 1u);
  EXPECT_PRED2(Says, file.warnings()[0], "2 of 3 tensors");
}

TEST(GgufHeaderOnlyTest, IsSilentForAWholeFile) {
  const std::string bytes = SmallGguf().Build();
  EXPECT_TRUE(MustParse(bytes, true).warnings().empty());
}

}  // namespace
}  // namespace weft::inline v0
