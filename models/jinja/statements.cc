// The interpreter's statements.
#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/input_error.h"
#include "models/jinja/interpreter.h"

namespace weft::inline v0::jinja {

// A loop while it runs, for its `loop` variable.
struct Interpreter::LoopState {
  std::vector<Value> items;
  size_t index = 0;
  int depth = 1;
  std::vector<Value> changed;  // what loop.changed() saw last
  bool has_changed = false;
};

absl::StatusOr<std::string> Interpreter::Run(const Node& root) {
  std::string out;
  WEFT_RETURN_IF_ERROR(Exec(root, out).status());
  return out;
}

absl::Status Interpreter::Write(absl::string_view text, std::string& out) {
  WEFT_RETURN_IF_ERROR(Charge(0, static_cast<int64_t>(text.size())));
  out.append(text.data(), text.size());
  return absl::OkStatus();
}

absl::StatusOr<Interpreter::Flow> Interpreter::Exec(const Node& node,
                                                    std::string& out) {
  WEFT_RETURN_IF_ERROR(Charge(1));
  at_ = node.at;
  if (depth_ >= limits_.depth) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "JINJA-5: line ", at_.line, ", column ", at_.column,
        ": nesting of more than ", limits_.depth, " calls and constructs"));
  }
  ++depth_;
  const auto leave = absl::MakeCleanup([this] { --depth_; });
  switch (node.kind) {
    case Node::kBlock:
      return ExecBlock(node, out);
    case Node::kText:
      WEFT_RETURN_IF_ERROR(Write(node.text, out));
      return Flow::kNext;
    case Node::kPrint: {
      WEFT_ASSIGN_OR_RETURN(const Value value, Eval(*node.children[0]));
      WEFT_RETURN_IF_ERROR(Write(value.ToString(), out));
      return Flow::kNext;
    }
    case Node::kIf:
      return ExecIf(node, out);
    case Node::kFor: {
      WEFT_ASSIGN_OR_RETURN(const Value iterable, Eval(*node.children[0]));
      WEFT_RETURN_IF_ERROR(ExecFor(node, iterable, 1, out));
      return Flow::kNext;
    }
    case Node::kSet:
      WEFT_RETURN_IF_ERROR(ExecSet(node));
      return Flow::kNext;
    case Node::kSetBlock:
      WEFT_RETURN_IF_ERROR(ExecSetBlock(node));
      return Flow::kNext;
    case Node::kMacro:
      scope_->Set(node.text, MakeMacro(node));
      return Flow::kNext;
    case Node::kCallBlock:
      WEFT_RETURN_IF_ERROR(ExecCallBlock(node, out));
      return Flow::kNext;
    case Node::kFilterBlock:
      WEFT_RETURN_IF_ERROR(ExecFilterBlock(node, out));
      return Flow::kNext;
    case Node::kWith:
      return ExecWith(node, out);
    case Node::kBreak:
      return Flow::kBreak;
    case Node::kContinue:
      return Flow::kContinue;
    default:
      return Error("an expression where a statement is expected");
  }
}

