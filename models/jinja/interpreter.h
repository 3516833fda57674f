// Runs parsed templates.
#ifndef WEFT_MODELS_JINJA_INTERPRETER_H_
#define WEFT_MODELS_JINJA_INTERPRETER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "graph/hash.h"
#include "models/jinja/node.h"
#include "models/jinja/value.h"

namespace weft::inline v0::jinja {

// What a template may use up; beyond it ResourceExhausted.
struct Limits {
  int64_t steps = 4'000'000;  // nodes run, items made
  int64_t bytes = 64 << 20;   // of all texts made
  int depth = 600;            // of calls and constructs within each other
};

// Variables, and where else to look for them.
class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> parent) : parent_(std::move(parent)) {}
  // Null where no scope has it.
  const Value* Find(absl::string_view name) const;
  void Set(absl::string_view name, Value value) {
    variables_[std::string(name)] = std::move(value);
  }

 private:
  std::shared_ptr<Scope> parent_;
  HashMap<std::string, Value> variables_;
};

// One run of one template. Errors are InvalidArgument (JINJA-4) with line and
// column for what a template does wrong or weft does not know, by name, and
// ResourceExhausted (JINJA-5) for what it takes too much of. A template sees
// what it is given and nothing of the host.
class Interpreter {
 public:
  // `now`: what strftime_now shows, in seconds since 1970, UTC.
  Interpreter(const Limits& limits, int64_t now);

  // Sets a variable of the whole template.
  void Set(absl::string_view name, Value value) {
    globals_->Set(name, std::move(value));
  }
  absl::StatusOr<std::string> Run(const Node& root);

  // For functions that templates call. Steps and bytes are charged before they
  // are taken.
  absl::Status Charge(int64_t steps, int64_t bytes = 0);
  absl::StatusOr<Value> MakeText(std::string text);
  absl::StatusOr<Value> MakeList(std::vector<Value> items, bool tuple = false);
  // Errors that get line and column of the node that is being run.
  absl::Status Error(absl::string_view what) const;
  absl::StatusOr<Value> Call(const Value& function, const Arguments& arguments);
  absl::StatusOr<Value> CallFilter(const std::string& name,
                                   const Arguments& arguments);
  absl::StatusOr<bool> CallTest(const std::string& name,
                                const Arguments& arguments);
  absl::StatusOr<Value> Attribute(const Value& object, absl::string_view name);
  absl::StatusOr<Value> Item(const Value& object, const Value& key);
  // The items of a list, the keys of a dict, the characters of a string.
  absl::StatusOr<std::vector<Value>> Iterate(const Value& value);
  int64_t now() const { return now_; }

 private:
  enum class Flow { kNext, kBreak, kContinue };
  using ScopePtr = std::shared_ptr<Scope>;
  class Frame;
  struct LoopState;

  // statements.cc
  absl::StatusOr<Flow> Exec(const Node& node, std::string& out);
  absl::StatusOr<Flow> ExecBlock(const Node& node, std::string& out);
  absl::StatusOr<Flow> ExecIf(const Node& node, std::string& out);
  absl::Status ExecFor(const Node& node, const Value& iterable, int depth,
                       std::string& out);
  absl::StatusOr<std::vector<Value>> LoopItems(const Node& node,
                                               const Value& iterable);
  absl::StatusOr<Value> LoopValue(const Node& node,
                                  const std::shared_ptr<LoopState>& state);
  absl::Status ExecSet(const Node& node);
  absl::Status ExecSetBlock(const Node& node);
  absl::StatusOr<Flow> ExecWith(const Node& node, std::string& out);
  absl::Status ExecFilterBlock(const Node& node, std::string& out);
  absl::Status ExecCallBlock(const Node& node, std::string& out);
  absl::StatusOr<std::string> Capture(const Node& block, ScopePtr scope);
  absl::Status Assign(const Node& target, Value value);
  Value MakeMacro(const Node& node);
  absl::StatusOr<Value> RunMacro(const Node& node, const ScopePtr& scope,
                                 const Arguments& arguments);
  absl::Status Write(absl::string_view text, std::string& out);

  // expressions.cc
  absl::StatusOr<Value> Eval(const Node& node);
  absl::StatusOr<Value> EvalItems(const Node& node);
  absl::StatusOr<Value> EvalDict(const Node& node);
  absl::StatusOr<Value> EvalSlice(const Node& node);
  absl::StatusOr<Value> EvalCall(const Node& node);
  absl::StatusOr<Value> EvalUnary(const Node& node);
  absl::StatusOr<Value> EvalBinary(const Node& node);
  absl::StatusOr<Value> EvalCompare(const Node& node);
  absl::StatusOr<bool> Compare(const std::string& op, const Value& a,
                               const Value& b);
  absl::StatusOr<Value> EvalChoice(const Node& node);
  // The arguments behind the first `skip` children.
  absl::StatusOr<Arguments> EvalArguments(const Node& node, size_t skip);
  absl::StatusOr<Value> Arithmetic(const std::string& op, const Value& a,
                                   const Value& b);
  absl::StatusOr<Value> IntegerArithmetic(const std::string& op, int64_t a,
                                          int64_t b);
  absl::StatusOr<Value> Repeat(const Value& value, int64_t times);
  absl::StatusOr<bool> Contains(const Value& container, const Value& item);

  const Limits limits_;
  const int64_t now_;
  int64_t steps_ = 0;
  int64_t bytes_ = 0;
  int depth_ = 0;
  Position at_;
  ScopePtr globals_;
  ScopePtr scope_;
  Value input_;  // of the filter block that is being run
};

// builtins.cc: what every template may call by name.
void AddBuiltins(Interpreter& interpreter);
// filters.cc, tests.cc: null where there is none of that name.
using Builtin = absl::StatusOr<Value> (*)(Interpreter&, const Arguments&);
Builtin FindFilter(absl::string_view name);
Builtin FindTest(absl::string_view name);
// methods.cc: a method bound to its object; undefined where there is none.
Value FindMethod(const Value& object, absl::string_view name);

}  // namespace weft::inline v0::jinja

#endif  // WEFT_MODELS_JINJA_INTERPRETER_H_
