// Chains of primitive ops that each fusion rule takes, with a rule for what
// their inputs hold.
#ifndef WEFT_TESTS_RULE_CASES_H_
#define WEFT_TESTS_RULE_CASES_H_

#include <functional>
#include <string>
#include <vector>

#include "graph/sample.h"

namespace weft::inline v0 {

struct RuleCase {
  std::string rule;  // that applies at least once
  std::string name;
  std::function<Values(SampleGraph&)> build;
};

// At least one of each rule in FusionRules().
const std::vector<RuleCase>& RuleCases();

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_RULE_CASES_H_
