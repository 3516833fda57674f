// Packed weights: which ones the pass takes, and that a model runs from them
// with the same bits.
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "graph/packed.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "ops/pack.h"
#include "tests/rules.h"
#include "tests/tiny_llama.h"

namespace weft::inline v0 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class PackWeightsTest : public RulesTest {
 protected:
  // The weights after the pass, with their types.
  std::vector<std::string> Pack(bool halves = false) {
    EXPECT_TRUE(graph_.Finish().ok()) << graph_.status();
    const Pass pass = PackWeights(halves);
    const absl::Status status = RunPasses(graph_, {&pass, 1});
    EXPECT_TRUE(status.ok()) << status;
    std::vector<std::string> weights;
    for (const NodeId id : graph_.order())
      if (graph_.node(id).op == &kWeightOp)
        weights.push_back(graph_.Describe(graph_.node(id).outputs[0]));
    return weights;
  }
};

TEST_F(PackWeightsTest, PacksWhatIsMultiplied) {
  const Value x = In("x", {T, 256});
  const Value w = Weight("w", {32, 256}, DType::kQ4_K);
  Output(QMatMul(x, w));
  Output(QMatMul(x, w, In("bias", {32}), "silu"));
  EXPECT_THAT(Pack(), ElementsAre("w q4_k_r16[32,256]"));
  EXPECT_EQ(graph_.value(graph_.outputs()[0].value).type.ToString(),
            "f32[T,32]");
  const ValueId packed = graph_.producer(graph_.outputs()[0].value).inputs[1];
  EXPECT_EQ(graph_.producer(packed).made_by, "pack_weights");
}

TEST_F(PackWeightsTest, OtherReadersKeepRows) {
  const Value x = In("x", {T, 256});
  const Value table = Weight("table", {32, 256}, DType::kQ8_0);
  Output(QMatMul(x, table));
  Output(QGather(table, graph_.Input("ids", DType::kI32, {T})));
  EXPECT_THAT(Pack(), UnorderedElementsAre("table q8_0[32,256]",
                                           "table q8_0_r16[32,256]"));
  EXPECT_EQ(graph_.producer(graph_.outputs()[1].value).op, &kQGather);
}

TEST_F(PackWeightsTest, NotOtherShapesAndFormats) {
  const Value x = In("x", {T, 256});
  Output(QMatMul(x, Weight("rows", {33, 256}, DType::kQ8_0)));
  Output(QMatMul(x, Weight("half", {32, 256}, DType::kF16)));
  EXPECT_THAT(Pack(),
              UnorderedElementsAre("rows q8_0[33,256]", "half f16[32,256]"));
}

TEST_F(PackWeightsTest, HalvesWhereTheyAreAskedFor) {
  Output(QMatMul(In("x", {T, 6}), Weight("even", {32, 6}, DType::kBF16)));
  const Value z = In("z", {T, 7});
  Output(QMatMul(z, Weight("odd", {32, 7}, DType::kBF16)));
  Output(QMatMul(z, Weight("half", {32, 7}, DType::kF16)));
  EXPECT_THAT(Pack(), UnorderedElementsAre("even bf16[32,6]", "odd bf16[32,7]",
                                           "half f16[32,7]"));
  EXPECT_THAT(Pack(/*halves=*/true),
              UnorderedElementsAre("even bf16_r16[32,6]", "odd bf16[32,7]",
                                   "half f16_r16[32,7]"));
}

TEST_F(PackWeightsTest, BothWeightsOfAGatedProductOrNone) {
  const Value x = In("x", {T, 256});
  const auto Matrix = [&](absl::string_view name) {
    return Weight(name, {32, 256}, DType::kQ8_0);
  };
  Output(GatedQMatMul(x, Matrix("a"), Matrix("b"), "silu"));
  EXPECT_THAT(Pack(),
              UnorderedElementsAre("a q8_0_r16[32,256]", "b q8_0_r16[32,256]"));
  EXPECT_EQ(graph_.producer(graph_.outputs()[0].value).op, &kGatedQMatMul);
}

TEST_F(PackWeightsTest, NoneOfAGatedProductWhenOneIsNoWeight) {
  const Value x = In("x", {T, 256});
  const Value gate = Weight("gate", {32, 256}, DType::kQ8_0);
  const Value up = graph_.Input("up", DType::kQ8_0, {32, 256});
  Output(GatedQMatMul(x, gate, up, "silu"));
  EXPECT_THAT(Pack(), ElementsAre("gate q8_0[32,256]"));
}

