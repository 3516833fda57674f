// What GgufWriter writes is what GgufFile reads.
#include "models/gguf_writer.h"

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "models/gguf.h"
#include "tests/gguf_builder.h"
#include "tests/gguf_round_trip.h"
#include "tests/golden.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

// The bytes of a copy of `file`, which must be valid.
std::string Copied(const std::string& file) {
  const std::string path = ScratchPath("copy.gguf");
  const auto original = GgufFile::Parse(AsBytes(file), "original");
  EXPECT_TRUE(original.ok()) << original.status();
  if (!original.ok()) return "";
  const absl::Status status = WriteCopy(*original, path);
  EXPECT_TRUE(status.ok()) << status;
  const auto copy = GgufFile::Open(path);
  EXPECT_TRUE(copy.ok()) << copy.status();
  if (!copy.ok()) return "";
  EXPECT_EQ(DifferenceOf(*original, *copy), "");
  return ReadText(path);
}

TEST(GgufWriter, CopiesByteForByte) {
  EXPECT_EQ(Copied(SmallGguf().Build()), SmallGguf().Build());
}

TEST(GgufWriter, CopiesARealModelByteForByte) {
  const std::string path = SharedPath("models/stories260K.gguf");
  if (path.empty()) GTEST_SKIP() << "no shared models";
  const std::string file = ReadText(path);
  EXPECT_TRUE(Copied(file) == file);
}

TEST(GgufWriter, KeepsTheAlignment) {
  for (const uint32_t alignment : {1u, 8u, 64u, 4096u}) {
    const std::string file = ChangedGguf([&](GgufSpec& spec) {
      spec.alignment = alignment;
      spec.Key("general.alignment").payload = LittleEndian(alignment);
    });
    EXPECT_EQ(Copied(file), file) << alignment;
  }
}

TEST(GgufWriter, WritesVersion2AsVersion3) {
  const std::string old = ChangedGguf([](GgufSpec& spec) { spec.version = 2; });
  EXPECT_EQ(Copied(old), SmallGguf().Build());
}

TEST(GgufWriter, CopiesFilesWithoutTensorsOrKeys) {
  GgufSpec spec = SmallGguf();
  spec.tensors.clear();
  EXPECT_EQ(Copied(spec.Build()), spec.Build());
  EXPECT_EQ(Copied(GgufSpec().Build()), GgufSpec().Build());
}

TEST(GgufWriter, CopiesEmptyTensors) {
  GgufSpec spec;
  spec.Tensor("none", DType::kF32, {0, 4}).Tensor("one", DType::kF32, {1});
  spec.Tensor("none too", DType::kQ4_0, {0});
  spec.Tensor("huge rows, none of them", DType::kF32, {1ull << 62, 0});
  EXPECT_EQ(Copied(spec.Build()), spec.Build());
}

// Whatever of a damaged file the reader accepts can be written.
TEST(GgufWriter, CopiesWhatTheReaderAcceptsOfMutatedFiles) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const std::string file = SmallGguf().Build();
  int accepted = 0;
  for (int i = 0; i < 400 && !HasFailure(); ++i) {
    std::string mutated = file;
    for (int n = 0; n < 2; ++n)
      mutated[random() % mutated.size()] = static_cast<char>(random());
    const auto parsed = GgufFile::Parse(AsBytes(mutated), "mutated");
    // More is accepted, but would be padded to megabytes.
    if (!parsed.ok() || parsed->alignment() > 4096) continue;
    ++accepted;
    Copied(mutated);
  }
  EXPECT_GT(accepted, 0);
}

TEST(GgufWriter, SetsValues) {
  GgufKeyValues kv;
  kv.SetString("general.architecture", "llama");
  kv.SetUint32("u", 7);
  kv.SetFloat("f", 1.5f);
  kv.SetBool("b", true);
  kv.SetStrings("ss", {"a", "", "xyz"});
  kv.SetFloats("fs", {1.0f, -2.5f});
  kv.SetInt32s("is", {-1, 2});
  kv.SetUint32("gone", 1);
  kv.SetUint32("u", 8);  // where it stands
  kv.Remove("gone");
  kv.Remove("never there");
  kv.SetBool("last", false);
  const std::string path = ScratchPath("set.gguf");
  auto writer = GgufWriter::Create(path, kv, {});
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Commit().ok());
  const auto read = GgufFile::Open(path);
  ASSERT_TRUE(read.ok()) << read.status();
  const std::vector<absl::string_view> keys = {
      "general.architecture", "u", "f", "b", "ss", "fs", "is", "last"};
  EXPECT_EQ(read->keys(), absl::MakeConstSpan(keys));
  EXPECT_EQ(*read->GetString("general.architecture"), "llama");
  EXPECT_EQ(*read->GetUint32("u"), 8u);
  EXPECT_EQ(*read->GetFloat("f"), 1.5f);
  EXPECT_TRUE(*read->GetBool("b"));
  EXPECT_FALSE(*read->GetBool("last"));
  EXPECT_EQ(*read->GetStrings("ss"),
            (std::vector<absl::string_view>{"a", "", "xyz"}));
  EXPECT_EQ(*read->GetFloats("fs"), (std::vector<float>{1.0f, -2.5f}));
  EXPECT_EQ(*read->GetInt32s("is"), (std::vector<int32_t>{-1, 2}));
}

