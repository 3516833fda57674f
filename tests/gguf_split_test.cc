// Models in several GGUF files.
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/model_file.h"
#include "tests/gguf_builder.h"
#include "tests/golden.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

namespace fs = std::filesystem;

constexpr int kParts = 3;

GgufSpec& AddSplit(GgufSpec& spec, int number, int count, size_t tensors) {
  return spec
      .Scalar<uint16_t>("split.no", GgufType::kUint16,
                        static_cast<uint16_t>(number))
      .Scalar<uint16_t>("split.count", GgufType::kUint16,
                        static_cast<uint16_t>(count))
      .Scalar<int32_t>("split.tensors.count", GgufType::kInt32,
                       static_cast<int32_t>(tensors));
}

// The tiny llama in three files: metadata in the first, tensors dealt out.
std::vector<GgufSpec> Parts() {
  GgufSpec whole = TinyLlama();
  std::vector<GgufSpec> parts(kParts);
  parts[0].keys = whole.keys;
  for (size_t i = 0; i < whole.tensors.size(); ++i)
    parts[i % kParts].tensors.push_back(whole.tensors[i]);
  for (int i = 0; i < kParts; ++i)
    AddSplit(parts[static_cast<size_t>(i)], i, kParts, whole.tensors.size());
  return parts;
}

std::string PathOf(const std::string& folder, int number, int count = kParts) {
  return absl::StrFormat("%s/m-%05d-of-%05d.gguf", folder, number, count);
}

// Writes the parts into a folder of the running test.
std::string Write(std::vector<GgufSpec> parts) {
  const std::string folder = ScratchPath(
      testing::UnitTest::GetInstance()->current_test_info()->name());
  fs::create_directory(folder);
  for (size_t i = 0; i < parts.size(); ++i)
    WriteBytes(PathOf(folder, static_cast<int>(i) + 1), parts[i].Build());
  return folder;
}

void ExpectError(const std::string& path, absl::StatusCode code,
                 const std::string& what) {
  const absl::Status status = OpenModelFile(path).status();
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_PRED2(Says, status.message(), what) << status;
}

std::vector<float> LogitsOf(const std::string& path) {
  const auto model = Model::Load(path);
  if (!model.ok()) return ADD_FAILURE() << model.status(), std::vector<float>();
  SessionOptions options;
  options.backend_options.threads = 1;
  const auto session = (*model)->NewSession(options);
  if (!session.ok())
    return ADD_FAILURE() << session.status(), std::vector<float>();
  const auto logits = (*session)->Prefill(0, std::vector<Token>{1, 5, 7});
  return std::vector<float>(logits->begin(), logits->end());
}

TEST(GgufSplit, AnyPartOpensAll) {
  const std::string folder = Write(Parts());
  const std::vector<float> want = LogitsOf(TinyLlamaPath());
  for (int i = 1; i <= kParts; ++i) {
    const auto file = OpenModelFile(PathOf(folder, i));
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->tensors().size(), TinyLlama().tensors.size());
    EXPECT_EQ(file->files().size(), kParts);
    EXPECT_TRUE(file->warnings().empty());
    EXPECT_EQ(LogitsOf(PathOf(folder, i)), want);
  }
}

TEST(GgufSplit, QuantizeWritesOneFile) {
  const std::string folder = Write(Parts()), out = folder + "/whole.gguf";
  const std::string in = "--in=" + PathOf(folder, 2);
  ExpectSuccess(RunTool("weft-quantize", {in, "--out=" + out, "--type=q8_0"}));
  EXPECT_EQ(LogitsOf(out), LogitsOf(TinyLlamaPath()));
  EXPECT_FALSE(GgufFile::Open(out)->Has("split.count"));
  // A part is an input too.
  ExpectFailure(RunTool("weft-quantize",
                        {in, "--out=" + PathOf(folder, 3), "--type=q8_0"}),
                "weft-quantize", "the same file");
  ExpectSuccess(RunTool("graph-dump", {"--model=" + PathOf(folder, 3)}));
}

// What tools write into whole files, and names that only look like parts.
TEST(GgufSplit, OneFileIsWhole) {
  for (const int count : {0, 1}) {
    GgufSpec spec = TinyLlama();
    AddSplit(spec, 0, count, spec.tensors.size());
    const std::string path = ScratchPath(absl::StrCat("whole", count));
    WriteBytes(path, spec.Build());
    EXPECT_TRUE(OpenModelFile(path).ok());
  }
  const std::string folder = Write({TinyLlama()});
  EXPECT_TRUE(OpenModelFile(PathOf(folder, 1)).ok());
}

