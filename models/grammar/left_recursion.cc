// Whether a rule can come back to itself before it took a byte: a matcher would
// go round for ever.
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/hash.h"
#include "models/grammar/gbnf_parser.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

class LeftRecursion {
 public:
  explicit LeftRecursion(const std::vector<GbnfRule>& rules)
      : rules_(rules),
        empty_(rules.size()),
        callers_(rules.size()),
        first_(rules.size()) {}

  // A rule on a cycle, -1 for none.
  int32_t Find() {
    FindEmpty();
    for (int32_t i = 0; i < Count(); ++i) first_[At(i)] = Look(i).calls;
    return FindCycle();
  }

 private:
  struct Reach {
    bool end = false;            // a rule may match nothing
    std::vector<int32_t> calls;  // what it may begin with
  };

  static size_t At(int32_t i) { return static_cast<size_t>(i); }
  int32_t Count() const { return static_cast<int32_t>(rules_.size()); }

  // What is reached without a byte, as far as is known which rules are empty.
  Reach Look(int32_t rule) const {
    const Code& code = rules_[At(rule)].code;
    Reach reach;
    std::vector<bool> seen(code.size());
    HashSet<int32_t> called;
    std::vector<int32_t> open = {0};
    while (!open.empty()) {
      const int32_t at = open.back();
      open.pop_back();
      if (seen[At(at)]) continue;
      seen[At(at)] = true;
      const Inst& inst = code[At(at)];
      if (inst.op == Inst::kEnd) reach.end = true;
      if (inst.op == Inst::kSplit) open.push_back(at + inst.b);
      if (inst.op == Inst::kSplit || inst.op == Inst::kJump)
        open.push_back(at + inst.a);
      if (inst.op != Inst::kCall) continue;
      if (called.insert(inst.a).second) reach.calls.push_back(inst.a);
      if (empty_[At(inst.a)]) open.push_back(at + 1);
    }
    return reach;
  }

  // Which rules may match nothing.
  void FindEmpty() {
    std::vector<int32_t> open;
    for (int32_t i = 0; i < Count(); ++i) {
      for (const Inst& inst : rules_[At(i)].code)
        if (inst.op == Inst::kCall) callers_[At(inst.a)].insert(i);
      open.push_back(i);
    }
    while (!open.empty()) {
      const int32_t i = open.back();
      open.pop_back();
      if (empty_[At(i)] || !Look(i).end) continue;
      empty_[At(i)] = true;
      open.insert(open.end(), callers_[At(i)].begin(), callers_[At(i)].end());
    }
  }

  // Depth first, without recursion: a chain of rules may be long.
  int32_t FindCycle() const {
    enum State : char { kNew, kOpen, kDone };
    std::vector<State> states(rules_.size(), kNew);
    for (int32_t root = 0; root < Count(); ++root) {
      if (states[At(root)] != kNew) continue;
      std::vector<std::pair<int32_t, size_t>> path = {{root, 0}};
      states[At(root)] = kOpen;
      while (!path.empty()) {
        auto& [rule, next] = path.back();
        if (next == first_[At(rule)].size()) {
          states[At(rule)] = kDone;
          path.pop_back();
          continue;
        }
        const int32_t called = first_[At(rule)][next++];
        if (states[At(called)] == kOpen) return called;
        if (states[At(called)] == kDone) continue;
        states[At(called)] = kOpen;
        path.emplace_back(called, 0);
      }
    }
    return -1;
  }

  const std::vector<GbnfRule>& rules_;
  std::vector<bool> empty_;
  std::vector<HashSet<int32_t>> callers_;
  std::vector<std::vector<int32_t>> first_;
};

}  // namespace

absl::Status CheckLeftRecursion(absl::string_view text,
                                const std::vector<GbnfRule>& rules) {
  const int32_t rule = LeftRecursion(rules).Find();
  if (rule < 0) return absl::OkStatus();
  const GbnfRule& found = rules[static_cast<size_t>(rule)];
  return GbnfError(
      absl::StatusCode::kInvalidArgument, text, found.at, "GBNF-4",
      absl::StrCat("left recursion: the rule ", QuoteInput(found.name),
                   " can begin with itself; expected something "
                   "before it, as in a ::= \"x\" a"));
}

}  // namespace weft::inline v0
