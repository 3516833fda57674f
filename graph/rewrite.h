// Fusion rules and the engine that applies them.
//
//   Rule DequantMatMul() {
//     return Rule("dequant_matmul")
//         .Match([](Any x, Any w) { return Linear(x, w); })
//         .If("x is f32", [](Value x, Value) { return IsF32(x); })
//         .Emit([](Value x, Value w) { return QMatMul(x, w); });
//   }
//
// Patterns are built with the DSL functions that models use. Once for all
// rules the engine checks that every interior value has no reader outside the
// match and is no output (unless it is computed from weights alone: then others
// may share it), tries commuted operands, and requires that the replacement's
// types equal the root's.
#ifndef WEFT_GRAPH_REWRITE_H_
#define WEFT_GRAPH_REWRITE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "graph/graph.h"

namespace weft::inline v0 {

// A parameter of a pattern: any value.
class Any : public Value {
 public:
  using Value::Value;
  explicit Any(Value v) : Value(v) {}
};

// A parameter of a pattern: any float attribute (eps, scale, ...). Its
// predicate and emitter get the number.
class AnyFloat : public FloatAttr {
 public:
  using FloatAttr::FloatAttr;
};

// What a match found: by parameter of the pattern, a value or a number.
struct Bound {
  Value value;
  double number = 0;

  operator Value() const { return value; }      // NOLINT: an Any parameter
  operator double() const { return number; }    // NOLINT: an AnyFloat parameter
  operator FloatAttr() const { return number; } // NOLINT: the same
};

// One candidate of one rule and what came of it.
struct AnchorReport {
  ValueId value = -1;      // the anchor's first output
  int number = 0;          // its Graph::number()
  std::string anchor;      // "llama.cc:42: softmax(%7 f32[T,8,1,C])"
  std::string where;       // "llama.cc:42", or "" when unknown
  bool matched = false;
  std::string reason;      // why not, naming nodes; "" when matched
  std::string hint;        // what would make it match, where that is known
};

struct RuleReport {  // What one rule did.
  std::string rule;
  std::vector<AnchorReport> anchors;  // matched ones first, then the misses

  int matched() const;
};

// What the rules did to a graph, in the order in which rules are tried.
struct FusionReport {
  std::vector<RuleReport> rules;

  // 0 for a rule that was not run.
  int Count(absl::string_view rule) const;
  const RuleReport* Find(absl::string_view rule) const;
  // A line per rule: "dequant_matmul: 36 of 46 matched".
  std::string Summary() const;
  // Every anchor with its reason; of one rule only when `rule` is not empty.
  std::string Explain(absl::string_view rule = "") const;
};

// Collects what a classifier found and why it gave up.
class Classification {
 public:
  explicit Classification(const Graph& graph) : graph_(graph) {}

  // Declares the value's producer part of the match.
  void Inside(Value v) { interior_.push_back(graph_.value(v.id()).node); }
  // Records the reason of a miss; returns false, so that a classifier can say
  // `return c.Miss(v, "is not ...")`.
  // `hint` says what would make it match.
  bool Miss(Value v, absl::string_view why, absl::string_view hint = "");
  // The same for a value that has other readers than the match allows, or is an
  // output: names them.
  bool MissReaders(Value v);

  // Set by a classifier that matched.
  Value root;
  std::function<Value()> emit;

 private:
  friend class Matcher;
  const Graph& graph_;
  std::vector<NodeId> interior_;
  std::string reason_, hint_;
};

class Rule {  // A pattern and what takes its place.
 public:
  explicit Rule(absl::string_view name) : name_(name) {}

  // The pattern: a lambda of Any and AnyFloat parameters that returns the root,
  // or Values: the root first, then interior values that may have other
  // readers and are replaced as well.
  template <class F>
  Rule&& Match(F build) &&;
  // A condition on the bound parameters; `what` completes "not so: ...".
  template <class F>
  Rule&& If(absl::string_view what, F predicate) &&;
  // Builds the replacement of the roots, same order, from the parameters.
  template <class F>
  Rule&& Emit(F emit) &&;
  // Reports candidates by nodes of `op`, which is in the pattern, rather than
  // by nodes of the root's op. Anchor on what is rare and hard.
  Rule&& Anchor(const OpDef& op) && {
    anchor_ = &op;
    return std::move(*this);
  }
  // Instead of a pattern: a function that looks around an anchor node of `op`
  // (its first output) and fills the classification.
  Rule&& Classify(const OpDef& op,
                  std::function<bool(Value anchor, Classification&)> f) && {
    anchor_ = &op;
    classify_ = std::move(f);
    return std::move(*this);
  }

