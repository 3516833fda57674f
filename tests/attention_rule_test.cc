// The attention rule: the chains that it must find, and those that it must not,
// with the reason that it gives.
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/attention_cases.h"
#include "tests/rules.h"

namespace weft::inline v0 {
namespace {

using ::testing::HasSubstr;

// ---- Chains that are attention ----

class AttentionFuses : public ::testing::TestWithParam<AttentionChain> {};

// "append append attention reshape": what computes, in order.
std::string Ops(const Graph& graph) {
  std::vector<absl::string_view> ops;
  for (const NodeId id : graph.order())
    if (graph.node(id).op->kind == OpKind::kCompute)
      ops.push_back(graph.node(id).op->name);
  return absl::StrJoin(ops, " ");
}

TEST_P(AttentionFuses, IntoOneNode) {
  const AttentionChain& chain = GetParam();
  SampleGraph sample;
  Graph& graph = sample.graph();
  const Value result = chain.Build(sample);
  graph.Output("y", result);
  graph.Expect("attention", 1);
  const TensorType type = result.type();
  const auto report = Optimize(graph);
  ASSERT_TRUE(report.ok()) << report.status();
  std::string want = chain.cached ? "append append attention" : "attention";
  if (!chain.restore) want += chain.cached ? " reshape" : " permute";
  EXPECT_EQ(Ops(graph), want);
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op != &kAttention) continue;
    EXPECT_EQ(node.attrs.ToString(), chain.fused);
    EXPECT_EQ(node.made_by, "attention");
  }
  EXPECT_EQ(graph.value(graph.outputs()[0].value).type, type);
}

INSTANTIATE_TEST_SUITE_P(Chains, AttentionFuses,
                         ::testing::ValuesIn(AttentionChains()),
                         [](const auto& param) { return param.param.name; });

// ---- The canonical chain, and ways to break it ----

class AttentionRuleTest : public RulesTest {
 protected:
  Value Rows(Value state, Value slot) { return GatherRows(state, slot); }
  Value Keys() { return Permute(Rows(k_, slot_), {0, 2, 3, 1}); }
  Value Values() { return Permute(Rows(v_, slot_), {0, 2, 1, 3}); }
  Value Queries() { return Reshape(q_, {T, 2, 1, 4}); }
  Value Product() {
    const Value rows = Queries();
    return MatMul(rows, Keys());
  }
  Value Masked(Value s) { return Mask(s, pos_, {}); }
  Value Finish(Value probabilities) {
    return Reshape(MatMul(probabilities, Values()), {T, 2, 4});
  }
  // Ends the chain at these scores; the rule must not match, for that reason.
  void ExpectScoresMiss(Value scores, const std::string& reason) {
    Output(Finish(Softmax(scores)));
    ExpectMiss("attention", reason);
  }

  Value q_ = In("q", {T, 2, 4});
  Value pos_ = graph_.Input("pos", DType::kI32, {T});
  Value slot_ = graph_.Input("slot", DType::kI32, {T});
  Value k_new_ = In("k_new", {T, 2, 4});
  Value v_new_ = In("v_new", {T, 2, 4});
  Value k_ = Append(graph_.State("k", DType::kF32, {3, 16, 2, 4}), k_new_,
                    {pos_, slot_});
  Value v_ = Append(graph_.State("v", DType::kF32, {3, 16, 2, 4}), v_new_,
                    {pos_, slot_});
};

TEST_F(AttentionRuleTest, BeforeAndAfter) {
  Output(Attend(q_, k_, v_, {pos_, slot_}, {.scale = 0.5}));
  EXPECT_EQ(Fuse(),
            "%8: f32[3,16,2,4] = append(k, k_new, slot, pos)\n"
            "%15: f32[3,16,2,4] = append(v, v_new, slot, pos)\n"
            "%20: f32[T,2,4] = attention(q, %8, %15, pos, slot, {scale=0.5, "
            "softcap=0, causal=1, window=0, has_pos=1, has_slot=1, "
            "has_bias=0})\n"
            "output y0 = %20\n");
  EXPECT_EQ(report_.Summary(), "attention: 1 of 1 matched\n");
}

TEST_F(AttentionRuleTest, ReportNamesTheAnchorsLine) {
  const Value p = Softmax(Scale(Product(), 0.5), {}, Line(77));
  Output(Finish(p));
  Output(p);
  Fuse();
  EXPECT_THAT(report_.Explain("attention"),
              HasSubstr("m.cc:77: softmax(%12 f32[T,2,1,16])\n    no: "));
}

TEST_F(AttentionRuleTest, NotWhenTheProbabilitiesHaveASecondUse) {
  const Value p = Softmax(Product());
  Output(Finish(p));
  Output(Exp(p));
  ExpectMiss("attention", "%12 softmax has 2 uses (%16 matmul, %18 exp)");
}

TEST_F(AttentionRuleTest, NotWhenTheProbabilitiesAreAnOutput) {
  const Value p = Softmax(Product());
  Output(Finish(p));
  Output(p);
  ExpectMiss("attention", "%12 softmax is an output of the graph");
}

