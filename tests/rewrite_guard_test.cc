// What the rewrite engine refuses, and says why: interior values that somebody
// else needs, cycles, faulty rules.
#include "tests/rewrite.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "graph/print.h"
#include "gtest/gtest.h"
#include "ops/fused.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

using ::testing::HasSubstr;

TEST_F(RewriteTest, InteriorWithASecondUseIsRefused) {
  const Value gate = Silu(x_);
  graph_.Output("out", gate * y_);
  graph_.Output("other", Exp(gate));
  EXPECT_FALSE(Apply(SiluMul()));
  EXPECT_EQ(Reason(), "%2 silu has 2 uses (%3 mul, %4 exp)");
}

TEST_F(RewriteTest, InteriorThatIsAnOutputIsRefused) {
  const Value gate = Silu(x_);
  graph_.Output("out", gate * y_);
  graph_.Output("gate", gate);
  EXPECT_FALSE(Apply(SiluMul()));
  EXPECT_EQ(Reason(), "%2 silu is an output of the graph");
}

// Each reader has its own; what is left when the last is fused goes.
TEST_F(RewriteTest, InteriorOfWeightsAloneMayBeShared) {
  const Value w = graph_.Weight("w", DType::kF32, {T, 4});
  const Value gate = Silu(w);
  const Value first = gate * x_;
  const Value second = gate * y_;
  graph_.Output("a", first);
  graph_.Output("b", second);
  EXPECT_TRUE(Apply(SiluMul()));
  EXPECT_EQ(report_.Count("silu_mul"), 2);
  EXPECT_FALSE(graph_.alive(graph_.value(gate.id()).node));
}

TEST_F(RewriteTest, SharedInteriorOfWeightsStaysForTheOthers) {
  const Value w = graph_.Weight("w", DType::kF32, {T, 4});
  const Value gate = Silu(w);
  graph_.Output("a", gate * x_);
  graph_.Output("b", Exp(gate));
  graph_.Output("c", gate);
  EXPECT_TRUE(Apply(SiluMul()));
  EXPECT_THAT(Text(), HasSubstr("gated(w, x, {activation=silu})"));
  EXPECT_THAT(Text(), HasSubstr("output c = %3\n"));
}

TEST_F(RewriteTest, InteriorUsedTwiceInsideTheMatchIsAllowed) {
  const Value gate = Silu(x_);
  graph_.Output("out", gate * gate);
  EXPECT_TRUE(Apply(Rule("silu_squared")
                        .Match([](Any a) {
                          const Value s = Silu(a);
                          return s * s;
                        })
                        .Emit([](Value a) { return Exp(a); })));
  EXPECT_THAT(Text(), HasSubstr("exp(x)"));
}

TEST_F(RewriteTest, RootMayBeAnOutputAndHaveReaders) {
  const Value root = Silu(x_) * y_;
  graph_.Output("out", root);
  graph_.Output("twice", root + root);
  EXPECT_TRUE(Apply(SiluMul()));
  EXPECT_THAT(Text(), HasSubstr("add(%5, %5)"));
  EXPECT_THAT(Text(), HasSubstr("output out = %5\n"));
}

// ---- Several roots ----

TEST_F(RewriteTest, SecondRootMayHaveOtherReaders) {
  const Value w = graph_.Weight("w", DType::kF32, {4});
  const Value sum = Add(x_, y_, Line(1)).Named("residual");
  const Value normed = RmsNormMul(sum, w, 1e-5, false, Line(2));
  graph_.Output("out", Add(Exp(normed, Line(3)), sum, Line(4)));
  graph_.Output("sum", sum);
  EXPECT_TRUE(Apply(AddNorm()));
  EXPECT_EQ(Text(),
            "%7: f32[T,4] \"residual\", %8: f32[T,4] = add_rms_norm(x, y, w, "
            "{eps=1e-05})  # add_norm <- m.cc:2\n"
            "%5: f32[T,4] = exp(%8)  # m.cc:3\n"
            "%6: f32[T,4] = add(%5, %7)  # m.cc:4\n"
            "output out = %6\noutput sum = %7\n");
}

