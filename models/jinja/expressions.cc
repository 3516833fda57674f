// The interpreter's expressions.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/input_error.h"
#include "models/jinja/interpreter.h"

namespace weft::inline v0::jinja {
namespace {

// Where a slice begins, and how far it goes: Python's rules.
struct SliceRange {
  int64_t begin, end, step;
};

SliceRange ClampSlice(const Value& begin, const Value& end, int64_t step,
                      int64_t size) {
  const auto clamp = [&](const Value& value, int64_t fallback) {
    if (!value.is_integer()) return fallback;
    int64_t at = value.integer();
    if (at < 0) at = std::max(at + size, int64_t{-1});
    return step > 0 ? std::clamp(at, int64_t{0}, size)
                    : std::clamp(at, int64_t{-1}, size - 1);
  };
  if (step > 0) return {clamp(begin, 0), clamp(end, size), step};
  return {clamp(begin, size - 1), clamp(end, -1), step};
}

}  // namespace

absl::StatusOr<Value> Interpreter::Eval(const Node& node) {
  WEFT_RETURN_IF_ERROR(Charge(1));
  at_ = node.at;
  switch (node.kind) {
    case Node::kConstant:
      return node.value;
    case Node::kName: {
      const Value* found = scope_->Find(node.text);
      return found != nullptr ? *found : Value::MakeUndefined(node.text);
    }
    case Node::kInput:
      return input_;
    default:
      break;
  }
  if (depth_ >= limits_.depth) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "JINJA-5: line ", at_.line, ", column ", at_.column,
        ": nesting of more than ", limits_.depth, " calls and constructs"));
  }
  ++depth_;
  absl::StatusOr<Value> value;
  switch (node.kind) {
    case Node::kList:
    case Node::kTuple:
      value = EvalItems(node);
      break;
    case Node::kDict:
      value = EvalDict(node);
      break;
    case Node::kAttribute:
    case Node::kItem:
    case Node::kSlice:
      value = EvalSlice(node);
      break;
    case Node::kUnary:
      value = EvalUnary(node);
      break;
    case Node::kBinary:
      value = EvalBinary(node);
      break;
    case Node::kCompare:
      value = EvalCompare(node);
      break;
    case Node::kChoice:
      value = EvalChoice(node);
      break;
    default:
      value = EvalCall(node);
  }
  --depth_;
  return value;
}

absl::StatusOr<Value> Interpreter::EvalItems(const Node& node) {
  std::vector<Value> items;
  for (const NodePtr& child : node.children) {
    WEFT_ASSIGN_OR_RETURN(items.emplace_back(), Eval(*child));
  }
  return MakeList(std::move(items), node.kind == Node::kTuple);
}

absl::StatusOr<Value> Interpreter::EvalDict(const Node& node) {
  auto dict = std::make_shared<Dict>();
  for (size_t i = 0; i < node.children.size(); i += 2) {
    WEFT_ASSIGN_OR_RETURN(const Value key, Eval(*node.children[i]));
    WEFT_ASSIGN_OR_RETURN(Value value, Eval(*node.children[i + 1]));
    if (!dict->Set(key, std::move(value)))
      return Error(absl::StrCat("a ", key.TypeName(), " cannot be a key"));
  }
  Value made(std::move(dict));
  if (made.depth() > limits_.depth) return Error("values nest too deep");
  return made;
}

absl::StatusOr<Value> Interpreter::EvalSlice(const Node& node) {
  WEFT_ASSIGN_OR_RETURN(const Value object, Eval(*node.children[0]));
  if (node.kind == Node::kAttribute) {
    at_ = node.at;
    return Attribute(object, node.text);
  }
  std::vector<Value> bounds(3, Value(Value::None()));
  for (size_t i = 1; i < node.children.size(); ++i) {
    if (node.children[i] == nullptr) continue;
    WEFT_ASSIGN_OR_RETURN(bounds[i - 1], Eval(*node.children[i]));
  }
  at_ = node.at;
  if (node.kind == Node::kItem) return Item(object, bounds[0]);
  for (const Value& bound : bounds) {
    if (!bound.is_integer() && !bound.is_none())
      return Error("slices are made of integers");
  }
  const int64_t step = bounds[2].is_integer() ? bounds[2].integer() : 1;
  if (step == 0) return Error("a slice of step zero");
  if (!object.is_list() && !object.is_string()) {
    return Error(
        absl::StrCat("a value of type ", object.TypeName(), " has no slices"));
  }
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(object));
  const auto [begin, end, by] = ClampSlice(bounds[0], bounds[1], step,
                                           static_cast<int64_t>(items.size()));
  std::vector<Value> taken;
  std::string text;
  for (int64_t i = begin; by > 0 ? i < end : i > end; i += by) {
    const Value& item = items[static_cast<size_t>(i)];
    if (object.is_list())
      taken.push_back(item);
    else
      text += item.string();
    // Before it can overflow.
    if (by > end - i && by > 0) break;
    if (by < end - i && by < 0) break;
  }
  if (object.is_string()) return MakeText(std::move(text));
  return MakeList(std::move(taken), object.list()->tuple);
}

