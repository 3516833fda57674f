// weft-quantize: what it writes and what it refuses.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "backends/encode.h"
#include "gtest/gtest.h"
#include "tests/golden.h"
#include "tests/hf_model.h"
#include "tests/quantize_util.h"

namespace weft::inline v0 {
namespace {

namespace fs = std::filesystem;

// ---- What it writes ----

TEST(WeftQuantize, MatchesTheFilesOfLlamaCpp) {
  const std::string in = SharedPath("models/stories260K.gguf");
  if (in.empty()) GTEST_SKIP() << "no shared models";
  for (const std::string tag : {"q8_0", "q4_0"}) {
    const std::string out = ScratchPath("stories-" + tag + ".gguf");
    ExpectSuccess(Quantize(in, out, {"--type=" + tag}));
    const GgufFile made = Opened(out);
    const GgufFile golden = Opened(SharedPath(
        absl::StrCat("golden/stories260K/stories260K-", tag, ".gguf")));
    ASSERT_EQ(made.tensors().size(), golden.tensors().size());
    for (const GgufTensor& tensor : golden.tensors()) {
      EXPECT_EQ(TypeIn(made, tensor.name), tensor.dtype) << tensor.name;
      EXPECT_TRUE(DataOf(made, tensor.name) == DataOf(golden, tensor.name))
          << tag << " " << tensor.name;
    }
    for (const char* key :
         {"general.file_type", "general.quantization_version"})
      EXPECT_EQ(*made.GetUint32(key), *golden.GetUint32(key)) << key;
  }
}

TEST(WeftQuantize, KeepsMetadataAndVectorsAsTheyWere) {
  const std::string in = WriteModel(SmallModel(), "small.gguf");
  const std::string out = ScratchPath("small-q8.gguf");
  ExpectSuccess(Quantize(in, out, {"--type=q8_0"}));
  const GgufFile before = Opened(in), after = Opened(out);
  EXPECT_EQ(after.alignment(), before.alignment());
  for (const absl::string_view key : before.keys()) {
    if (key == "general.file_type") continue;
    EXPECT_EQ(*after.GetRaw(key), *before.GetRaw(key)) << key;
  }
  EXPECT_EQ(after.keys().size(), before.keys().size() + 1);
  EXPECT_EQ(*after.GetUint32("general.file_type"), 7u);
  EXPECT_EQ(*after.GetUint32("general.quantization_version"), 2u);
  for (const char* name :
       {"blk.0.attn_norm.weight", "blk.0.ffn_gate_inp.weight"}) {
    EXPECT_EQ(TypeIn(after, name), DType::kF32);
    EXPECT_TRUE(DataOf(after, name) == DataOf(before, name)) << name;
  }
  EXPECT_EQ(TypeIn(after, "blk.0.attn_q.weight"), DType::kQ8_0);
  EXPECT_EQ(TypeIn(after, "blk.0.ffn_up_exps.weight"), DType::kQ8_0);
}

TEST(WeftQuantize, WritesEveryFormatItCanEncode) {
  const std::string out = ScratchPath("each.gguf");
  int formats = 0;
  for (const DTypeInfo& info : AllDTypes()) {
    if (!CanEncode(info.type)) continue;
    ++formats;
    ExpectSuccess(Quantize(TinyModel(), out,
                           {absl::StrCat("--type=", info.name), "--pure"}));
    const GgufFile file = Opened(out);
    EXPECT_TRUE(file.warnings().empty());
    for (const GgufTensor& tensor : file.tensors())
      EXPECT_EQ(tensor.dtype, tensor.dims.size() == 1 ? DType::kF32 : info.type)
          << tensor.name;
  }
  EXPECT_EQ(formats, 17);
}

// The table says what happened: types, sizes and errors are those of the file.
TEST(WeftQuantize, TheTableIsTrue) {
  const std::string in = WriteModel(SmallModel(), "small.gguf");
  const std::string out = ScratchPath("table.gguf");
  const ToolResult result = Quantize(in, out, {"--type=q4_0"});
  ExpectSuccess(result);
  const std::vector<absl::string_view> lines =
      absl::StrSplit(result.out, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 1u + 4 + 3) << result.out;
  const std::vector<absl::string_view> row =
      absl::StrSplit(lines[1], ' ', absl::SkipEmpty());
  ASSERT_EQ(row.size(), 6u) << lines[1];
  EXPECT_EQ(row[0], "blk.0.attn_q.weight");
  EXPECT_EQ(row[1], "[8,512]");
  EXPECT_EQ(row[2], "f32");
  EXPECT_EQ(row[3], "q4_0");
  const std::string before = DataOf(Opened(in), row[0]);
  const std::string after = DataOf(Opened(out), row[0]);
  std::vector<float> values(before.size() / 4), decoded(before.size() / 4);
  std::memcpy(values.data(), before.data(), before.size());
  Info(DType::kQ4_0)
      .decode(after.data(), static_cast<int64_t>(values.size() / 32),
              decoded.data());
  double wrong = 0, all = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    wrong += std::pow(values[i] - decoded[i], 2.0);
    all += std::pow(values[i], 2.0);
  }
  EXPECT_EQ(row[5], absl::StrFormat("%.5f", std::sqrt(wrong / all)));
  EXPECT_TRUE(absl::StrContains(result.out, "4 tensors: 2 encoded, 2 copied"))
      << result.out;
}

TEST(WeftQuantize, IsTheSameForAnyNumberOfThreads) {
  const std::string a = ScratchPath("one.gguf"), b = ScratchPath("many.gguf");
  const ToolResult one =
      Quantize(TinyModel(), a, {"--type=Q8_0", "--threads=1"});
  const ToolResult many =
      Quantize(TinyModel(), b, {"--type=Q8_0", "--threads=5"});
  ExpectSuccess(one);
  EXPECT_TRUE(ReadText(a) == ReadText(b));
  EXPECT_EQ(one.out, many.out);
}

TEST(WeftQuantize, PatternsHaveTheLastWord) {
  const std::string out = ScratchPath("patterns.gguf");
  const auto types = [&](std::vector<std::string> args) {
    args.push_back("--type=q4_0");
    ExpectSuccess(Quantize(TinyModel(), out, args));
    return Opened(out);
  };
  const GgufFile own = types({"--include=*.ffn_down.weight=q8_0"});
  EXPECT_EQ(TypeIn(own, "blk.0.ffn_down.weight"), DType::kQ8_0);
  EXPECT_EQ(TypeIn(own, "blk.0.ffn_up.weight"), DType::kQ4_0);
  const GgufFile only = types({"--include=blk.1.*,output.weight=q8_0"});
  EXPECT_EQ(TypeIn(only, "blk.1.ffn_up.weight"), DType::kQ4_0);
  EXPECT_EQ(TypeIn(only, "output.weight"), DType::kQ8_0);
  EXPECT_EQ(TypeIn(only, "blk.0.ffn_up.weight"), DType::kF16);
  EXPECT_EQ(TypeIn(only, "blk.1.ffn_norm.weight"), DType::kF32);
  const GgufFile without = types(
      {"--include=blk.0.*", "--exclude=*attn_?.weight,blk.0.ffn_up*=bf16"});
  EXPECT_EQ(TypeIn(without, "blk.0.attn_q.weight"), DType::kF16);
  EXPECT_EQ(TypeIn(without, "blk.0.ffn_up.weight"), DType::kBF16);
  EXPECT_EQ(TypeIn(without, "blk.0.ffn_down.weight"), DType::kQ4_0);
  EXPECT_EQ(TypeIn(without, "blk.1.ffn_down.weight"), DType::kF16);
  for (const char* flag : {"--include=*nothing*", "--exclude=output_norm.*"})
    ExpectFailure(Quantize(TinyModel(), out, {"--type=q4_0", flag}),
                  "weft-quantize", "no matrix whose name matches");
}

TEST(WeftQuantize, ADryRunWritesNothing) {
  const std::string out = ScratchPath("dry.gguf");
  const ToolResult dry = RunTool(
      "weft-quantize", {"--in=" + TinyModel(), "--type=q8_0", "--dry_run"});
  ExpectSuccess(dry);
  const ToolResult with_out =
      Quantize(TinyModel(), out, {"--type=q8_0", "--dry_run"});
  EXPECT_EQ(with_out.out, dry.out);
  EXPECT_FALSE(fs::exists(out));
  // The sizes are those that come true.
  ExpectSuccess(Quantize(TinyModel(), out, {"--type=q8_0"}));
  const GgufFile file = Opened(out);
  double bytes = 0;
  for (const GgufTensor& tensor : file.tensors())
    bytes += static_cast<double>(tensor.bytes);
  EXPECT_TRUE(absl::StrContains(
      dry.out, absl::StrFormat("-> %.2f MiB", bytes / (1 << 20))))
      << dry.out;
}

// ---- Quantised input ----

TEST(WeftQuantize, QuantisesAgainOnlyWhenAsked) {
  const std::string q8 = ScratchPath("again-q8.gguf"),
                    out = ScratchPath("again.gguf");
  ExpectSuccess(Quantize(TinyModel(), q8, {"--type=q8_0"}));
  ExpectFailure(Quantize(q8, out, {"--type=q4_0"}), "weft-quantize",
                "--allow_requantize");
  EXPECT_FALSE(fs::exists(out));
  ExpectSuccess(Quantize(q8, out, {"--type=q4_0", "--allow_requantize"}));
  EXPECT_EQ(TypeIn(Opened(out), "output.weight"), DType::kQ4_0);
  // What has that format already is copied.
  ExpectSuccess(Quantize(q8, out, {"--type=q8_0"}));
  EXPECT_TRUE(ReadText(q8) == ReadText(out));
}

// A converter's work, done backwards and then by weft-quantize: the matrices of
// the first file, bytes as they were.
TEST(WeftQuantize, WritesDirectoriesInTheOrderOfGgufFiles) {
  const GoldenModel golden = LoadOpen("llama_gqa", "");
  if (golden.prompts.empty())
    GTEST_SKIP() << "no reference values in " << WEFT_SHARED_DIR;
  const auto want = GgufFile::Open(golden.path);
  ASSERT_TRUE(want.ok()) << want.status();
  const std::string folder = HfModelFrom(*want).Write("written");
  const DType type = want->FindTensor("blk.0.attn_q.weight")->dtype;
  for (const DType to : {type, DType::kQ8_0}) {
    const std::string out = ScratchPath("written.gguf"),
                      again = ScratchPath("again.gguf");
    const std::string flag = absl::StrCat("--type=", Name(to));
    ExpectSuccess(
        RunTool("weft-quantize", {"--in=" + folder, "--out=" + out, flag}));
    ExpectSuccess(RunTool("weft-quantize",
                          {"--in=" + golden.path, "--out=" + again, flag}));
    const auto got = GgufFile::Open(out), expected = GgufFile::Open(again);
    ASSERT_TRUE(got.ok() && expected.ok()) << got.status();
    EXPECT_FALSE(got->Has("llama.rope.halves"));
    for (const GgufTensor& tensor : expected->tensors()) {
      const GgufTensor* found = got->FindTensor(tensor.name);
      ASSERT_NE(found, nullptr) << tensor.name;
      EXPECT_TRUE(found->data == tensor.data) << tensor.name;
    }
  }
}

TEST(WeftQuantize, DecodesExactly) {
  const std::string q8 = ScratchPath("exact-q8.gguf"),
                    out = ScratchPath("exact-f32.gguf");
  ExpectSuccess(Quantize(TinyModel(), q8, {"--type=q8_0"}));
  ExpectSuccess(Quantize(q8, out, {"--type=f32"}));
  const std::string blocks = DataOf(Opened(q8), "output.weight");
  std::string decoded(blocks.size() / 34 * 32 * 4, '\0');
  Info(DType::kQ8_0)
      .decode(blocks.data(), static_cast<int64_t>(blocks.size() / 34),
              reinterpret_cast<float*>(decoded.data()));
  EXPECT_TRUE(DataOf(Opened(out), "output.weight") == decoded);
}

// ---- Input that it cannot take ----

TEST(WeftQuantize, NamesATensorThatIsNoNumber) {
  GgufSpec spec = SmallModel();
  spec.tensors[1].data.replace(4000, 4, LittleEndian(std::nanf("")));
  const std::string out = ScratchPath("nan-out.gguf");
  const ToolResult result =
      Quantize(WriteModel(spec, "nan.gguf"), out, {"--type=q8_0"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(CountLines(result.err), 1) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "blk.0.ffn_up_exps.weight"))
      << result.err;
  EXPECT_FALSE(fs::exists(out));
}

TEST(WeftQuantize, NamesFormatsThatItDoesNotKnow) {
  GgufSpec spec = SmallModel();
  spec.Tensor("blk.0.attn_k.weight", DType::kIQ2_XXS, {512, 4});
  const std::string in = WriteModel(spec, "iq2.gguf");
  const std::string out = ScratchPath("iq2-out.gguf");
  const ToolResult result = Quantize(in, out, {"--type=q8_0"});
  ExpectFailure(result, "weft-quantize", "weft cannot decode iq2_xxs");
  EXPECT_TRUE(absl::StrContains(result.err, "blk.0.attn_k.weight"));
  // It can be kept.
  ExpectSuccess(Quantize(in, out, {"--type=q8_0", "--exclude=*attn_k*"}));
  EXPECT_TRUE(DataOf(Opened(out), "blk.0.attn_k.weight") ==
              spec.tensors.back().data);
}

TEST(WeftQuantize, KeepsEmptyTensors) {
  GgufSpec spec = SmallModel();
  spec.Tensor("none.weight", DType::kF32, {uint64_t{1} << 61, 0, 2})
      .Tensor("no_columns.weight", DType::kF16, {0, 8});
  const std::string out = ScratchPath("empty-out.gguf");
  ExpectSuccess(
      Quantize(WriteModel(spec, "empty.gguf"), out, {"--type=Q4_K_M"}));
  EXPECT_EQ(TypeIn(Opened(out), "none.weight"), DType::kF32);
  EXPECT_EQ(TypeIn(Opened(out), "no_columns.weight"), DType::kF16);
}

TEST(WeftQuantize, SaysWhatIsWrong) {
  const std::string in = "--in=" + TinyModel();
  const std::string out = "--out=" + ScratchPath("wrong.gguf");
  const struct {
    std::vector<std::string> args;
    const char* says;
  } cases[] = {
      {{out, "--type=q8_0"}, "--in=FILE"},
      {{in, "--type=q8_0"}, "--out=FILE"},
      {{in, out}, "Q4_K_M"},
      {{in, out, "--type=q9"}, "\"q9\""},
      {{in, out, "--type=q8_0", "--threads=-2"}, "--threads"},
      {{in, out, "--type=q8_0", "--include=a=b"}, "--include"},
      {{"--in=/no.gguf", out, "--type=q8_0"}, "/no.gguf"},
      {{in, "--out=/no/folder/x", "--type=q8_0"}, "/no/folder/x"},
      {{in, "--out=/", "--type=q8_0"}, "directory"},
  };
  for (const auto& c : cases)
    ExpectFailure(RunTool("weft-quantize", c.args), "weft-quantize", c.says);
}

}  // namespace
}  // namespace weft::inline v0