absl::StatusOr<Interpreter::Flow> Interpreter::ExecBlock(const Node& node,
                                                         std::string& out) {
  for (const NodePtr& child : node.children) {
    WEFT_ASSIGN_OR_RETURN(const Flow flow, Exec(*child, out));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::ExecIf(const Node& node,
                                                      std::string& out) {
  size_t i = 0;
  for (; i + 1 < node.children.size(); i += 2) {
    WEFT_ASSIGN_OR_RETURN(const Value condition, Eval(*node.children[i]));
    if (condition.Truth()) return Exec(*node.children[i + 1], out);
  }
  if (i < node.children.size()) return Exec(*node.children[i], out);
  return Flow::kNext;
}

absl::StatusOr<std::vector<Value>> Interpreter::LoopItems(
    const Node& node, const Value& iterable) {
  WEFT_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(iterable));
  if (node.children[1] == nullptr) return items;
  std::vector<Value> kept;
  const ScopePtr outer = scope_;
  const auto leave = absl::MakeCleanup([&] { scope_ = outer; });
  for (Value& item : items) {
    scope_ = std::make_shared<Scope>(outer);
    WEFT_RETURN_IF_ERROR(Assign(*node.target, item));
    WEFT_ASSIGN_OR_RETURN(const Value keeps, Eval(*node.children[1]));
    if (keeps.Truth()) kept.push_back(std::move(item));
  }
  return kept;
}

// The variable `loop`.
absl::StatusOr<Value> Interpreter::LoopValue(
    const Node& node, const std::shared_ptr<LoopState>& state) {
  at_ = node.at;
  const auto index = static_cast<int64_t>(state->index);
  const auto size = static_cast<int64_t>(state->items.size());
  auto loop = std::make_shared<Dict>();
  loop->is_namespace = true;
  loop->Set("index", index + 1);
  loop->Set("index0", index);
  loop->Set("revindex", size - index);
  loop->Set("revindex0", size - index - 1);
  loop->Set("first", index == 0);
  loop->Set("last", index + 1 == size);
  loop->Set("length", size);
  loop->Set("depth", int64_t{state->depth});
  loop->Set("depth0", int64_t{state->depth - 1});
  loop->Set("previtem", index > 0 ? state->items[state->index - 1]
                                  : Value::MakeUndefined("loop.previtem"));
  loop->Set("nextitem", index + 1 < size
                            ? state->items[state->index + 1]
                            : Value::MakeUndefined("loop.nextitem"));
  loop->Set("cycle",
            std::make_shared<const Function>(Function{
                "loop.cycle",
                [index](Interpreter& interpreter,
                        const Arguments& arguments) -> absl::StatusOr<Value> {
                  const auto& values = arguments.positional;
                  if (values.empty())
                    return interpreter.Error("nothing to cycle");
                  return values[static_cast<size_t>(index) % values.size()];
                }}));
  // Weak: the state must not hold itself through what it saw.
  loop->Set("changed",
            std::make_shared<const Function>(Function{
                "loop.changed",
                [weak = std::weak_ptr<LoopState>(state)](
                    Interpreter& interpreter,
                    const Arguments& arguments) -> absl::StatusOr<Value> {
                  const auto held = weak.lock();
                  if (held == nullptr)
                    return interpreter.Error("the loop is over");
                  const bool same = held->has_changed &&
                                    held->changed == arguments.positional;
                  held->has_changed = true;
                  held->changed = arguments.positional;
                  return Value(!same);
                }}));
  return Value(std::move(loop));
}

absl::Status Interpreter::ExecFor(const Node& node, const Value& iterable,
                                  int depth, std::string& out) {
  const auto state = std::make_shared<LoopState>();
  state->depth = depth;
  WEFT_ASSIGN_OR_RETURN(state->items, LoopItems(node, iterable));
  if (state->items.empty()) {
    if (node.children[3] == nullptr) return absl::OkStatus();
    return Exec(*node.children[3], out).status();
  }
  const ScopePtr outer = scope_;
  const auto leave = absl::MakeCleanup([&] { scope_ = outer; });
  for (; state->index < state->items.size(); ++state->index) {
    WEFT_RETURN_IF_ERROR(Charge(8));
    scope_ = std::make_shared<Scope>(outer);
    WEFT_ASSIGN_OR_RETURN(Value loop, LoopValue(node, state));
    scope_->Set("loop", std::move(loop));
    WEFT_RETURN_IF_ERROR(Assign(*node.target, state->items[state->index]));
    WEFT_ASSIGN_OR_RETURN(const Flow flow, Exec(*node.children[2], out));
    if (flow == Flow::kBreak) break;
  }
  return absl::OkStatus();
}

absl::Status Interpreter::Assign(const Node& target, Value value) {
  at_ = target.at;
  if (target.kind == Node::kName) {
    scope_->Set(target.text, std::move(value));
    return absl::OkStatus();
  }
  if (target.kind == Node::kAttribute) {
    WEFT_ASSIGN_OR_RETURN(const Value object, Eval(*target.children[0]));
    if (!object.is_dict() || !object.dict()->is_namespace) {
      return Error(absl::StrCat("cannot set ", QuoteInput(target.text),
                                " of a ", object.TypeName(),
                                "; only of a namespace"));
    }
    // One within itself would never be freed.
    if (value.HoldsNamespace())
      return Error("a namespace cannot hold a namespace or a function");
    object.dict()->Set(Value(target.text), std::move(value));
    return absl::OkStatus();
  }
  WEFT_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(value));
  if (items.size() != target.children.size()) {
    return Error(absl::StrCat("cannot give ", items.size(), " values to ",
                              target.children.size(), " names"));
  }
  for (size_t i = 0; i < items.size(); ++i)
    WEFT_RETURN_IF_ERROR(Assign(*target.children[i], std::move(items[i])));
  return absl::OkStatus();
}

absl::Status Interpreter::ExecSet(const Node& node) {
  WEFT_ASSIGN_OR_RETURN(Value value, Eval(*node.children[0]));
  return Assign(*node.target, std::move(value));
}

absl::StatusOr<std::string> Interpreter::Capture(const Node& block,
                                                 ScopePtr scope) {
  const ScopePtr outer = std::exchange(scope_, std::move(scope));
  const auto leave = absl::MakeCleanup([&] { scope_ = outer; });
  std::string text;
  WEFT_RETURN_IF_ERROR(Exec(block, text).status());
  return text;
}

