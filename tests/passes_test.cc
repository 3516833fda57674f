// The passes one by one, and the pipeline that runs them.
#include "graph/passes.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "graph/print.h"
#include "graph/verify.h"
#include "gtest/gtest.h"
#include "ops/fused.h"
#include "ops/ops.h"
#include "ops/optimize.h"

namespace weft::inline v0 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const Dim T = Dim::Symbol("T", 8);

Where Line(uint32_t line) {
  Where at;
  at.file = "m.cc";
  at.line = line;
  return at;
}

class PassTest : public ::testing::Test {
 protected:
  // Runs the pass with the pipeline's checks; whether it changed something.
  bool Run(const Pass& pass) {
    const std::string before = PrintText(graph_);
    const std::vector<Pass> passes = {pass};
    const absl::Status status = RunPasses(graph_, passes);
    EXPECT_TRUE(status.ok()) << status;
    return PrintText(graph_) != before;
  }
  std::string Text() {
    return PrintText(graph_, {.sources = false, .origins = false});
  }
  int Count(const OpDef& op) {
    int n = 0;
    for (const NodeId id : graph_.order()) n += graph_.node(id).op == &op;
    return n;
  }
  Value Vector(std::vector<float> values) {
    return graph_.Constant(
        HostTensor::FromFloats({static_cast<int64_t>(values.size())}, values));
  }

  Graph graph_;
  Value x_ = graph_.Input("x", DType::kF32, {T, 4}, Line(1));
  Value pos_ = graph_.Input("pos", DType::kI32, {T}, Line(2));
};

// ---- Common subexpressions ----

TEST_F(PassTest, CseMergesChains) {
  const Value a = Exp(Silu(x_));
  const Value b = Exp(Silu(x_)).Named("b");
  graph_.Output("y", a + b);
  EXPECT_TRUE(Run(CommonSubexpressions()));
  EXPECT_EQ(Text(),
            "%2: f32[T,4] = silu(x)\n"
            "%3: f32[T,4] \"b\" = exp(%2)\n"
            "%6: f32[T,4] = add(%3, %3)\n"
            "output y = %6\n");
  EXPECT_FALSE(Run(CommonSubexpressions()));
}

TEST_F(PassTest, CseMergesOutputs) {
  graph_.Output("a", Silu(x_));
  graph_.Output("b", Silu(x_));
  EXPECT_TRUE(Run(CommonSubexpressions()));
  EXPECT_EQ(Text(), "%2: f32[T,4] = silu(x)\noutput a = %2\noutput b = %2\n");
}

TEST_F(PassTest, CseMergesNodesOfSeveralResults) {
  const Value w = graph_.Weight("w", DType::kF32, {4});
  const Values a = AddRmsNorm(x_, x_, w, 1e-5);
  const Values b = AddRmsNorm(x_, x_, w, 1e-5);
  graph_.Output("y", a[0] * b[1]);
  EXPECT_TRUE(Run(CommonSubexpressions()));
  EXPECT_EQ(Count(kAddRmsNorm), 1);
  EXPECT_THAT(Text(), HasSubstr("mul(%3, %4)"));
}

TEST_F(PassTest, CseTellsAttributesApartToTheLastBit) {
  const double eps = 1e-5;
  graph_.Output("a", RmsNorm(x_, eps));
  graph_.Output("b", RmsNorm(x_, std::nextafter(eps, 1)));
  graph_.Output("c", Scale(x_, 0.0));
  graph_.Output("d", Scale(x_, -0.0));
  graph_.Output("e", Slice(x_, 1, 0, 2));
  graph_.Output("f", Slice(x_, 1, 1, 3));
  graph_.Output("g", Reshape(x_, {T, 2, 2}));
  graph_.Output("h", Reshape(x_, {T, 4, 1}));
  graph_.Output("i", Gated(x_, x_, "silu"));
  graph_.Output("j", Gated(x_, x_, "gelu"));
  EXPECT_FALSE(Run(CommonSubexpressions()));
}

