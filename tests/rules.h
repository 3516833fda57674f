// The fixture of tests of the fusion rules.
#ifndef WEFT_TESTS_RULES_H_
#define WEFT_TESTS_RULES_H_

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "graph/print.h"
#include "gtest/gtest.h"
#include "ops/fused.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "ops/rules/rules.h"

namespace weft::inline v0 {

// Those of linear_rules_test.cc, of products; attention's are in
// attention_rule_test.cc, the others' in norm_rules_test.cc.
inline bool TakesWeights(const Rule& rule) {
  return absl::StrContains(rule.name(), "matmul") ||
         absl::StrContains(rule.name(), "gather") ||
         absl::StrContains(rule.name(), "transposed");
}

// That this program has tests RuleName_Fuses... and RuleName_Not....
inline void ExpectTested(const Rule& rule) {
  std::string name;
  for (const absl::string_view word : absl::StrSplit(rule.name(), '_'))
    absl::StrAppend(&name, std::string(1, absl::ascii_toupper(word[0])),
                    word.substr(1));
  int fuses = 0;
  int misses = 0;
  const auto& all = *::testing::UnitTest::GetInstance();
  for (int s = 0; s < all.total_test_suite_count(); ++s)
    for (int i = 0; i < all.GetTestSuite(s)->total_test_count(); ++i) {
      const std::string test = all.GetTestSuite(s)->GetTestInfo(i)->name();
      fuses += absl::StartsWith(test, absl::StrCat(name, "_Fuses"));
      misses += absl::StartsWith(test, absl::StrCat(name, "_Not"));
    }
  EXPECT_GT(fuses, 0) << name;
  EXPECT_GT(misses, 1) << name;
}

class RulesTest : public ::testing::Test {
 protected:
  static Where Line(uint32_t line) {
    Where at;
    at.file = "m.cc";
    at.line = line;
    return at;
  }
  Value In(absl::string_view name, Shape shape) {
    return graph_.Input(name, DType::kF32, std::move(shape));
  }
  Value Weight(absl::string_view name, Shape shape, DType dtype = DType::kF32) {
    return graph_.Weight(name, dtype, std::move(shape));
  }
  void Output(Value v) {
    graph_.Output(absl::StrCat("y", graph_.outputs().size()), v);
  }
  std::string Text() {
    EXPECT_TRUE(graph_.status().ok()) << graph_.status();
    return PrintText(graph_, {.sources = false, .origins = false});
  }
  // Runs the whole pipeline; the dump of what it leaves.
  std::string Fuse() {
    const auto report = Optimize(graph_, {.check_expectations = false,
                                          .fuse = true,
                                          .numerics = numerics_,
                                          .observer = {}});
    EXPECT_TRUE(report.ok()) << report.status();
    if (report.ok()) report_ = *report;
    return Text();
  }
  // Why the rule's first miss was one; "" when there is none.
  std::string Reason(absl::string_view rule) {
    const RuleReport* found = report_.Find(rule);
    if (found == nullptr) return "no such rule";
    for (const AnchorReport& a : found->anchors)
      if (!a.matched) return a.reason;
    return "";
  }
  // Fuses; the rule must not match, for that reason.
  void ExpectMiss(absl::string_view rule, const std::string& reason) {
    Fuse();
    EXPECT_EQ(report_.Count(rule), 0) << Text();
    EXPECT_EQ(Reason(rule), reason);
  }

  const Dim T = Dim::Symbol("T", 5);
  Numerics numerics_ = Numerics::kExact;
  Graph graph_;
  FusionReport report_;
};

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_RULES_H_