absl::StatusOr<Arguments> Interpreter::EvalArguments(const Node& node,
                                                     size_t skip) {
  Arguments arguments;
  for (size_t i = skip; i < node.children.size(); ++i) {
    WEFT_ASSIGN_OR_RETURN(Value value, Eval(*node.children[i]));
    const std::string& name = node.names[i - skip];
    if (name == "*") {
      WEFT_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(value));
      for (Value& item : items) arguments.positional.push_back(std::move(item));
    } else if (name == "**") {
      if (!value.is_dict()) return Error("** needs a dict");
      for (const auto& [key, item] : value.dict()->entries)
        arguments.named.emplace_back(key.ToString(), item);
    } else if (name.empty()) {
      arguments.positional.push_back(std::move(value));
    } else {
      arguments.named.emplace_back(name, std::move(value));
    }
  }
  return arguments;
}

// Calls, filters and tests.
absl::StatusOr<Value> Interpreter::EvalCall(const Node& node) {
  WEFT_ASSIGN_OR_RETURN(Value first, Eval(*node.children[0]));
  WEFT_ASSIGN_OR_RETURN(Arguments arguments, EvalArguments(node, 1));
  at_ = node.at;
  if (node.kind == Node::kCall) {
    if (first.is_undefined()) {
      return Error(absl::StrCat(QuoteInput(first.undefined_name()),
                                " is undefined and cannot be called"));
    }
    return Call(first, arguments);
  }
  arguments.positional.insert(arguments.positional.begin(), std::move(first));
  if (node.kind == Node::kFilter) return CallFilter(node.text, arguments);
  WEFT_ASSIGN_OR_RETURN(const bool holds, CallTest(node.text, arguments));
  return Value(holds);
}

absl::StatusOr<Value> Interpreter::EvalUnary(const Node& node) {
  WEFT_ASSIGN_OR_RETURN(const Value value, Eval(*node.children[0]));
  at_ = node.at;
  if (node.text == "not") return Value(!value.Truth());
  if (value.is_float())
    return Value(node.text == "-" ? -value.number() : value.number());
  if (value.is_integer()) {
    if (node.text == "+") return Value(value.integer());
    return IntegerArithmetic("-", 0, value.integer());
  }
  return Error(absl::StrCat("\"", node.text, "\" of a ", value.TypeName()));
}

absl::StatusOr<Value> Interpreter::EvalChoice(const Node& node) {
  WEFT_ASSIGN_OR_RETURN(const Value condition, Eval(*node.children[1]));
  if (condition.Truth()) return Eval(*node.children[0]);
  if (node.children[2] != nullptr) return Eval(*node.children[2]);
  return Value::MakeUndefined("the if-expression without else");
}

absl::StatusOr<Value> Interpreter::EvalBinary(const Node& node) {
  WEFT_ASSIGN_OR_RETURN(const Value left, Eval(*node.children[0]));
  if (node.text == "and" && !left.Truth()) return left;
  if (node.text == "or" && left.Truth()) return left;
  WEFT_ASSIGN_OR_RETURN(const Value right, Eval(*node.children[1]));
  if (node.text == "and" || node.text == "or") return right;
  at_ = node.at;
  if (node.text == "~")
    return MakeText(absl::StrCat(left.ToString(), right.ToString()));
  return Arithmetic(node.text, left, right);
}

