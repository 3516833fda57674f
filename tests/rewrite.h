// The fixture of tests of the rewrite engine, and two made-up rules.
#ifndef WEFT_TESTS_REWRITE_H_
#define WEFT_TESTS_REWRITE_H_

#include <string>
#include <utility>
#include <vector>

#include "graph/print.h"
#include "graph/rewrite.h"
#include "graph/verify.h"
#include "gtest/gtest.h"
#include "ops/fused.h"
#include "ops/ops.h"

namespace weft::inline v0 {

inline const Dim T = Dim::Symbol("T", 8);

// A line of the model m.cc.
inline Where Line(uint32_t line) {
  Where at;
  at.file = "m.cc";
  at.line = line;
  return at;
}

class RewriteTest : public ::testing::Test {
 protected:
  Value In(absl::string_view name) {
    return graph_.Input(name, DType::kF32, {T, 4});
  }
  // Applies one rule; the report is in report_.
  bool Apply(Rule rule) {
    std::vector<Rule> rules;
    rules.push_back(std::move(rule));
    const absl::StatusOr<bool> changed = ApplyRules(graph_, rules, &report_);
    EXPECT_TRUE(changed.ok()) << changed.status();
    EXPECT_TRUE(Verify(graph_).ok()) << Verify(graph_);
    return changed.ok() && *changed;
  }
  absl::Status Error(Rule rule) {
    std::vector<Rule> rules;
    rules.push_back(std::move(rule));
    return ApplyRules(graph_, rules, &report_).status();
  }
  std::string Text() { return PrintText(graph_, {.sources = false}); }
  std::string Reason() {
    EXPECT_EQ(report_.rules.size(), 1u);
    if (report_.rules.empty() || report_.rules[0].anchors.empty())
      return "no anchor";
    return report_.rules[0].anchors.back().reason;
  }

  Graph graph_;
  Value x_ = In("x");
  Value y_ = In("y");
  FusionReport report_;
};

// silu(a) * b becomes gated.
inline Rule SiluMul() {
  return Rule("silu_mul")
      .Match([](Any a, Any b) { return Silu(a) * b; })
      .Emit([](Value a, Value b) { return Gated(a, b, "silu"); });
}

// The sum may have other readers: it is the second root.
inline Rule AddNorm() {
  return Rule("add_norm")
      .Match([](Any a, Any b, Any w, AnyFloat eps) {
        const Value sum = a + b;
        return Values{RmsNormMul(sum, w, eps), sum};
      })
      .Emit([](Value a, Value b, Value w, double eps) {
        const Values both = AddRmsNorm(a, b, w, eps);
        return Values{both[1], both[0]};
      });
}

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_REWRITE_H_