TEST(GgufSplit, S1CountIsNoCount) {
  for (const int count : {0, 1, 4, 65535}) {
    auto parts = Parts();
    parts[0].Key("split.count").payload =
        LittleEndian(static_cast<uint16_t>(count));
    ExpectError(
        PathOf(Write(parts), 1), absl::StatusCode::kInvalidArgument,
        absl::StrCat("SPLIT-1 at byte ", parts[0].OffsetOf("split.count"),
                     ": split.count is ", count,
                     "; expected 3, as the file's name says"));
  }
  auto parts = Parts();
  parts[0].Key("split.count") = {"split.count", 8, GgufString("3")};
  ExpectError(PathOf(Write(parts), 1), absl::StatusCode::kInvalidArgument,
              "split.count");
  WriteBytes(ScratchPath("renamed.gguf"), Parts()[0].Build());
  ExpectError(ScratchPath("renamed.gguf"), absl::StatusCode::kInvalidArgument,
              "-00001-of-00003.gguf, by which the other parts are found");
}

std::string AtNumber(const GgufSpec& part, absl::string_view what) {
  return absl::StrCat("SPLIT-3 at byte ", part.OffsetOf("split.no"),
                      ": split.no", what);
}

TEST(GgufSplit, S2NumbersAndMissingParts) {
  auto parts = Parts();
  std::swap(parts[1], parts[2]);
  std::string folder = Write(parts);
  ExpectError(PathOf(folder, 1), absl::StatusCode::kInvalidArgument,
              AtNumber(parts[1], " is 2; expected 1 in part 2 of 3"));
  parts = Parts();
  parts[2] = parts[1];
  folder = Write(parts);
  ExpectError(PathOf(folder, 3), absl::StatusCode::kInvalidArgument,
              AtNumber(parts[2], " is 1; expected 2 in part 3 of 3"));
  fs::remove(PathOf(folder, 2));
  ExpectError(PathOf(folder, 1), absl::StatusCode::kNotFound,
              "m-00002-of-00003.gguf: SPLIT-2: the part is missing");
}

TEST(GgufSplit, S4PartsThatDisagree) {
  auto parts = Parts();
  parts[1].Key("split.tensors.count").payload = LittleEndian<int32_t>(7);
  ExpectError(
      PathOf(Write(parts), 1), absl::StatusCode::kInvalidArgument,
      absl::StrCat("SPLIT-4 at byte ", parts[1].OffsetOf("split.tensors.count"),
                   ": split.tensors.count is 7"));
  parts = Parts();
  parts[2].Key("split.count").payload = LittleEndian<uint16_t>(2);
  ExpectError(PathOf(Write(parts), 1), absl::StatusCode::kInvalidArgument,
              absl::StrCat("SPLIT-4 at byte ", parts[2].OffsetOf("split.count"),
                           ": split.count is 2"));
  parts = Parts();
  parts[1].tensors.pop_back();
  ExpectError(
      PathOf(Write(parts), 1), absl::StatusCode::kInvalidArgument,
      absl::StrCat("SPLIT-6 at byte ", parts[0].OffsetOf("split.tensors.count"),
                   ": split.tensors.count is "));
  parts = Parts();
  parts[2].String("general.architecture", "qwen2");
  ExpectError(PathOf(Write(parts), 1), absl::StatusCode::kInvalidArgument,
              absl::StrCat("SPLIT-7 at byte ",
                           parts[2].OffsetOf("general.architecture"),
                           ": general.architecture is \"qwen2\""));
}

TEST(GgufSplit, S5ATensorTwice) {
  auto parts = Parts();
  parts[2].tensors[0] = parts[1].tensors[0];
  const std::string folder = Write(parts);
  ExpectError(PathOf(folder, 1), absl::StatusCode::kAlreadyExists, "SPLIT-5");
  ExpectError(PathOf(folder, 1), absl::StatusCode::kAlreadyExists,
              PathOf(folder, 2));
  ExpectError(PathOf(folder, 1), absl::StatusCode::kAlreadyExists,
              PathOf(folder, 3));
}

}  // namespace
}  // namespace weft::inline v0
