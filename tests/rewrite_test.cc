// The rewrite engine, with small made-up rules: what matches, and what a
// replacement keeps. rewrite_guard_test.cc has what it refuses.
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

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(RewriteTest, ReplacesAndKeepsProvenance) {
  const Value gate = Silu(x_, Line(1));
  const Value root = Mul(gate, y_, Line(2)).Named("h");
  graph_.Output("out", Exp(root, Line(3)));
  EXPECT_TRUE(Apply(SiluMul()));
  EXPECT_EQ(Text(),
            "%5: f32[T,4] \"h\" = gated(x, y, {activation=silu})"
            "  # silu_mul <- m.cc:2\n"
            "%4: f32[T,4] = exp(%5)  # m.cc:3\n"
            "output out = %4\n");
  EXPECT_EQ(report_.Count("silu_mul"), 1);
}

TEST_F(RewriteTest, TriesCommutedOperands) {
  graph_.Output("out", Mul(y_, Silu(x_, Line(1)), Line(2)));
  EXPECT_TRUE(Apply(SiluMul()));
  EXPECT_THAT(Text(), HasSubstr("gated(x, y, {activation=silu})"));
}

TEST_F(RewriteTest, DoesNotCommuteWhereOrderMatters) {
  graph_.Output("out", Sub(y_, Silu(x_)));
  EXPECT_FALSE(Apply(Rule("silu_sub")
                         .Match([](Any a, Any b) { return Silu(a) - b; })
                         .Emit([](Value a, Value) { return a; })));
  EXPECT_EQ(Reason(), "input y is no silu");
}

// (a + b) * a: which operand of the sum is a shows only at the product.
TEST_F(RewriteTest, OneParameterIsOneValueInEveryOrder) {
  const auto rule = [] {
    return Rule("sum_times_summand")
        .Match([](Any a, Any b) { return (a + b) * a; })
        .Emit([](Value a, Value b) { return Gated(a, b, "relu"); });
  };
  for (const bool swap_sum : {false, true})
    for (const bool swap_product : {false, true}) {
      Graph graph;
      const Value a = graph.Input("a", DType::kF32, {T, 4});
      const Value b = graph.Input("b", DType::kF32, {T, 4});
      const Value sum = swap_sum ? b + a : a + b;
      graph.Output("out", swap_product ? a * sum : sum * a);
      const std::vector<Rule> rules = {rule()};
      ASSERT_TRUE(ApplyRules(graph, rules, &report_).ok());
      EXPECT_THAT(PrintText(graph, {.sources = false}),
                  HasSubstr("gated(a, b, {activation=relu})"))
          << swap_sum << swap_product;
    }
}

TEST_F(RewriteTest, OneParameterIsOneValue) {
  const auto square = [] {
    return Rule("square")
        .Match([](Any a) { return Silu(a) * Relu(a); })
        .Emit([](Value a) { return Exp(a); });
  };
  graph_.Output("out", Silu(x_) * Relu(y_));
  EXPECT_FALSE(Apply(square()));
  EXPECT_THAT(Reason(), HasSubstr("would have to be the same value"));
}

TEST_F(RewriteTest, CapturesFloats) {
  graph_.Output("out", Scale(RmsNorm(x_, 1e-6), -2));
  EXPECT_TRUE(
      Apply(Rule("scaled_norm")
                .Match([](Any a, AnyFloat eps, AnyFloat factor) {
                  return Scale(RmsNorm(a, eps), factor);
                })
                .If("the factor is negative",
                    [](Value, double, double factor) { return factor < 0; })
                .Emit([](Value a, double eps, double factor) {
                  return Scale(Scale(a, eps), -factor);
                })));
  EXPECT_THAT(Text(), HasSubstr("scale(x, {factor=1e-06})"));
  EXPECT_THAT(Text(), HasSubstr("{factor=2})"));
}

TEST_F(RewriteTest, OneFloatParameterIsOneNumber) {
  const auto rule = [] {
    return Rule("same_eps")
        .Match(
            [](Any a, AnyFloat eps) { return RmsNorm(RmsNorm(a, eps), eps); })
        .Emit([](Value a, double eps) { return LayerNorm(a, eps); });
  };
  graph_.Output("a", RmsNorm(RmsNorm(x_, 1e-5), 1e-6));
  EXPECT_FALSE(Apply(rule()));
  EXPECT_THAT(Reason(), HasSubstr("has eps=1e-05"));
  graph_.Output("b", RmsNorm(RmsNorm(y_, 1e-6), 1e-6));
  report_ = {};
  EXPECT_TRUE(Apply(rule()));
  EXPECT_THAT(Text(), HasSubstr("layer_norm(y, {eps=1e-06})"));
}

TEST_F(RewriteTest, ConstantAttributesMustBeEqual) {
  graph_.Output("out", Scale(x_, 0.25));
  EXPECT_FALSE(Apply(
      Rule("half").Match([](Any a) { return Scale(a, 0.5); }).Emit([](Value a) {
        return a;
      })));
  EXPECT_EQ(Reason(), "%2 scale has factor=0.25, the pattern wants 0.5");
}

