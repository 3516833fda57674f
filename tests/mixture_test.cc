// Which tensor gets which format.
#include "tools/mixture.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/gguf.h"
#include "tests/gguf_builder.h"

namespace weft::inline v0 {
namespace {

constexpr MixtureModel kTinyLlama = {.layers = 22, .heads_per_group = 8};
constexpr MixtureModel kPlain = {.layers = 32, .heads_per_group = 1};

Mixture Find(const std::string& name, bool pure = false) {
  const auto mixture = FindMixture(name, pure);
  EXPECT_TRUE(mixture.ok()) << mixture.status();
  return mixture.value_or(Mixture());
}

DType Of(const std::string& mixture, const MixtureModel& model,
         const std::string& name, int64_t columns = 2048) {
  return TypeFor(Find(mixture), model, name, {512, columns});
}

// The layers that get something else than the mixture's base.
std::vector<int> Raised(const std::string& mixture, const MixtureModel& model,
                        const char* part, DType type) {
  std::vector<int> layers;
  for (int i = 0; i < model.layers; ++i) {
    const std::string name = absl::StrCat("blk.", i, ".", part, ".weight");
    if (Of(mixture, model, name) == type) layers.push_back(i);
  }
  return layers;
}

TEST(Mixture, Q4KMGivesMoreBitsToTheEndsAndEveryThirdLayer) {
  // As the Q4_K_M file of TinyLlama-1.1B-Chat that is on every hub has them.
  const std::vector<int> raised = {0, 1, 4, 7, 10, 13, 16, 19, 20, 21};
  EXPECT_EQ(Raised("Q4_K_M", kTinyLlama, "attn_v", DType::kQ6_K), raised);
  EXPECT_EQ(Raised("Q4_K_M", kTinyLlama, "ffn_down", DType::kQ6_K), raised);
  EXPECT_EQ(Raised("Q5_K_M", kTinyLlama, "attn_v", DType::kQ6_K), raised);
  for (const char* name :
       {"token_embd.weight", "blk.0.attn_q.weight", "blk.0.attn_k.weight",
        "blk.0.attn_output.weight", "blk.0.ffn_gate.weight",
        "blk.0.ffn_up.weight", "blk.2.ffn_down.weight"})
    EXPECT_EQ(Of("Q4_K_M", kTinyLlama, name), DType::kQ4_K) << name;
}

TEST(Mixture, TheOutputHasSixBits) {
  for (const Mixture& mixture : AllMixtures()) {
    const DType want = mixture.name == "Q8_0" ? DType::kQ8_0 : DType::kQ6_K;
    const std::string name(mixture.name);
    EXPECT_EQ(Of(name, kTinyLlama, "output.weight"), want) << name;
    // Where the embedding is the output as well, it counts as that.
    MixtureModel tied = kTinyLlama;
    tied.has_output = false;
    EXPECT_EQ(Of(name, tied, "token_embd.weight"), want) << name;
    EXPECT_EQ(Of(name, kTinyLlama, "token_embd.weight"), mixture.base) << name;
  }
}

TEST(Mixture, SmallMixturesFollowTheirTables) {
  using enum DType;
  const struct {
    const char* mixture;
    const char* tensor;
    MixtureModel model;
    DType type;
  } cases[] = {
      {"Q2_K", "blk.3.attn_v.weight", kPlain, kQ3_K},
      {"Q2_K", "blk.3.attn_v.weight", kTinyLlama, kQ4_K},
      {"Q2_K", "blk.3.attn_output.weight", kPlain, kQ3_K},
      {"Q2_K", "blk.3.ffn_down.weight", kPlain, kQ3_K},
      {"Q2_K", "blk.3.ffn_up.weight", kPlain, kQ2_K},
      {"Q3_K_S", "blk.0.attn_v.weight", kPlain, kQ3_K},
      {"Q3_K_M", "blk.1.attn_v.weight", kPlain, kQ5_K},
      {"Q3_K_M", "blk.2.attn_v.weight", kPlain, kQ4_K},
      {"Q3_K_M", "blk.1.ffn_down.weight", kPlain, kQ5_K},
      {"Q3_K_M", "blk.2.ffn_down.weight", kPlain, kQ4_K},
      {"Q3_K_M", "blk.2.attn_output.weight", kPlain, kQ4_K},
      {"Q3_K_L", "blk.9.attn_v.weight", kPlain, kQ5_K},
      {"Q3_K_L", "blk.9.ffn_down.weight", kPlain, kQ5_K},
      {"Q3_K_L", "blk.9.attn_output.weight", kPlain, kQ5_K},
      {"Q3_K_L", "blk.9.attn_q.weight", kPlain, kQ3_K},
      {"Q4_K_S", "blk.3.attn_v.weight", kPlain, kQ5_K},
      {"Q4_K_S", "blk.4.attn_v.weight", kPlain, kQ4_K},
      {"Q4_K_S", "blk.3.ffn_down.weight", kPlain, kQ5_K},
      {"Q4_K_S", "blk.4.ffn_down.weight", kPlain, kQ4_K},
      {"Q5_K_S", "blk.0.attn_v.weight", kPlain, kQ5_K},
      {"Q6_K", "blk.0.attn_v.weight", kPlain, kQ6_K},
      {"Q8_0", "blk.0.attn_v.weight", kPlain, kQ8_0},
  };
  for (const auto& c : cases)
    EXPECT_EQ(Of(c.mixture, c.model, c.tensor), c.type)
        << c.mixture << " " << c.tensor;
}

TEST(Mixture, LargeModelsKeepMoreOfWhatIsShared) {
  const MixtureModel experts = {
      .layers = 32, .heads_per_group = 4, .experts = 8};
  EXPECT_EQ(Of("Q4_K_M", experts, "blk.5.attn_v.weight"), DType::kQ8_0);
  EXPECT_EQ(Of("Q4_K_M", experts, "blk.5.attn_k.weight"), DType::kQ8_0);
  EXPECT_EQ(Of("Q4_K_M", experts, "blk.5.attn_output.weight"), DType::kQ5_K);
  EXPECT_EQ(Of("Q4_K_M", experts, "blk.0.ffn_down_exps.weight"), DType::kQ6_K);
  const MixtureModel llama70b = {.layers = 80, .heads_per_group = 8};
  EXPECT_EQ(Of("Q3_K_S", llama70b, "blk.40.attn_v.weight"), DType::kQ5_K);
  EXPECT_EQ(Of("Q4_K_M", llama70b, "blk.40.attn_v.weight"), DType::kQ5_K);
  EXPECT_EQ(Of("Q4_K_M", llama70b, "blk.0.attn_v.weight"), DType::kQ6_K);
}

TEST(Mixture, RowsThatDoNotDivideGetSmallerBlocks) {
  using enum DType;
  const struct {
    DType type, of_64, of_172;
  } cases[] = {
      {kQ2_K, kQ4_0, kF16},     {kQ3_K, kQ4_0, kF16}, {kQ4_K, kQ5_0, kF16},
      {kQ5_K, kQ5_1, kF16},     {kQ6_K, kQ8_0, kF16}, {kQ8_K, kQ8_0, kF16},
      {kIQ4_XS, kIQ4_NL, kF16}, {kQ4_0, kQ4_0, kF16}, {kMXFP4, kMXFP4, kF16},
      {kQ8_0, kQ8_0, kF16},     {kF32, kF32, kF32},   {kBF16, kBF16, kBF16}};
  for (const auto& c : cases) {
    EXPECT_EQ(FallbackFor(c.type, 512), c.type);
    EXPECT_EQ(FallbackFor(c.type, 64), c.of_64) << Name(c.type);
    EXPECT_EQ(FallbackFor(c.type, 172), c.of_172) << Name(c.type);
  }
  // Of what the rules chose, not of the base.
  EXPECT_EQ(Of("Q4_K_M", kPlain, "output.weight", 64), kQ8_0);
}

TEST(Mixture, NamesAreFoundInAnyCase) {
  EXPECT_EQ(Find("q4_k_m").name, "Q4_K_M");
  EXPECT_EQ(Find("Q4_K_M").file_type, 15u);
  // A format that is no mixture's name is for every matrix.
  EXPECT_EQ(TypeFor(Find("Q4_K"), kPlain, "output.weight", {8, 256}),
            DType::kQ4_K);
  EXPECT_EQ(TypeFor(Find("iq4_xs"), kPlain, "output.weight", {8, 256}),
            DType::kIQ4_XS);
  EXPECT_EQ(TypeFor(Find("Q2_K"), kPlain, "output.weight", {8, 256}),
            DType::kQ6_K);
  EXPECT_EQ(TypeFor(Find("Q2_K", true), kPlain, "output.weight", {8, 256}),
            DType::kQ2_K);
  for (const char* name : {"", "q4_k_x", "q2_0", "tq2_0", "i32", "q8_1"}) {
    const absl::Status status = FindMixture(name, false).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << name;
    EXPECT_TRUE(absl::StrContains(status.message(), "Q4_K_M")) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "iq4_nl")) << status;
  }
}