TEST_F(AttentionRuleTest, NotWhenTheScoresHaveASecondUse) {
  const Value s = Product();
  Output(Exp(s));
  ExpectScoresMiss(Masked(s), "%11 matmul has 2 uses (%12 exp, %13 mask)");
}

TEST_F(AttentionRuleTest, NotWhenTheScoresAreAnOutput) {
  const Value s = Scale(Product(), 0.5);
  Output(s);
  ExpectScoresMiss(Masked(s), "%12 scale is an output of the graph");
}

TEST_F(AttentionRuleTest, NotWhenTheGatheredKeysHaveASecondUse) {
  const Value s = Product();
  Output(Exp(Rows(k_, slot_)));
  ExpectScoresMiss(Masked(s),
                   "%8 gather_rows has 2 uses (%9 exp, %12 permute)");
}

TEST_F(AttentionRuleTest, NotWithoutASecondProduct) {
  const Value b = In("b", {16});
  Output(Softmax(Product()) * b);
  ExpectMiss("attention",
             "%13 softmax is not the left operand of a matmul but read by mul");
}

TEST_F(AttentionRuleTest, NotWithTheProbabilitiesOnTheRight) {
  const Value p = Softmax(Product());
  Output(MatMul(Transpose(p), p));
  ExpectMiss("attention", "%12 softmax has 2 uses (%13 transpose, %14 matmul)");
}

TEST_F(AttentionRuleTest, NotWithANegativeScaleAfterTheMask) {
  ExpectScoresMiss(Scale(Masked(Product()), -0.5),
                   "%12 mask is scaled by no positive factor afterwards");
}

TEST_F(AttentionRuleTest, NotWithAMaskBelowANegativeCap) {
  const Value capped = Scale(Tanh(Product()), -5);
  ExpectScoresMiss(Scale(Masked(capped), -1),
                   "%14 mask is scaled by no positive factor afterwards");
}

TEST_F(AttentionRuleTest, NotWithANegativeCap) {
  ExpectScoresMiss(Scale(Tanh(Product()), -5),
                   "%12 tanh is scaled by no positive cap");
}

TEST_F(AttentionRuleTest, NotWithAMaskOverAnotherAxis) {
  const Value heads = graph_.Input("heads", DType::kI32, {2});
  ExpectScoresMiss(Mask(Product(), heads, {.query_axis = 1}),
                   "%13 mask counts queries along another axis");
}

TEST_F(AttentionRuleTest, NotWithTwoMasks) {
  ExpectScoresMiss(Mask(Masked(Product()), pos_, {.window = 2}),
                   "%12 mask is a second mask");
}

TEST_F(AttentionRuleTest, NotWithAMaskBelowTheCap) {
  ExpectScoresMiss(Tanh(Masked(Product())),
                   "%12 mask masks before the "
                   "soft-cap");
}

TEST_F(AttentionRuleTest, NotWithTwoCaps) {
  ExpectScoresMiss(Tanh(Tanh(Product())), "%12 tanh is a second soft-cap");
}

TEST_F(AttentionRuleTest, NotWithTwoBiases) {
  const Value b = In("b", {16});
  ExpectScoresMiss(Product() + b + b, "%13 add adds a second bias");
}

TEST_F(AttentionRuleTest, NotWithABiasBelowTheScale) {
  const Value b = In("b", {16});
  ExpectScoresMiss(Scale(Product() + b, 0.5),
                   "%13 add adds a bias before the scale or the soft-cap");
}

TEST_F(AttentionRuleTest, NotWithABiasThatIsAProductToo) {
  const Value s = Product();
  ExpectScoresMiss(s + Scale(s, 0.5), "%13 add adds two products");
}

TEST_F(AttentionRuleTest, NotWithABiasThatStretchesTheScores) {
  const Value b = In("b", {3, 16});
  const Value p = Softmax(Product() + b);
  Output(MatMul(p, Values()));
  ExpectMiss("attention", "input b as a bias stretches the scores");
}

TEST_F(AttentionRuleTest, NotWithTwoAlibis) {
  ExpectScoresMiss(Alibi(Alibi(Product(), pos_, 8), pos_, 8),
                   "%12 alibi is a second alibi");
}

TEST_F(AttentionRuleTest, NotWithAnAlibiBelowTheScale) {
  ExpectScoresMiss(Scale(Alibi(Product(), pos_, 8), 0.5),
                   "%12 alibi lies below the scale or the soft-cap");
}

TEST_F(AttentionRuleTest, NotWithAnAlibiOfOtherPositions) {
  const Value other = graph_.Input("other", DType::kI32, {T});
  ExpectScoresMiss(Masked(Alibi(Product(), other, 8)),
                   "%13 alibi has other positions than the mask");
}

TEST_F(AttentionRuleTest, NotOfOtherScores) {
  ExpectScoresMiss(Exp(Product()),
                   "%12 exp is no part of attention scores (matmul, scale, "
                   "soft-cap tanh, alibi, bias add, mask)");
}

TEST_F(AttentionRuleTest, NotOfSumsWithoutAProduct) {
  Value s = In("s", {T, 2, 1, 16});
  for (int i = 0; i < 64; ++i) s = s + s;  // 2^64 paths
  ExpectScoresMiss(s, "%71 add has no product q k^T below it");
}

