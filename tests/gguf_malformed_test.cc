// Broken files get the error they deserve; none crashes, none is misread.
#include <cstdint>
#include <ostream>
#include <random>
#include <regex>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/gguf.h"
#include "tests/gguf_builder.h"
#include "tests/gguf_malformed_cases.h"

namespace weft::inline v0 {

void PrintTo(const MalformedGguf& c, std::ostream* os) { *os << c.name; }

namespace {

absl::StatusOr<GgufFile> ParseText(const std::string& file,
                                   bool header_only = false) {
  return GgufFile::Parse(AsBytes(file), "m.gguf", {.header_only = header_only});
}

void ExpectForm(const std::string& message) {
  // Messages are cut short enough for a log, whatever the file holds.
  EXPECT_LT(message.size(), 700u);
  static const std::regex kForm(
      "m\\.gguf: GGUF-[A-Z][0-9]+ at byte [0-9]+: .+ is .+; expected .+");
  EXPECT_TRUE(std::regex_match(message, kForm)) << message;
  for (const char c : message) EXPECT_TRUE(c >= ' ' && c <= '~') << message;
}

class GgufMalformedTest : public testing::TestWithParam<MalformedGguf> {};

TEST_P(GgufMalformedTest, IsRefused) {
  const MalformedGguf& c = GetParam();
  const absl::StatusOr<GgufFile> file = ParseText(c.file);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), c.code) << file.status();
  const std::string message(file.status().message());
  ExpectForm(message);
  for (const std::string& says : c.says) EXPECT_PRED2(Says, message, says);
  if (c.at) {
    EXPECT_PRED2(Says, message, absl::StrCat(" at byte ", *c.at, ": "));
  }
}

TEST_P(GgufMalformedTest, HeaderOnlyRefusesBadMetadata) {
  const MalformedGguf& c = GetParam();
  const absl::StatusOr<GgufFile> file = ParseText(c.file, true);
  if (c.only_data) {
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_FALSE(file->warnings().empty());
    EXPECT_PRED2(Says, file->warnings()[0], "GGUF-D3");
  } else {
    EXPECT_EQ(file.status().code(), c.code) << file.status();
  }
}

std::string NameOfCase(const testing::TestParamInfo<MalformedGguf>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Header, GgufMalformedTest,
                         testing::ValuesIn(MalformedGgufHeaders()), NameOfCase);
INSTANTIATE_TEST_SUITE_P(Keys, GgufMalformedTest,
                         testing::ValuesIn(MalformedGgufKeys()), NameOfCase);
INSTANTIATE_TEST_SUITE_P(Tensors, GgufMalformedTest,
                         testing::ValuesIn(MalformedGgufTensors()), NameOfCase);
INSTANTIATE_TEST_SUITE_P(Data, GgufMalformedTest,
                         testing::ValuesIn(MalformedGgufData()), NameOfCase);

// What must hold of any file that was accepted.
void ExpectSound(const GgufFile& file, const std::string& bytes,
                 bool header_only) {
  const char* const end = bytes.data() + bytes.size();
  for (const GgufTensor& tensor : file.tensors()) {
    EXPECT_EQ(file.FindTensor(tensor.name), &tensor);
    EXPECT_GE(tensor.dims.size(), 1u);
    EXPECT_LE(tensor.dims.size(), 4u);
    EXPECT_EQ(tensor.offset % file.alignment(), 0u);
    if (tensor.data.empty()) {
      EXPECT_TRUE(header_only || tensor.bytes == 0);
      continue;
    }
    EXPECT_EQ(tensor.data.size(), tensor.bytes);
    const char* const at = reinterpret_cast<const char*>(tensor.data.data());
    EXPECT_EQ(at, bytes.data() + tensor.offset);
    EXPECT_LE(tensor.bytes, static_cast<uint64_t>(end - at));
  }
  for (const absl::string_view key : file.keys())
    EXPECT_TRUE(file.TypeOf(key).ok());
}

TEST(GgufTruncatedTest, EveryPrefixIsDataLoss) {
  const std::string whole = SmallGguf().Build();
  const size_t metadata = SmallGguf().Metadata().size();
  for (size_t n = 0; n < whole.size(); ++n) {
    // A string of its own, so that a sanitizer sees reads past the end.
    const std::string prefix = whole.substr(0, n);
    const auto file = ParseText(prefix);
    ASSERT_EQ(file.status().code(), absl::StatusCode::kDataLoss)
        << n << ": " << file.status();
    ExpectForm(std::string(file.status().message()));
    const auto header = ParseText(prefix, true);
    ASSERT_EQ(header.ok(), n >= metadata) << n << ": " << header.status();
    if (header.ok()) ExpectSound(*header, prefix, true);
  }
}

// H11: the keys that are left out are read as tensors.
TEST(GgufCountTest, FewerKeysNeverGiveWrongTensors) {
  const GgufSpec whole = SmallGguf();
  for (uint64_t n = 0; n < whole.keys.size(); ++n) {
    GgufSpec spec = whole;
    spec.n_kv = n;
    EXPECT_FALSE(ParseText(spec.Build()).ok()) << n;
  }
}

TEST(GgufCountTest, MoreKeysNeverGiveWrongTensors) {
  for (uint64_t more = 1; more < 6; ++more) {
    GgufSpec spec = SmallGguf();
    spec.n_kv = spec.keys.size() + more;
    EXPECT_FALSE(ParseText(spec.Build()).ok()) << more;
  }
}

TEST(GgufCorruptTest, EveryFlippedBitIsSafe) {
  const std::string whole = SmallGguf().Build();
  for (size_t bit = 0; bit < 8 * SmallGguf().Metadata().size(); ++bit) {
    std::string broken = whole;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    for (const bool header_only : {false, true}) {
      const auto file = ParseText(broken, header_only);
      if (file.ok())
        ExpectSound(*file, broken, header_only);
      else
        ExpectForm(std::string(file.status().message()));
    }
  }
}

TEST(GgufCorruptTest, RandomBytesAreSafe) {
  std::mt19937 random(20240601);
  const std::string whole = SmallGguf().Build();
  const size_t metadata = SmallGguf().Metadata().size();
  for (int round = 0; round < 20000; ++round) {
    std::string broken = whole;
    for (size_t n = 1 + random() % 4; n > 0; --n)
      broken[random() % metadata] = static_cast<char>(random());
    const auto file = ParseText(broken);
    if (file.ok())
      ExpectSound(*file, broken, false);
    else
      ExpectForm(std::string(file.status().message()));
  }
}

}  // namespace
}  // namespace weft::inline v0