  absl::string_view name() const { return name_; }
  const OpDef* anchor() const { return anchor_; }

 private:
  friend class Matcher;
  struct Condition {
    absl::string_view what;
    std::function<bool(absl::Span<const Bound>)> holds;
  };

  static Values ToValues(Value v) { return {v}; }
  static Values ToValues(Values v) { return v; }
  template <class... P>
  struct Parameters {};
  template <class R, class C, class... P>
  static Parameters<P...> ParametersOf(R (C::*)(P...) const);
  // The argument of parameter `index`: a placeholder or a capture.
  template <class P>
  static P MakeParameter(Graph& pattern, int index);
  template <class F, class... P, size_t... I>
  void BuildPattern(const F& build, Parameters<P...>,
                    std::index_sequence<I...>);
  template <class F, class... P, size_t... I>
  static auto Apply(const F& f, absl::Span<const Bound> bound, Parameters<P...>,
                    std::index_sequence<I...>) {
    return f(static_cast<P>(bound[I])...);
  }
  template <class F, class... P>
  static auto Apply(const F& f, absl::Span<const Bound> bound,
                    Parameters<P...> p) {
    return Apply(f, bound, p, std::index_sequence_for<P...>());
  }

  absl::string_view name_;
  const OpDef* anchor_ = nullptr;
  std::shared_ptr<Graph> pattern_;
  Values roots_;
  size_t n_parameters_ = 0;
  std::vector<Condition> conditions_;
  std::function<Values(absl::Span<const Bound>)> emit_;
  std::function<bool(Value, Classification&)> classify_;
};

// Whether a rule may be tried at an anchor: switches single rewrites off, to
// find the one that broke something. What it declines is reported as a miss.
using RewriteFilter =
    std::function<bool(absl::string_view rule, const Node& anchor)>;

// Applies each rule to every anchor of the graph, in topological order, before
// the next rule, and adds a report per rule. One sweep is enough, since a rule
// may build on the results of those before it in the list, never after. True
// when something changed.
absl::StatusOr<bool> ApplyRules(Graph& graph, absl::Span<const Rule> rules,
                                FusionReport* report,
                                const RewriteFilter& allow = nullptr);

// ---- Implementation of the templates ----

template <class P>
P Rule::MakeParameter(Graph& pattern, int index) {
  if constexpr (std::is_same_v<P, Any>) {
    return Any(pattern.Any(index));
  } else {
    static_assert(std::is_same_v<P, AnyFloat>, "use Any or AnyFloat");
    return AnyFloat(AttrCapture{index});
  }
}

template <class F, class... P, size_t... I>
void Rule::BuildPattern(const F& build, Parameters<P...>,
                        std::index_sequence<I...>) {
  n_parameters_ = sizeof...(P);
  // A tuple, since its braces fix the order in which placeholders are made.
  std::tuple<P...> parameters{
      MakeParameter<P>(*pattern_, static_cast<int>(I))...};
  roots_ = ToValues(build(std::get<I>(parameters)...));
  const OpDef* root_op = pattern_->producer(roots_[0].id()).op;
  if (anchor_ == nullptr) anchor_ = root_op;
}

template <class F>
Rule&& Rule::Match(F build) && {
  pattern_ = std::make_shared<Graph>(Graph::Mode::kPattern);
  const auto build_parameters = [&]<class... P>(Parameters<P...> p) {
    BuildPattern(build, p, std::index_sequence_for<P...>());
  };
  build_parameters(decltype(ParametersOf(&F::operator()))());
  return std::move(*this);
}

template <class F>
Rule&& Rule::If(absl::string_view what, F predicate) && {
  conditions_.push_back({what, [predicate](absl::Span<const Bound> bound) {
                           return Apply(
                               predicate, bound,
                               decltype(ParametersOf(&F::operator()))());
                         }});
  return std::move(*this);
}

template <class F>
Rule&& Rule::Emit(F emit) && {
  emit_ = [emit](absl::Span<const Bound> bound) {
    return ToValues(
        Apply(emit, bound, decltype(ParametersOf(&F::operator()))()));
  };
  return std::move(*this);
}

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_REWRITE_H_