TEST_F(PassTest, CseTellsOpsAndOperandsApart) {
  const Value y = graph_.Input("y", DType::kF32, {T, 4});
  graph_.Output("a", x_ - y);
  graph_.Output("b", y - x_);
  graph_.Output("c", x_ + y);
  graph_.Output("d", x_ * y);
  EXPECT_FALSE(Run(CommonSubexpressions()));
}

TEST_F(PassTest, CseMergesCommutedOperands) {
  const Value y = graph_.Input("y", DType::kF32, {T, 4});
  graph_.Output("a", x_ + y);
  graph_.Output("b", y + x_);
  EXPECT_TRUE(Run(CommonSubexpressions()));
  EXPECT_EQ(Count(kAdd), 1);
}

TEST_F(PassTest, CseNeverMergesWritersOfState) {
  const Step step = {pos_, pos_};
  const Value k = Append(graph_.State("k", DType::kF32, {8, 9, 4}), x_, step);
  const Value v = Append(graph_.State("v", DType::kF32, {8, 9, 4}), x_, step);
  graph_.Output("y", GatherRows(k, pos_) + GatherRows(v, pos_));
  EXPECT_FALSE(Run(CommonSubexpressions()));
  EXPECT_EQ(Count(kAppend), 2);
}

// Every layer asks for the rotary table; one per step is left.
TEST_F(PassTest, CseLeavesOneRopeTable) {
  const Value heads = Reshape(x_, {T, 1, 4});
  const RopeOptions rope = {.n_dims = 4};
  graph_.Output("q", Rope(heads, pos_, rope));
  graph_.Output("k", Rope(Silu(heads), pos_, rope));
  EXPECT_TRUE(Run(CommonSubexpressions()));
  EXPECT_EQ(Count(kRopeTable), 1);
}

// ---- Dead code ----

TEST_F(PassTest, DeadCodeGoes) {
  const Value w = graph_.Weight("unused", DType::kF32, {4});
  Exp(Silu(x_) * w);
  graph_.Output("y", Relu(x_));
  EXPECT_TRUE(Run(DeadCode()));
  EXPECT_EQ(PrintText(graph_, {.origins = false}),
            "%0: f32[T,4] = input(x)\n"
            "%1: i32[T] = input(pos)\n"
            "%6: f32[T,4] = relu(x)\n"
            "output y = %6\n");
  EXPECT_FALSE(Run(DeadCode()));
}

TEST_F(PassTest, DeadCodeKeepsWritersAndWhatTheyNeed) {
  const Value s = graph_.State("s", DType::kF32, {8, 9, 4});
  const Value written = Append(s, Silu(x_), {pos_, pos_});
  GatherRows(written, pos_);
  graph_.Output("y", Relu(x_));
  EXPECT_TRUE(Run(DeadCode()));
  EXPECT_EQ(Count(kAppend), 1);
  EXPECT_EQ(Count(kSilu), 1);
  EXPECT_EQ(Count(kGatherRows), 0);
}

// ---- Constant folding ----

TEST_F(PassTest, FoldsWhatConstantsAloneGive) {
  const Value a = Vector({1, 2, 3, 4});
  const Value folded = Scale(Add(a, a, Line(3)), 0.5, Line(4)).Named("table");
  graph_.Output("y", Mul(x_, folded, Line(5)));
  EXPECT_TRUE(Run(FoldConstants()));
  EXPECT_EQ(PrintText(graph_),
            "%0: f32[T,4] = input(x)  # m.cc:1\n"
            "%1: i32[T] = input(pos)  # m.cc:2\n"
            "%7: f32[4] \"table\" = constant()  # fold_constants <- m.cc:4\n"
            "%5: f32[T,4] = mul(x, %7)  # m.cc:5\n"
            "output y = %5\n");
  const Node& constant = graph_.node(graph_.order()[2]);
  ASSERT_NE(constant.constant, nullptr);
  EXPECT_THAT(constant.constant->ToFloats(), ElementsAre(1, 2, 3, 4));
}

