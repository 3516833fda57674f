// weft-quantize with importance matrices.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/quantize_util.h"

namespace weft::inline v0 {
namespace {

namespace fs = std::filesystem;

GgufSpec ImatrixSpec() {
  GgufSpec spec;
  spec.String("general.type", "imatrix")
      .Strings("imatrix.datasets", {"text"})
      .Scalar<uint32_t>("imatrix.chunk_count", GgufType::kUint32, 9)
      .Scalar<uint32_t>("imatrix.chunk_size", GgufType::kUint32, 512);
  spec.Tensor("blk.0.attn_q.weight.in_sum2", DType::kF32, {512})
      .Tensor("blk.0.attn_q.weight.counts", DType::kF32, {1})
      .Tensor("blk.0.ffn_up_exps.weight.in_sum2", DType::kF32, {256, 2})
      .Tensor("blk.0.ffn_up_exps.weight.counts", DType::kF32, {1, 2});
  for (GgufTensorSpec& tensor : spec.tensors) {
    const size_t n = tensor.data.size() / 4;
    tensor.data.clear();
    // The first columns matter most by far.
    for (size_t i = 0; i < n; ++i)
      tensor.data += LittleEndian(i < 8 ? 1e4f : 1.0f);
  }
  spec.tensors[1].data = LittleEndian(10.0f);
  spec.tensors[3].data = LittleEndian(10.0f) + LittleEndian(0.0f);
  return spec;
}

std::vector<float> ValuesIn(const GgufFile& file, const char* name) {
  const GgufTensor& tensor = *file.FindTensor(name);
  const DTypeInfo& info = Info(tensor.dtype);
  const size_t blocks =
      tensor.data.size() / static_cast<size_t>(info.block_bytes);
  std::vector<float> values(blocks * static_cast<size_t>(info.block_values));
  info.decode(tensor.data.data(), static_cast<int64_t>(blocks), values.data());
  return values;
}

// The squared error of the first 8 columns of rows.
double FirstColumnsError(const std::vector<float>& truth,
                         const std::vector<float>& values, size_t columns) {
  double sum = 0;
  for (size_t i = 0; i < truth.size(); ++i)
    if (i % columns < 8) sum += std::pow(truth[i] - values[i], 2.0);
  return sum;
}

TEST(WeftQuantize, UsesAnImportanceMatrix) {
  const std::string in = WriteModel(SmallModel(), "small.gguf");
  const std::string imatrix = WriteModel(ImatrixSpec(), "imatrix.gguf");
  const std::string plain = ScratchPath("plain.gguf"),
                    out = ScratchPath("weighted.gguf");
  ExpectSuccess(Quantize(in, plain, {"--type=q4_k"}));
  const ToolResult result =
      Quantize(in, out, {"--type=q4_k", "--imatrix=" + imatrix});
  ExpectSuccess(result);
  EXPECT_FALSE(absl::StrContains(result.err, "warning")) << result.err;
  const GgufFile file = Opened(out);
  EXPECT_EQ(*file.GetString("quantize.imatrix.file"), imatrix);
  EXPECT_EQ(*file.GetUint32("quantize.imatrix.entries_count"), 2u);
  EXPECT_EQ(*file.GetUint32("quantize.imatrix.chunks_count"), 9u);
  const char* name = "blk.0.attn_q.weight";
  const std::vector<float> truth = ValuesIn(Opened(in), name);
  const double weighted = FirstColumnsError(truth, ValuesIn(file, name), 512);
  const double unweighted =
      FirstColumnsError(truth, ValuesIn(Opened(plain), name), 512);
  EXPECT_LT(weighted, 0.8 * unweighted);  // 0.62 as measured
  // The second expert was never chosen: as without importance.
  const char* experts = "blk.0.ffn_up_exps.weight";
  const std::string with = DataOf(file, experts),
                    without = DataOf(Opened(plain), experts);
  EXPECT_NE(with.substr(0, with.size() / 2),
            without.substr(0, without.size() / 2));
  EXPECT_EQ(with.substr(with.size() / 2), without.substr(without.size() / 2));
}

TEST(WeftQuantize, SaysWhatAnImportanceMatrixLacks) {
  const std::string in = WriteModel(SmallModel(), "small.gguf");
  GgufSpec spec = ImatrixSpec();
  spec.tensors.resize(2);
  const std::string imatrix = WriteModel(spec, "partial.gguf");
  const ToolResult result = Quantize(in, ScratchPath("partial-out.gguf"),
                                     {"--type=q4_0", "--imatrix=" + imatrix});
  ExpectSuccess(result);
  EXPECT_TRUE(absl::StrContains(
      result.err, "nothing about 1 of 2 matrices, such as blk.0.ffn_up_exps"))
      << result.err;
}

TEST(WeftQuantize, RefusesWhatIsNoImportanceMatrix) {
  const std::string in = WriteModel(SmallModel(), "small.gguf");
  const std::string out = ScratchPath("no.gguf");
  const auto refused = [&](const std::string& path, const char* says) {
    ExpectFailure(Quantize(in, out, {"--type=q4_0", "--imatrix=" + path}),
                  "weft-quantize", says);
  };
  refused(in, "another GGUF file; expected an importance matrix");
  refused("/no/imatrix", "/no/imatrix");
  // The older form begins with a number of entries.
  WriteBytes(
      ScratchPath("old.dat"),
      std::string("\x02\0\0\0\x13\0\0\0blk.0", 13) + std::string(40, 'x'));
  refused(ScratchPath("old.dat"), "llama-imatrix --in-file");
  const auto changed = [&](const char* says, auto change) {
    GgufSpec spec = ImatrixSpec();
    change(spec);
    refused(WriteModel(spec, "changed.gguf"), says);
  };
  changed("without any entry", [](GgufSpec& s) { s.tensors.clear(); });
  changed("counts is missing",
          [](GgufSpec& s) { s.tensors[1].name = "other"; });
  changed("is for 1 x 256 columns; expected 1 x 512", [](GgufSpec& s) {
    s.tensors[0].dims = {256};
    s.tensors[0].data.resize(1024);
  });
  changed("512 sums in 256 columns, but 1 counts", [](GgufSpec& s) {
    s.tensors[3].dims = {1};
    s.tensors[3].data.resize(4);
  });
  changed("negative or no finite", [](GgufSpec& s) {
    s.tensors[0].data.replace(0, 4, LittleEndian(-1.0f));
  });
  changed("negative or no finite",
          [](GgufSpec& s) { s.tensors[1].data = LittleEndian(std::nanf("")); });
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace weft::inline v0
