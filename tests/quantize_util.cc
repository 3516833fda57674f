#include "tests/quantize_util.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace weft::inline v0 {

ToolResult Quantize(const std::string& in, const std::string& out,
                    std::vector<std::string> args, const ToolOptions& options) {
  args.push_back("--in=" + in);
  args.push_back("--out=" + out);
  return RunTool("weft-quantize", args, options);
}

GgufFile Opened(const std::string& path) {
  auto file = GgufFile::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  return *std::move(file);
}

std::string DataOf(const GgufFile& file, absl::string_view name) {
  const GgufTensor* tensor = file.FindTensor(name);
  EXPECT_NE(tensor, nullptr) << name;
  if (tensor == nullptr) return "";
  return {reinterpret_cast<const char*>(tensor->data.data()),
          tensor->data.size()};
}

DType TypeIn(const GgufFile& file, absl::string_view name) {
  const GgufTensor* tensor = file.FindTensor(name);
  return tensor == nullptr ? DType::kUnknown : tensor->dtype;
}

namespace {

// `n` normally distributed floats.
std::string Floats(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::string bytes;
  for (size_t i = 0; i < n; ++i) bytes += LittleEndian(normal(random));
  return bytes;
}

}  // namespace

GgufSpec SmallModel() {
  GgufSpec spec;
  spec.String("general.architecture", "llama")
      .String("general.name", "small")
      .Scalar<uint32_t>("general.file_type", GgufType::kUint32, 0)
      .Scalar<uint32_t>("llama.block_count", GgufType::kUint32, 1);
  spec.Tensor("blk.0.attn_q.weight", DType::kF32, {512, 8})
      .Tensor("blk.0.ffn_up_exps.weight", DType::kF32, {256, 6, 2})
      .Tensor("blk.0.attn_norm.weight", DType::kF32, {512})
      .Tensor("blk.0.ffn_gate_inp.weight", DType::kF32, {512, 2});
  for (GgufTensorSpec& tensor : spec.tensors)
    tensor.data = Floats(tensor.data.size() / 4, 3);
  return spec;
}

std::string WriteModel(const GgufSpec& spec, const std::string& name) {
  const std::string path = ScratchPath(name);
  WriteBytes(path, spec.Build());
  return path;
}

std::string TinyModel() {
  static const std::string path = [] {
    const std::string p = ScratchPath("tiny-f16.gguf");
    ExpectSuccess(RunTool("weft-synth", {"--preset=tiny", "--type=f16",
                                         "--vocab_size=500", "--out=" + p}));
    return p;
  }();
  return path;
}

}  // namespace weft::inline v0