TEST_F(PassTest, FoldsNodesOfSeveralResults) {
  const Value a = Vector({3, 4});
  const Values both = AddRmsNorm(a, a, Vector({1, 1}), 0);
  graph_.Output("sum", both[0]);
  graph_.Output("normed", both[1]);
  EXPECT_TRUE(Run(FoldConstants()));
  EXPECT_EQ(Count(kAddRmsNorm), 0);
  const Node& sum = graph_.producer(graph_.outputs()[0].value);
  ASSERT_EQ(sum.op, &kConstantOp);
  EXPECT_THAT(sum.constant->ToFloats(), ElementsAre(6, 8));
  const Node& normed = graph_.producer(graph_.outputs()[1].value);
  ASSERT_EQ(normed.op, &kConstantOp);
  EXPECT_NEAR(normed.constant->ToFloats()[0], 6 / std::sqrt(50.0), 1e-6);
}

TEST_F(PassTest, FoldsBlocksOfStoredFormats) {
  HostTensor q(DType::kQ8_0, {1, 32});  // zero
  graph_.Output("y", Dequant(graph_.Constant(std::move(q))));
  EXPECT_TRUE(Run(FoldConstants()));
  EXPECT_EQ(Text(),
            absl::StrCat("output y = %", graph_.outputs()[0].value, "\n"));
}

TEST_F(PassTest, DoesNotFoldWhatDependsOnAStep) {
  const Value a = Vector({1, 2, 3, 4});
  const Value w = graph_.Weight("w", DType::kF32, {4});
  graph_.Output("a", a + x_);
  graph_.Output("b", a + w);
  graph_.Output("c", GatherRows(a, pos_));
  EXPECT_FALSE(Run(FoldConstants()));
}

TEST_F(PassTest, DoesNotFoldLargeResults) {
  // 1 MiB is folded, one row more is not.
  const Value ones = Vector(std::vector<float>(1024, 1));
  const Value column = graph_.Constant(HostTensor(DType::kF32, {256, 1}));
  const Value longer = graph_.Constant(HostTensor(DType::kF32, {257, 1}));
  graph_.Output("a", column + ones);
  graph_.Output("b", longer + ones);
  EXPECT_TRUE(Run(FoldConstants()));
  EXPECT_EQ(graph_.producer(graph_.outputs()[0].value).op, &kConstantOp);
  EXPECT_EQ(graph_.producer(graph_.outputs()[1].value).op, &kAdd);
}

TEST_F(PassTest, FoldingReportsAnIndexOutsideItsTable) {
  const Value ids = graph_.Constant(HostTensor::FromInts({2}, {1, 9}));
  graph_.Output("y", GatherRows(Vector({1, 2, 3}), ids, Line(8)));
  const std::vector<Pass> passes = {FoldConstants()};
  const absl::Status status = RunPasses(graph_, passes);
  EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              StartsWith("after pass fold_constants: m.cc:8: gather_rows("));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("ids[1] is 9, not in [0, 3)"));
}

// ---- The pipeline ----

TEST_F(PassTest, PipelineNamesThePassThatBrokeTheGraph) {
  graph_.Output("y", Relu(Silu(x_), Line(5)));
  const Pass harmless = {"harmless", [](Graph&) { return false; }};
  const Pass vandal = {"vandal", [](Graph& g) -> absl::StatusOr<bool> {
                         const Value narrow = g.Input("n", DType::kF32, {T, 3});
                         g.ReplaceUses(ValueId{2}, narrow.id());
                         return true;
                       }};
  const std::vector<Pass> passes = {harmless, vandal, harmless};
  std::vector<std::string> seen;
  const absl::Status status =
      RunPasses(graph_, passes, [&seen](absl::string_view pass, const Graph&) {
        seen.emplace_back(pass);
      });
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_THAT(std::string(status.message()),
              StartsWith("after pass vandal: m.cc:5: relu("));
  EXPECT_THAT(seen, ElementsAre("", "harmless"));
}

