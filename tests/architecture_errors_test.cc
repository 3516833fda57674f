// What architectures say of files that contradict themselves: each tensor
// missing or of another shape in turn, and sizes that cannot be.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "models/architecture.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "tests/gguf_builder.h"
#include "tests/small_models.h"

namespace weft::inline v0 {
namespace {

// Builds the graph of a file, without any pass.
absl::StatusOr<std::unique_ptr<Graph>> Built(const GgufSpec& spec,
                                             const BuildOptions& options) {
  const std::string bytes = spec.Build();
  const auto file = GgufFile::Parse(AsBytes(bytes), "small.gguf");
  if (!file.ok()) return file.status();
  const auto architecture = FindArchitecture(*file);
  if (!architecture.ok()) return architecture.status();
  return BuildModel(*file, **architecture, options);
}

BuildOptions SmallSession() {
  BuildOptions options;
  options.max_tokens = 4;
  options.context = 64;
  return options;
}

absl::Status StatusOf(const GgufSpec& spec) {
  return Built(spec, SmallSession()).status();
}

void Replace(GgufSpec& spec, const std::string& key, uint32_t value) {
  GgufKeySpec& found = spec.Key(key);
  found.type = static_cast<uint32_t>(GgufType::kUint32);
  found.payload = LittleEndian(value);
}

class ErrorsTest : public testing::TestWithParam<std::string> {
 protected:
  GgufSpec Spec() const { return SmallModel(GetParam()); }
};

TEST_P(ErrorsTest, TheModelItselfIsSound) {
  auto graph = Built(Spec(), SmallSession());
  ASSERT_TRUE(graph.ok()) << graph.status();
  for (const Numerics numerics : {Numerics::kExact, Numerics::kFast}) {
    auto again = Built(Spec(), SmallSession());
    const auto report = Optimize(**again, {.numerics = numerics});
    EXPECT_TRUE(report.ok()) << report.status();
  }
}

// These may be left out.
bool IsOptional(const std::string& name) {
  for (const char* part : {".bias", "token_types", "rope_factors"})
    if (Says(name, part)) return true;
  return false;
}

TEST_P(ErrorsTest, A10_EachTensorMissing) {
  const GgufSpec whole = Spec();
  for (size_t i = 0; i < whole.tensors.size(); ++i) {
    const std::string name = whole.tensors[i].name;
    if (IsOptional(name) && !Says(name, "conv1d")) continue;
    GgufSpec spec = Spec();
    spec.tensors.erase(spec.tensors.begin() + static_cast<std::ptrdiff_t>(i));
    const absl::Status status = StatusOf(spec);
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    // Without the one matrix, the three that it stands for are looked for.
    EXPECT_PRED2(Says, status.message(),
                 Says(name, "attn_qkv") ? "attn_q.weight" : name);
  }
}

TEST_P(ErrorsTest, A11_EachTensorOfAnotherShape) {
  const GgufSpec whole = Spec();
  for (size_t i = 0; i < whole.tensors.size(); ++i)
    for (size_t axis = 0; axis < whole.tensors[i].dims.size(); ++axis) {
      const std::string name = whole.tensors[i].name;
      // As many tokens, or types of them, as there are rows.
      if (axis == 1 &&
          (name == "token_embd.weight" || name == "token_types.weight"))
        continue;
      GgufSpec spec = Spec();
      GgufTensorSpec& tensor = spec.tensors[i];
      tensor.dims[axis] += 1;
      tensor.data.resize(2 * tensor.data.size() + 8192);
      const absl::Status status = StatusOf(spec);
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument)
          << name << " axis " << axis << ": " << status;
      EXPECT_PRED2(Says, status.message(), "BIND-A11 at byte ");
      const std::vector<uint64_t>& dims = tensor.dims;
      const auto text = [](std::vector<uint64_t> fastest_first) {
        std::reverse(fastest_first.begin(), fastest_first.end());
        return absl::StrCat("[", absl::StrJoin(fastest_first, ","), "]");
      };
      // What is expected may follow from another tensor's shape.
      EXPECT_PRED2(Says, status.message(),
                   absl::StrCat("\" is ", text(dims), "; expected ["));
      EXPECT_PRED2(Says, status.message(), name);
    }
}

TEST_P(ErrorsTest, EachKeyOfAnotherType) {
  const GgufSpec whole = Spec();
  for (size_t i = 1; i < whole.keys.size(); ++i) {
    GgufSpec spec = Spec();
    spec.keys[i].type = static_cast<uint32_t>(GgufType::kBool);
    spec.keys[i].payload = std::string(1, '\1');
    const absl::Status status = StatusOf(spec);
    // Mamba has no use for the length of a feed-forward part.
    if (Says(spec.keys[i].key, "mamba.feed_forward") ||
        Says(spec.keys[i].key, "mamba.context_length"))
      continue;
    EXPECT_FALSE(status.ok()) << spec.keys[i].key;
    EXPECT_PRED2(Says, status.message(), spec.keys[i].key);
  }
}

TEST_P(ErrorsTest, HugeNumbersAreRefused) {
  const GgufSpec whole = Spec();
  for (size_t i = 1; i < whole.keys.size(); ++i) {
    if (whole.keys[i].type != static_cast<uint32_t>(GgufType::kUint32))
      continue;
    if (Says(whole.keys[i].key, "mamba.feed_forward") ||
        Says(whole.keys[i].key, "mamba.context_length"))
      continue;
    for (const uint32_t value : {0x7FFFFFFFu, 0xFFFFFFFFu}) {
      GgufSpec spec = Spec();
      const std::string& key = whole.keys[i].key;
      Replace(spec, key, value);
      const absl::Status status = StatusOf(spec);
      const bool is_head_size = absl::EndsWith(key, "attention.key_length") ||
                                absl::EndsWith(key, "attention.value_length");
      EXPECT_EQ(status.code(), is_head_size ? absl::StatusCode::kInvalidArgument
                                            : absl::StatusCode::kOutOfRange)
          << whole.keys[i].key << ": " << status;
      EXPECT_PRED2(Says, status.message(), whole.keys[i].key);
    }
  }
}

std::string NameOf(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, ErrorsTest,
                         testing::ValuesIn(SmallModelNames()), NameOf);

// ---- Numbers that do not go together ----

struct BadNumber {
  const char* model;
  const char* key;
  uint32_t value;
  const char* says;
};

void PrintTo(const BadNumber& bad, std::ostream* out) {
  *out << bad.model << " " << bad.key << " = " << bad.value;
}

class BadNumberTest : public testing::TestWithParam<BadNumber> {};

TEST_P(BadNumberTest, IsNamed) {
  const BadNumber& bad = GetParam();
  GgufSpec spec = SmallModel(bad.model);
  const std::string key = absl::StrCat(ArchitectureOf(bad.model), ".", bad.key);
  bool found = false;
  for (const GgufKeySpec& k : spec.keys) found = found || k.key == key;
  if (!found) spec.Scalar(key, GgufType::kUint32, bad.value);
  Replace(spec, key, bad.value);
  const absl::Status status = StatusOf(spec);
  EXPECT_FALSE(status.ok());
  EXPECT_PRED2(Says, status.message(), bad.says);
  EXPECT_PRED2(Says, status.message(), key);
}

// Tensors that nobody counts are no reason to compute something else.
TEST(SharedExperts, AreCounted) {
  GgufSpec spec = SmallModel("deepseek2");
  std::erase_if(spec.keys, [](const GgufKeySpec& key) {
    return key.key == "deepseek2.expert_shared_count";
  });
  const absl::Status status = StatusOf(spec);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_PRED2(Says, status.message(),
               "expert_shared_count is missing; expected the number of experts "
               "that blk.0.ffn_gate_shexp.weight holds");
}

INSTANTIATE_TEST_SUITE_P(
    Numbers, BadNumberTest,
    testing::Values(
        BadNumber{"gemma2", "attention.head_count", 0, "BIND-A2"},
        BadNumber{"gemma2", "attention.head_count_kv", 0, "BIND-A2"},
        BadNumber{"gemma2", "attention.head_count_kv", 3, "BIND-A2"},
        BadNumber{"qwen3moe", "attention.head_count_kv", 8, "BIND-A2"},
        BadNumber{"bert", "attention.head_count", 0, "BIND-A2"},
        BadNumber{"phi3", "rope.dimension_count", 7, "BIND-A7"},
        BadNumber{"phi3", "rope.dimension_count", 10, "BIND-A7"},
        BadNumber{"mixtral", "expert_used_count", 0, "BIND-A12"},
        BadNumber{"mixtral", "expert_used_count", 5, "BIND-A12"},
        BadNumber{"qwen3moe", "expert_count", 0, "BIND-A12"},
        BadNumber{"qwen3moe", "expert_used_count", 5, "BIND-A12"},
        BadNumber{"gpt-oss", "expert_count", 0, "BIND-A12"},
        BadNumber{"deepseek2", "expert_count", 0, "BIND-A12"},
        BadNumber{"deepseek2", "expert_gating_func", 4, "0 to 3"},
        BadNumber{"deepseek2", "expert_group_count", 3, "BIND-A12"},
        BadNumber{"deepseek2", "expert_group_used_count", 2, "BIND-A12"},
        BadNumber{"deepseek2", "expert_shared_count", 0, "ffn_gate_shexp"},
        BadNumber{"deepseek2", "leading_dense_block_count", 2, "0 to 1"},
        BadNumber{"deepseek2", "attention.key_length_mla", 4, "BIND-A4"},
        BadNumber{"deepseek2", "attention.kv_lora_rank", 0, "BIND-A1"},
        BadNumber{"mamba", "ssm.conv_kernel", 1, "BIND-A1"},
        BadNumber{"mamba", "ssm.state_size", 0, "BIND-A1"},
        BadNumber{"gpt2", "context_length", 63, "BIND-A6"}));

TEST(ArchitectureErrors, SlidingWindowPatternsOfTheWrongLength) {
  GgufSpec spec = SmallModel("gemma2");
  spec.Array<uint8_t>("gemma2.attention.sliding_window_pattern",
                      GgufType::kBool, {1, 0});
  EXPECT_PRED2(Says, StatusOf(spec).message(), "BIND-A5");
}

TEST(ArchitectureErrors, SlidingWindowPatternsByLayer) {
  for (const uint8_t windowed : {0, 1}) {
    GgufSpec spec = SmallModel("gemma2");
    spec.Array<uint8_t>("gemma2.attention.sliding_window_pattern",
                        GgufType::kBool, {windowed});
    const auto graph = Built(spec, SmallSession());
    ASSERT_TRUE(graph.ok()) << graph.status();
    int64_t window = -1;
    for (const NodeId id : (*graph)->order())
      if ((*graph)->node(id).op == FindOp("mask"))
        window = (*graph)->node(id).attrs.Int("window");
    EXPECT_EQ(window, windowed == 0 ? 0 : 4096);
  }
}

TEST(ArchitectureErrors, AnUnknownArchitectureListsThoseThatThereAre) {
  GgufSpec spec = SmallModel("llama");
  spec.keys[0].payload = GgufString("llama5");
  const absl::Status status = StatusOf(spec);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_PRED2(
      Says, status.message(),
      absl::StrCat("BIND-ARCH at byte ", spec.OffsetOf("general.architecture"),
                   ": general.architecture is \"llama5\""));
  for (const Architecture& a : Architectures())
    EXPECT_PRED2(Says, status.message(), a.name);
}

}  // namespace
}  // namespace weft::inline v0