absl::StatusOr<Value> Interpreter::EvalCompare(const Node& node) {
  WEFT_ASSIGN_OR_RETURN(Value left, Eval(*node.children[0]));
  for (size_t i = 0; i < node.names.size(); ++i) {
    WEFT_ASSIGN_OR_RETURN(Value right, Eval(*node.children[i + 1]));
    at_ = node.at;
    WEFT_ASSIGN_OR_RETURN(const bool holds,
                          Compare(node.names[i], left, right));
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

absl::StatusOr<bool> Interpreter::Compare(const std::string& op, const Value& a,
                                          const Value& b) {
  if (op == "==") return a == b;
  if (op == "!=") return !(a == b);
  if (op == "in") return Contains(b, a);
  if (op == "not in") {
    WEFT_ASSIGN_OR_RETURN(const bool contained, Contains(b, a));
    return !contained;
  }
  const bool swapped = op == ">" || op == "<=";
  const std::optional<bool> less = swapped ? Less(b, a) : Less(a, b);
  if (!less) {
    return Error(absl::StrCat("\"", op, "\" between ", a.TypeName(), " and ",
                              b.TypeName()));
  }
  return op == "<" || op == ">" ? *less : !*less;
}

absl::StatusOr<bool> Interpreter::Contains(const Value& container,
                                           const Value& item) {
  if (container.is_string()) {
    if (!item.is_string()) {
      return Error(absl::StrCat("a ", item.TypeName(), " within a str"));
    }
    WEFT_RETURN_IF_ERROR(
        Charge(static_cast<int64_t>(container.string().size() / 64)));
    return absl::StrContains(container.string(), item.string());
  }
  if (container.is_dict()) return container.dict()->Find(item) != nullptr;
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(container));
  return std::find(items.begin(), items.end(), item) != items.end();
}

absl::StatusOr<Value> Interpreter::Repeat(const Value& value, int64_t times) {
  times = std::max(times, int64_t{0});
  if (value.is_string()) {
    const std::string& text = value.string();
    const auto size = static_cast<int64_t>(text.size());
    // The product could overflow.
    if (size > 0 && times > limits_.bytes / size)
      return Charge(0, limits_.bytes + 1);
    WEFT_RETURN_IF_ERROR(Charge(1, size * times));
    std::string out;
    for (int64_t i = 0; i < times && size > 0; ++i) out += text;
    return Value(std::move(out));
  }
  const std::vector<Value>& items = value.list()->items;
  const auto size = static_cast<int64_t>(items.size());
  if (size > 0 && times > limits_.steps / size)
    return Charge(limits_.steps + 1);
  WEFT_RETURN_IF_ERROR(Charge(size * times));
  std::vector<Value> out;
  for (int64_t i = 0; i < times && size > 0; ++i)
    out.insert(out.end(), items.begin(), items.end());
  return MakeList(std::move(out), value.list()->tuple);
}

absl::StatusOr<Value> Interpreter::Arithmetic(const std::string& op,
                                              const Value& a, const Value& b) {
  for (const Value& value : {a, b}) {
    if (value.is_undefined()) {
      return Error(
          absl::StrCat(QuoteInput(value.undefined_name()), " is undefined"));
    }
  }
  if (op == "+" && a.is_string() && b.is_string())
    return MakeText(absl::StrCat(a.string(), b.string()));
  if (op == "+" && a.is_list() && b.is_list()) {
    std::vector<Value> items = a.list()->items;
    items.insert(items.end(), b.list()->items.begin(), b.list()->items.end());
    return MakeList(std::move(items), a.list()->tuple);
  }
  if (op == "*" && b.is_integer() && (a.is_string() || a.is_list()))
    return Repeat(a, b.integer());
  if (op == "*" && a.is_integer() && (b.is_string() || b.is_list()))
    return Repeat(b, a.integer());
  if (op == "%" && a.is_string()) {
    Arguments arguments;
    arguments.positional.push_back(a);
    if (b.is_list()) {
      for (const Value& item : b.list()->items)
        arguments.positional.push_back(item);
    } else {
      arguments.positional.push_back(b);
    }
    return CallFilter("format", arguments);
  }
  if (!a.is_number() || !b.is_number()) {
    return Error(absl::StrCat("\"", op, "\" between ", a.TypeName(), " and ",
                              b.TypeName()));
  }
  if (a.is_integer() && b.is_integer() && op != "/" &&
      !(op == "**" && b.integer() < 0))
    return IntegerArithmetic(op, a.integer(), b.integer());
  const double x = a.number(), y = b.number();
  if (op == "+") return Value(x + y);
  if (op == "-") return Value(x - y);
  if (op == "*") return Value(x * y);
  if (op == "**") return Value(std::pow(x, y));
  if (y == 0) return Error("a division by zero");
  if (op == "/") return Value(x / y);
  if (op == "//") return Value(std::floor(x / y));
  return Value(x - y * std::floor(x / y));
}

absl::StatusOr<Value> Interpreter::IntegerArithmetic(const std::string& op,
                                                     int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (op == "**") {
    result = 1;
    if (b > 64 && a != 0 && a != 1 && a != -1) overflow = true;
    if (b > 64) b = 64 + b % 2;
    for (int64_t i = 0; i < b && !overflow; ++i)
      overflow = __builtin_mul_overflow(result, a, &result);
  } else {
    if (b == 0) return Error("a division by zero");
    if (b == -1) {  // the quotient of the smallest would overflow
      overflow = op == "//" && __builtin_sub_overflow(int64_t{0}, a, &result);
    } else {
      const int64_t rest = a % b;
      const bool down = rest != 0 && (rest < 0) != (b < 0);
      result = op == "//" ? a / b - (down ? 1 : 0) : rest + (down ? b : 0);
    }
  }
  if (overflow) return Error("an integer of more than 64 bits");
  return Value(result);
}

}  // namespace weft::inline v0::jinja