absl::Status Interpreter::ExecSetBlock(const Node& node) {
  WEFT_ASSIGN_OR_RETURN(
      std::string text,
      Capture(*node.children[0], std::make_shared<Scope>(scope_)));
  const Value before = std::exchange(input_, Value(std::move(text)));
  absl::StatusOr<Value> value = Eval(*node.children[1]);
  input_ = before;
  if (!value.ok()) return value.status();
  return Assign(*node.target, *std::move(value));
}

absl::Status Interpreter::ExecFilterBlock(const Node& node, std::string& out) {
  WEFT_ASSIGN_OR_RETURN(
      std::string text,
      Capture(*node.children[1], std::make_shared<Scope>(scope_)));
  const Value before = std::exchange(input_, Value(std::move(text)));
  const absl::StatusOr<Value> value = Eval(*node.children[0]);
  input_ = before;
  if (!value.ok()) return value.status();
  return Write(value->ToString(), out);
}

absl::StatusOr<Interpreter::Flow> Interpreter::ExecWith(const Node& node,
                                                        std::string& out) {
  const ScopePtr outer = scope_;
  const auto leave = absl::MakeCleanup([&] { scope_ = outer; });
  const auto inner = std::make_shared<Scope>(outer);
  // The values know nothing of each other.
  for (size_t i = 0; i + 1 < node.children.size(); ++i) {
    const Node& set = *node.children[i];
    WEFT_ASSIGN_OR_RETURN(Value value, Eval(*set.children[0]));
    inner->Set(set.target->text, std::move(value));
  }
  scope_ = inner;
  return Exec(*node.children.back(), out);
}

Value Interpreter::MakeMacro(const Node& node) {
  // The scope holds the macro, so that must not hold the scope.
  return std::make_shared<const Function>(
      Function{node.text,
               [&node, weak = std::weak_ptr<Scope>(scope_)](
                   Interpreter& interpreter,
                   const Arguments& arguments) -> absl::StatusOr<Value> {
                 const ScopePtr scope = weak.lock();
                 if (scope == nullptr)
                   return interpreter.Error("the macro's block is over");
                 return interpreter.RunMacro(node, scope, arguments);
               }});
}

absl::StatusOr<Value> Interpreter::RunMacro(const Node& node,
                                            const ScopePtr& scope,
                                            const Arguments& arguments) {
  const auto inner = std::make_shared<Scope>(scope);
  std::vector<Value> rest;
  for (size_t i = node.names.size(); i < arguments.positional.size(); ++i)
    rest.push_back(arguments.positional[i]);
  auto named = std::make_shared<Dict>();
  for (const auto& [name, value] : arguments.named) {
    if (name == "caller") {
      inner->Set("caller", value);
    } else if (std::find(node.names.begin(), node.names.end(), name) ==
               node.names.end()) {
      named->Set(Value(name), value);
    }
  }
  inner->Set("varargs", Value::MakeList(std::move(rest), true));
  inner->Set("kwargs", std::move(named));
  const ScopePtr outer = std::exchange(scope_, inner);
  const auto leave = absl::MakeCleanup([&] { scope_ = outer; });
  for (size_t i = 0; i < node.names.size(); ++i) {
    Value value = Value::MakeUndefined(node.names[i]);
    const auto given =
        std::find_if(arguments.named.begin(), arguments.named.end(),
                     [&](const auto& named_one) {
                       return named_one.first == node.names[i];
                     });
    if (i < arguments.positional.size()) {
      value = arguments.positional[i];
    } else if (given != arguments.named.end()) {
      value = given->second;
    } else if (node.children[i + 1] != nullptr) {
      WEFT_ASSIGN_OR_RETURN(value, Eval(*node.children[i + 1]));
    }
    inner->Set(node.names[i], std::move(value));
  }
  WEFT_ASSIGN_OR_RETURN(std::string text, Capture(*node.children[0], inner));
  return Value(std::move(text));
}

absl::Status Interpreter::ExecCallBlock(const Node& node, std::string& out) {
  const Node& call = *node.children[0];
  WEFT_ASSIGN_OR_RETURN(const Value function, Eval(*call.children[0]));
  WEFT_ASSIGN_OR_RETURN(Arguments arguments, EvalArguments(call, 1));
  arguments.named.emplace_back("caller", MakeMacro(*node.children[1]));
  at_ = node.at;
  WEFT_ASSIGN_OR_RETURN(const Value value, Call(function, arguments));
  return Write(value.ToString(), out);
}

}  // namespace weft::inline v0::jinja