TEST(Mixture, EveryDecodableFormatHasAName) {
  for (const DTypeInfo& info : AllDTypes()) {
    if (info.decode == nullptr) continue;
    const Mixture pure = Find(std::string(info.name), true);
    EXPECT_EQ(TypeFor(pure, kPlain, "blk.0.attn_v.weight", {8, 256}),
              info.type);
  }
  EXPECT_EQ(Find("f32").file_type, 0u);
  EXPECT_EQ(Find("bf16").file_type, 32u);
  EXPECT_EQ(Find("q4_k").file_type, 14u);
  EXPECT_EQ(Find("q8_k").file_type, std::nullopt);
}

TEST(Mixture, OnlyMatricesOfWeightsAreQuantized) {
  for (const char* name :
       {"token_embd.weight", "output.weight", "blk.0.attn_q.weight",
        "blk.0.ffn_down_exps.weight", "blk.0.time_mix_value.weight"})
    EXPECT_TRUE(IsQuantizable(name, {8, 256})) << name;
  for (const char* name :
       {"blk.0.attn_q.bias", "blk.0.attn_norm.weight", "output_norm.weight",
        "blk.0.ffn_gate_inp.weight", "position_embd.weight",
        "token_types.weight", "blk.0.ssm_conv1d.weight", "blk.0.ssm_a",
        "blk.0.time_mix_w1.weight"})
    EXPECT_FALSE(IsQuantizable(name, {8, 256})) << name;
  EXPECT_FALSE(IsQuantizable("rope_freqs.weight", {256}));
  EXPECT_FALSE(IsQuantizable("blk.0.x.weight", {1, 256}));
  EXPECT_FALSE(IsQuantizable("blk.0.x.weight", {}));
  EXPECT_TRUE(IsQuantizable("blk.0.x_exps.weight", {8, 1, 256}));
}

TEST(Mixture, ReadsWhatItNeedsFromAFile) {
  GgufSpec spec;
  spec.String("general.architecture", "llama")
      .Scalar<uint32_t>("llama.block_count", GgufType::kUint32, 22)
      .Scalar<uint32_t>("llama.attention.head_count", GgufType::kUint32, 32)
      .Array<uint32_t>("llama.attention.head_count_kv", GgufType::kUint32,
                       {4, 8, 8})
      .Tensor("output.weight", DType::kF32, {4, 4});
  const std::string bytes = spec.Build();
  const auto file = GgufFile::Parse(AsBytes(bytes), "test");
  ASSERT_TRUE(file.ok()) << file.status();
  const MixtureModel model = DescribeForMixture(*file);
  EXPECT_EQ(model.layers, 22);
  EXPECT_EQ(model.heads_per_group, 4);
  EXPECT_EQ(model.experts, 0);
  EXPECT_TRUE(model.has_output);
  const std::string empty = GgufSpec().Build();
  const auto nothing = GgufFile::Parse(AsBytes(empty), "test");
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(DescribeForMixture(*nothing).heads_per_group, 1);
  EXPECT_FALSE(DescribeForMixture(*nothing).has_output);
}

}  // namespace
}  // namespace weft::inline v0