TEST_F(PackWeightsTest, OnlyMatricesWithAMultipleOf16Rows) {
  Weight("w", {33, 256}, PackedType(DType::kQ8_0));
  EXPECT_THAT(std::string(graph_.Finish().message()),
              HasSubstr("w q8_0_r16[33,256]: only matrices with a multiple of "
                        "16 rows are packed"));
}

TEST_F(PackWeightsTest, NoOddRowsOfBF16) {
  Weight("w", {32, 7}, PackedType(DType::kBF16));
  EXPECT_THAT(std::string(graph_.Finish().message()),
              HasSubstr("w bf16_r16[32,7]: rows are packed by two values"));
}

TEST_F(PackWeightsTest, WhatIsPackedIsNotMovedByElements) {
  Transpose(Weight("w", {32, 8}, PackedType(DType::kBF16)));
  EXPECT_THAT(std::string(graph_.Finish().message()),
              HasSubstr("operand 0 is bf16_r16, whose elements cannot be moved "
                        "one by one"));
}

std::vector<float> Logits(const Model& model, SessionOptions options,
                          bool pack) {
  options.pack_weights = pack;
  const auto session = model.NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  int packed = 0;
  const Graph& graph = (*session)->graph();
  for (int v = 0; v < graph.num_values(); ++v)
    packed += IsPacked(graph.value(v).type.dtype);
  EXPECT_EQ(packed > 0, pack);
  std::vector<float> all;
  const auto add = [&](const absl::StatusOr<absl::Span<const float>>& row) {
    EXPECT_TRUE(row.ok()) << row.status();
    all.insert(all.end(), row->begin(), row->end());
  };
  add((*session)->Prefill(0, {1, 4, 5, 6, 7}));
  for (const Token token : {8, 9}) add((*session)->Decode(0, token));
  return all;
}

TEST(PackedModel, GivesTheSameLogits) {
  const auto model = Model::Load(TinyLlamaPath());
  ASSERT_TRUE(model.ok()) << model.status();
  for (const Numerics numerics : {Numerics::kFast, Numerics::kExact}) {
    SessionOptions options;
    options.numerics = numerics;
    const auto in_rows = Logits(**model, options, false);
    // The second session finds what the first has packed.
    EXPECT_EQ(Logits(**model, options, true), in_rows);
    EXPECT_EQ(Logits(**model, options, true), in_rows);
    options.backend = "reference";
    const auto reference = Logits(**model, options, false);
    EXPECT_EQ(Logits(**model, options, true), reference);
  }
}

TEST(PackedModel, SaysWhatItTakes) {
  const auto model = Model::Load(TinyLlamaPath());
  ASSERT_TRUE(model.ok()) << model.status();
  SessionOptions options;
  const auto without = (*model)->Estimate(options);
  options.pack_weights = true;
  const auto with = (*model)->Estimate(options);
  ASSERT_TRUE(without.ok() && with.ok());
  EXPECT_EQ(without->packed, 0);
  EXPECT_GT(with->packed, 0);
  // A session that may not take what it needs takes no copy either.
  options.backend_options.max_bytes = 1;
  EXPECT_TRUE(
      absl::IsResourceExhausted((*model)->NewSession(options).status()));
}

TEST(PackedModel, ACutOffFileIsAnError) {
  const auto file = GgufFile::Open(TinyLlamaPath());
  ASSERT_TRUE(file.ok()) << file.status();
  std::string bytes;
  {
    std::ifstream in(TinyLlamaPath(), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  bytes.resize(bytes.size() / 2);
  auto cut = GgufFile::Parse(
      absl::MakeConstSpan(reinterpret_cast<const std::byte*>(bytes.data()),
                          bytes.size()),
      "cut", {.header_only = true});
  ASSERT_TRUE(cut.ok()) << cut.status();
  const auto model = Model::FromFile(*std::move(cut));
  ASSERT_TRUE(model.ok()) << model.status();
  SessionOptions options;
  options.pack_weights = true;
  EXPECT_FALSE((*model)->NewSession(options).ok());
}

}  // namespace
}  // namespace weft::inline v0