// ---- Operands ----

TEST_F(AttentionRuleTest, NotWhenValuesComeFromAnotherSlot) {
  const Value other = graph_.Input("other", DType::kI32, {T});
  const Value p = Softmax(Masked(Product()));
  const Value v = Permute(Rows(v_, other), {0, 2, 1, 3});
  Output(MatMul(p, v));
  ExpectMiss("attention", "%17 permute reads other slots than k does");
}

TEST_F(AttentionRuleTest, NotWhenAllTokensShareOneSlot) {
  const Value one = graph_.Input("one", DType::kI32, {1});
  const Value rows = Queries();
  const Value k = Permute(Rows(k_, one), {0, 2, 3, 1});
  const Value p = Softmax(MatMul(rows, k));
  Output(MatMul(p, Permute(Rows(v_, one), {0, 2, 1, 3})));
  ExpectMiss("attention",
             "%11 permute is gathered for another number of tokens than q has");
}

TEST_F(AttentionRuleTest, NotWhenValuesAreScaled) {
  const Value p = Softmax(Product());
  Output(MatMul(p, Scale(Values(), 2)));
  ExpectMiss("attention", "%16 scale scales v");
}

TEST_F(AttentionRuleTest, NotWhenTheCachesDiffer) {
  const Value fresh = In("fresh", {T, 2, 4});
  const Value other = Append(graph_.State("other", DType::kF32, {9, 16, 2, 4}),
                             fresh, {pos_, slot_});
  const Value p = Softmax(Product());
  Output(MatMul(p, Permute(Rows(other, slot_), {0, 2, 1, 3})));
  ExpectMiss("attention",
             "%17 permute is made of f32[9,16,2,4], k of f32[3,16,2,4]");
}

TEST_F(AttentionRuleTest, NotWhenTheQueryIsRepeated) {
  const Value rows = Repeat(Queries(), 2, 3);
  const Value p = Softmax(MatMul(rows, Keys()));
  Output(MatMul(p, Values()));
  ExpectMiss("attention", "%8 repeat repeats the query");
}

TEST_F(AttentionRuleTest, NotWhenTheQueryHasAnotherRank) {
  const Value flat = In("flat", {T, 8});
  const Value rows = Reshape(flat, {T, 2, 1, 4});
  const Value p = Softmax(MatMul(rows, Keys()));
  Output(MatMul(p, Values()));
  ExpectMiss("attention",
             "%8 reshape is no [T, H, 1, D] view of heads [T, H, D]");
}

TEST_F(AttentionRuleTest, NotWhenTheQueryIsNeitherReshapedNorPermuted) {
  const Value rows = In("rows", {T, 2, 1, 4});
  const Value p = Softmax(MatMul(rows, Keys()));
  Output(MatMul(p, Values()));
  ExpectMiss("attention",
             "input rows is neither heads [T, H, D] reshaped to [T, H, 1, D] "
             "nor permuted to [H, T, D]");
}

TEST_F(AttentionRuleTest, NotWhenKeysAreLaidOutOtherwise) {
  // [T, 16, 4, 2] read as keys of two positions.
  const Value rows = Reshape(In("q2", {T, 16, 4}), {T, 16, 1, 4});
  const Value k = Permute(Rows(k_, slot_), {0, 1, 3, 2});
  const Value p = Softmax(MatMul(rows, k));
  Output(MatMul(p, In("v2", {2, 5})));
  ExpectMiss("attention",
             "%12 transpose does not lay out k as attention needs it");
}

TEST_F(AttentionRuleTest, NotWhenKeysAreNotGathered) {
  const Value rows = Queries();
  const Value k = In("keys", {T, 2, 16, 4});
  const Value p = Softmax(MatMul(rows, Transpose(k)));
  Output(MatMul(p, Values()));
  ExpectMiss("attention",
             "%9 transpose does not lay out k as attention needs it");
}

TEST_F(AttentionRuleTest, NotWhenOneQueryHeadReadsSeveralKeyHeads) {
  const Value rows = Reshape(In("q1", {T, 1, 4}), {T, 1, 1, 4});
  const Value p = Softmax(MatMul(rows, Keys()));
  Output(MatMul(p, Values()));
  ExpectMiss("attention", "%11 permute does not widen 2 heads of k to 1");
}

// Keys are widened by the product, values by a repeat of their own.
TEST_F(AttentionRuleTest, NotWhenKeysAndValuesHaveOtherGroups) {
  const Value fresh = In("fresh", {T, 1, 4});
  const Value one = Append(graph_.State("one", DType::kF32, {3, 16, 1, 4}),
                           fresh, {pos_, slot_});
  const Value rows = Queries();
  const Value k = Permute(Rows(one, slot_), {0, 2, 3, 1});
  const Value p = Softmax(MatMul(rows, k));
  Output(MatMul(p, Values()));
  ExpectMiss("attention",
             "%17 permute is made of f32[3,16,2,4], k of f32[3,16,1,4]");
}

}  // namespace
}  // namespace weft::inline v0