TEST_F(RewriteTest, SaysWhichConditionFailed) {
  graph_.Output("out", Silu(x_) * y_);
  Rule rule = Rule("never")
                  .Match([](Any a, Any b) { return Silu(a) * b; })
                  .If("pigs fly", [](Value, Value) { return false; })
                  .Emit([](Value a, Value) { return a; });
  EXPECT_FALSE(Apply(std::move(rule)));
  EXPECT_EQ(Reason(), "not so: pigs fly");
}

// A condition may hold for the other order of commuted operands only.
TEST_F(RewriteTest, ConditionsChooseAmongCommutedOperands) {
  const Value v = graph_.Input("v", DType::kF32, {4});
  graph_.Output("out", Silu(x_) * Silu(v));
  EXPECT_TRUE(Apply(Rule("vector")
                        .Match([](Any a, Any b) { return Silu(a) * b; })
                        .If("the activation is that of a vector",
                            [](Value a, Value) { return a.rank() == 1; })
                        .Emit([](Value a, Value b) { return Exp(a) * b; })));
  EXPECT_THAT(Text(), HasSubstr("exp(v)"));
}

// ---- Anchors ----

TEST_F(RewriteTest, AnchorsBelowTheRoot) {
  const Value w = graph_.Weight("w", DType::kF32, {4});
  graph_.Output("a", Exp(RmsNorm(x_, 1e-5, Line(4)) * w));
  graph_.Output("b", Exp(RmsNorm(y_, 1e-5, Line(5))));
  graph_.Output("c", x_ * w);  // no anchor: no norm
  EXPECT_TRUE(Apply(
      Rule("norm_mul")
          .Match([](Any x, Any v, AnyFloat e) { return RmsNorm(x, e) * v; })
          .Anchor(kRmsNorm)
          .Emit(
              [](Value x, Value v, double e) { return RmsNormMul(x, v, e); })));
  EXPECT_EQ(report_.Explain(),
            "rule norm_mul: 1 of 2 matched\n"
            "  %3 m.cc:4: rms_norm(x f32[T,4])\n    matched\n"
            "  %6 m.cc:5: rms_norm(y f32[T,4])\n"
            "    no: no mul uses %6 rms_norm\n");
  EXPECT_EQ(report_.Summary(), "norm_mul: 1 of 2 matched\n");
  EXPECT_EQ(report_.Find("norm_mul")->matched(), 1);
  EXPECT_EQ(report_.Find("other"), nullptr);
  EXPECT_EQ(report_.Count("other"), 0);
}

TEST_F(RewriteTest, EachAnchorOfOneProductIsTried) {
  const Value v = graph_.Input("v", DType::kF32, {4});
  const Value rows = RmsNorm(x_, 1);
  graph_.Output("out", rows * RmsNorm(v, 2));
  EXPECT_TRUE(Apply(
      Rule("norm_mul")
          .Match([](Any x, Any w, AnyFloat e) { return RmsNorm(x, e) * w; })
          .Anchor(kRmsNorm)
          .If("the weight is no vector",
              [](Value, Value w, double) { return w.rank() == 2; })
          .Emit([](Value x, Value w, double e) { return Scale(w, e) * x; })));
  EXPECT_THAT(Text(), HasSubstr("scale(%3, {factor=2})"));
}

// ---- Order and ids ----

TEST_F(RewriteTest, RulesBuildOnThoseBeforeThem) {
  const Value w = graph_.Weight("w", DType::kF32, {4});
  graph_.Output("out", RmsNorm(x_ + y_, 1e-5) * w);
  std::vector<Rule> rules;
  rules.push_back(
      Rule("norm_mul")
          .Match([](Any x, Any v, AnyFloat e) { return RmsNorm(x, e) * v; })
          .Emit(
              [](Value x, Value v, double e) { return RmsNormMul(x, v, e); }));
  rules.push_back(AddNorm());
  ASSERT_TRUE(ApplyRules(graph_, rules, &report_).ok());
  EXPECT_EQ(report_.Count("norm_mul"), 1);
  EXPECT_EQ(report_.Count("add_norm"), 1);
  EXPECT_THAT(Text(), HasSubstr("add_rms_norm(x, y, w"));
}

TEST_F(RewriteTest, IdsOfTheRestAreStable) {
  const Value before = Exp(x_);
  const Value root = Silu(before) * y_;
  const Value after = Tanh(root);
  graph_.Output("out", after);
  ASSERT_TRUE(Apply(SiluMul()));
  EXPECT_EQ(graph_.producer(before.id()).op, &kExp);
  EXPECT_EQ(graph_.producer(after.id()).op, &kTanh);
  EXPECT_FALSE(graph_.alive(graph_.value(root.id()).node));
  std::vector<absl::string_view> ops;
  for (const NodeId id : graph_.order())
    ops.push_back(graph_.node(id).op->name);
  EXPECT_THAT(ops, ElementsAre("input", "input", "exp", "gated", "tanh"));
}

}  // namespace
}  // namespace weft::inline v0