TEST_F(PassTest, PipelineNamesThePassThatFailed) {
  graph_.Output("y", Silu(x_));
  const std::vector<Pass> passes = {
      {"gives_up", [](Graph&) -> absl::StatusOr<bool> {
         return absl::UnimplementedError("too hard");
       }}};
  EXPECT_EQ(RunPasses(graph_, passes).message(),
            "after pass gives_up: too hard");
}

TEST_F(PassTest, PipelineSortsAfterAPass) {
  const Value a = Silu(x_);
  graph_.Output("y", Relu(a));
  const Pass late = {"late", [&](Graph& g) -> absl::StatusOr<bool> {
                       const Value fresh = Exp(x_);
                       g.ReplaceUses(a.id(), fresh.id());
                       return true;
                     }};
  EXPECT_TRUE(Run(late));
}

TEST_F(PassTest, PassNamesAreThoseThatRun) {
  graph_.Output("y", Silu(x_));
  std::vector<std::string> seen;
  const auto report = Optimize(
      graph_, {.observer = [&seen](absl::string_view pass, const Graph&) {
        if (!pass.empty()) seen.emplace_back(pass);
      }});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(seen, PassNames());
}

TEST_F(PassTest, OptimizeFinishesTheGraphFirst) {
  EXPECT_TRUE(absl::IsFailedPrecondition(Optimize(graph_).status()));
}

// ---- Expectations ----

TEST_F(PassTest, MissedExpectationTellsNodeAndReason) {
  const Value w = graph_.Weight("w", DType::kF32, {4});
  const Value normed = RmsNorm(x_, 1e-5, Line(11));
  graph_.Output("a", Mul(normed, w, Line(12)));
  graph_.Output("b", Exp(normed, Line(13)));
  graph_.Output("c", RmsNorm(Silu(x_), 1e-5, Line(14)) * w);
  graph_.Expect("rms_norm_mul", 2, Line(20));
  const absl::Status status = Optimize(graph_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(status.message(),
            "m.cc:20: expected rule rms_norm_mul to match 2 times, it matched "
            "1\n  not %3 m.cc:11: rms_norm(x f32[T,4]): %3 rms_norm has 2 uses "
            "(%4 mul, %5 exp)");
}

TEST_F(PassTest, ExpectationOfAnUnknownRuleIsMissed) {
  graph_.Output("y", Silu(x_));
  graph_.Expect("telepathy", 1, Line(21));
  EXPECT_EQ(Optimize(graph_).status().message(),
            "m.cc:21: expected rule telepathy to match 1 times, it matched 0; "
            "no rule of that name was run");
}

TEST_F(PassTest, ExpectationsAreExactAndCanBeTurnedOff) {
  const Value w = graph_.Weight("w", DType::kF32, {4});
  graph_.Output("y", RmsNorm(x_, 1e-5) * w);
  graph_.Expect("rms_norm_mul", 0, Line(22));
  EXPECT_TRUE(absl::IsFailedPrecondition(Optimize(graph_).status()));
  const auto report = Optimize(graph_, {.check_expectations = false});
  EXPECT_TRUE(report.ok()) << report.status();
}

TEST_F(PassTest, HeldExpectationsAreSilent) {
  const Value w = graph_.Weight("w", DType::kF32, {4});
  graph_.Output("y", RmsNorm(x_, 1e-5) * w);
  graph_.Expect("rms_norm_mul", 1);
  graph_.Expect("attention", 0);
  const auto report = Optimize(graph_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->Count("rms_norm_mul"), 1);
}

}  // namespace
}  // namespace weft::inline v0