TEST_F(RewriteTest, RefusesToMakeACycle) {
  const Value sum = x_ + y_;
  const Value w = GatherRows(Exp(sum), graph_.Input("i", DType::kI32, {1}));
  graph_.Output("out", RmsNormMul(sum, Reshape(w, {4}), 1e-5));
  EXPECT_FALSE(Apply(AddNorm()));
  EXPECT_EQ(Reason(), "the fused node would depend on itself");
}

TEST_F(RewriteTest, UnreadRootsAreReplacedToo) {
  const Value w = graph_.Weight("w", DType::kF32, {4});
  RmsNormMul(x_ + y_, w, 1e-5);
  graph_.Output("out", Exp(x_));
  EXPECT_TRUE(Apply(AddNorm()));
}

// ---- Faulty rules ----

TEST_F(RewriteTest, ReplacementOfAnotherTypeIsTheRulesFault) {
  graph_.Output("out", Silu(x_, Line(7)));
  const absl::Status status = Error(
      Rule("shrink").Match([](Any a) { return Silu(a); }).Emit([](Value a) {
        return Slice(a, 1, 0, 2);
      }));
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_EQ(status.message(), "rule shrink replaces %2 f32[T,4] by f32[T,2]");
}

TEST_F(RewriteTest, WrongNumberOfReplacementsIsTheRulesFault) {
  graph_.Output("out", Silu(x_));
  const absl::Status status =
      Error(Rule("two_for_one")
                .Match([](Any a) { return Silu(a); })
                .Emit([](Value a) { return Values{a, a}; }));
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("two_for_one"));
}

TEST_F(RewriteTest, EmitterThatFailsIsTheRulesFault) {
  graph_.Output("out", Silu(x_, Line(7)));
  const absl::Status status = Error(
      Rule("broken").Match([](Any a) { return Silu(a); }).Emit([](Value a) {
        return MatMul(a, a);
      }));
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("rule broken"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("m.cc:7: matmul("));
}

// ---- Classifiers ----

// exp(a) or tanh(a), times anything.
Rule Classified() {
  return Rule("classified").Classify(kMul, [](Value v, Classification& c) {
    const Graph& graph = *v.graph();
    const Value left(v.graph(), graph.producer(v.id()).inputs[0]);
    const Value right(v.graph(), graph.producer(v.id()).inputs[1]);
    const Node& node = graph.producer(left.id());
    if (node.op != &kExp && node.op != &kTanh)
      return c.Miss(left, "is neither exp nor tanh");
    c.Inside(left);
    c.root = v;
    const Value x(v.graph(), node.inputs[0]);
    c.emit = [=] { return Gated(x, right, "silu"); };
    return true;
  });
}

TEST_F(RewriteTest, ClassifierMatches) {
  graph_.Output("a", Mul(Exp(x_), y_, Line(1)));
  graph_.Output("b", Mul(Tanh(x_), y_, Line(2)));
  graph_.Output("c", Mul(Silu(x_), y_, Line(3)));
  EXPECT_TRUE(Apply(Classified()));
  EXPECT_EQ(report_.Count("classified"), 2);
  EXPECT_EQ(Reason(), "%6 silu is neither exp nor tanh");
  EXPECT_THAT(Text(), HasSubstr("# classified <- m.cc:2"));
}

TEST_F(RewriteTest, ClassifiersInteriorIsGuardedToo) {
  const Value e = Exp(x_);
  graph_.Output("a", e * y_);
  graph_.Output("b", Silu(e));
  EXPECT_FALSE(Apply(Classified()));
  EXPECT_EQ(Reason(), "%2 exp has 2 uses (%3 mul, %4 silu)");
}

}  // namespace
}  // namespace weft::inline v0