TEST(GgufWriter, ChangedValuesStayInPlace) {
  const std::string small = SmallGguf().Build();
  const auto file = GgufFile::Parse(AsBytes(small), "small");
  ASSERT_TRUE(file.ok());
  auto kv = GgufKeyValues::CopyOf(*file);
  ASSERT_TRUE(kv.ok());
  kv->SetString("s.u16", "another type");
  const auto header = MakeGgufHeader(*kv, {}, "x");
  ASSERT_TRUE(header.ok()) << header.status();
  const auto changed = GgufFile::Parse(AsBytes(*header), "changed");
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->keys(), file->keys());
  for (const absl::string_view key : file->keys()) {
    if (key == "s.u16") continue;
    EXPECT_EQ(*changed->GetRaw(key), *file->GetRaw(key)) << key;
  }
  EXPECT_EQ(*changed->GetString("s.u16"), "another type");
}

TEST(GgufWriter, RefusesWhatTheReaderWould) {
  GgufKeyValues no_key, bad_alignment, odd_alignment;
  no_key.SetUint32("", 1);
  bad_alignment.SetUint32("general.alignment", 48);
  odd_alignment.SetString("general.alignment", "32");
  const NewGgufTensor good = {"t", DType::kF32, {2, 4}};
  const std::string long_name(65, 'n');
  const struct {
    GgufKeyValues kv;
    std::vector<NewGgufTensor> tensors;
    const char* says;
  } cases[] = {
      {no_key, {good}, "GGUF-K1"},
      {bad_alignment, {good}, "GGUF-K23"},
      {odd_alignment, {good}, "GGUF-K26"},
      {{}, {good, good}, "GGUF-T4"},
      {{}, {{"", DType::kF32, {1}}}, "GGUF-T1"},
      {{}, {{long_name, DType::kF32, {1}}}, "GGUF-T2"},
      {{}, {{"t", DType::kF32, {1, 1, 1, 1, 1}}}, "GGUF-T7"},
      {{}, {{"t", DType::kF32, {}}}, "tensor \"t\" is f32[]"},
      {{}, {{"t", DType::kQ4_K, {8, 255}}}, "whole blocks of 256"},
      {{}, {{"t", DType::kF32, {-1, 8}}}, "f32[-1,8]"},
      {{}, {{"t", DType::kF32, {1LL << 62, 1LL << 62}}}, "less than 2^64"},
  };
  const std::string path = ScratchPath("refused.gguf");
  for (const auto& c : cases) {
    const auto writer = GgufWriter::Create(path, c.kv, c.tensors);
    ASSERT_FALSE(writer.ok()) << c.says;
    EXPECT_TRUE(absl::StrContains(writer.status().message(), c.says))
        << writer.status();
    EXPECT_TRUE(absl::StrContains(writer.status().message(), path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(GgufWriter, CountsTheData) {
  const std::string path = ScratchPath("counted.gguf");
  const std::vector<std::byte> data(40);
  auto writer = GgufWriter::Create(
      path, {}, {{"a", DType::kF32, {8}}, {"b", DType::kF32, {2}}});
  ASSERT_TRUE(writer.ok()) << writer.status();
  const auto bytes = absl::MakeConstSpan(data);
  EXPECT_EQ(writer->Write(bytes.first(33)).code(),
            StatusCode::kFailedPrecondition);
  EXPECT_TRUE(writer->Write(bytes.first(32)).ok());
  EXPECT_TRUE(writer->Write(bytes.first(7)).ok());
  const absl::Status early = writer->Commit();
  EXPECT_TRUE(absl::StrContains(early.message(), "1 of 8 bytes of \"b\""))
      << early;
  EXPECT_TRUE(writer->WriteZeros(1).ok());
  EXPECT_FALSE(writer->Write(bytes.first(1)).ok());
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(writer->Commit().ok());
  EXPECT_EQ(std::filesystem::file_size(path), writer->file_bytes());
}

TEST(GgufWriter, ZerosMayBeHoles) {
  constexpr int64_t kValues = int64_t{1} << 30;  // 4 GiB that no disk needs
  const std::string path = ScratchPath("sparse.gguf");
  auto writer = GgufWriter::Create(path, {}, {{"t", DType::kF32, {kValues}}});
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->WriteZeros(uint64_t{kValues} * 4).ok());
  ASSERT_TRUE(writer->Commit().ok());
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->warnings().empty());
  EXPECT_EQ(file->tensors()[0].data.back(), std::byte{0});
}

TEST(GgufFile, ReleasedDataCanBeReadAgain) {
  const std::string path = ScratchPath("released.gguf");
  GgufSpec spec;
  spec.Tensor("t", DType::kF32, {100000});
  WriteBytes(path, spec.Build());
  for (const bool in_memory : {false, true}) {
    const auto file = GgufFile::Open(path, {.read_into_memory = in_memory});
    ASSERT_TRUE(file.ok()) << file.status();
    const absl::Span<const std::byte> data = file->tensors()[0].data;
    file->Release(data);
    EXPECT_EQ(
        std::string(reinterpret_cast<const char*>(data.data()), data.size()),
        spec.tensors[0].data);
    file->Release(data.first(0));
    file->Release(data.subspan(100, 5));
  }
}

}  // namespace
}  // namespace weft::inline v0
