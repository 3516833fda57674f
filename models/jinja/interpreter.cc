// What the interpreter's parts share.
#include "models/jinja/interpreter.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/input_error.h"

namespace weft::inline v0::jinja {

const Value* Scope::Find(absl::string_view name) const {
  for (const Scope* scope = this; scope != nullptr;
       scope = scope->parent_.get()) {
    const auto at = scope->variables_.find(name);
    if (at != scope->variables_.end()) return &at->second;
  }
  return nullptr;
}

Interpreter::Interpreter(const Limits& limits, int64_t now)
    : limits_(limits),
      now_(now),
      globals_(std::make_shared<Scope>(nullptr)),
      scope_(globals_) {
  AddBuiltins(*this);
}

absl::Status Interpreter::Error(absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(
      "JINJA-4: line ", at_.line, ", column ", at_.column, ": ", what));
}

absl::Status Interpreter::Charge(int64_t steps, int64_t bytes) {
  // Neither is negative, and what was taken is below the limits.
  const bool too_long = bytes > limits_.bytes - bytes_;
  if (!too_long && steps <= limits_.steps - steps_) {
    steps_ += steps;
    bytes_ += bytes;
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "JINJA-5: line ", at_.line, ", column ", at_.column, ": ",
      too_long ? absl::StrCat("output limit: more than ", limits_.bytes,
                              " bytes of text")
               : absl::StrCat("step budget: more than ", limits_.steps)));
}

absl::StatusOr<Value> Interpreter::MakeText(std::string text) {
  WEFT_RETURN_IF_ERROR(Charge(1, static_cast<int64_t>(text.size())));
  return Value(std::move(text));
}

absl::StatusOr<Value> Interpreter::MakeList(std::vector<Value> items,
                                            bool tuple) {
  WEFT_RETURN_IF_ERROR(Charge(static_cast<int64_t>(items.size())));
  Value list = Value::MakeList(std::move(items), tuple);
  if (list.depth() <= limits_.depth) return list;
  return absl::ResourceExhaustedError(
      absl::StrCat("JINJA-5: line ", at_.line, ", column ", at_.column,
                   ": nesting of more than ", limits_.depth, " values"));
}

absl::StatusOr<Value> Interpreter::Call(const Value& function,
                                        const Arguments& arguments) {
  if (!function.is_function())
    return Error(absl::StrCat("a ", function.TypeName(), " is no function"));
  if (depth_ >= limits_.depth) {
    return absl::ResourceExhaustedError(
        absl::StrCat("JINJA-5: line ", at_.line, ", column ", at_.column,
                     ": nesting of more than ", limits_.depth, " calls"));
  }
  // Its own count: builtins call back.
  ++depth_;
  const Value held = function;  // it may be set to another meanwhile
  absl::StatusOr<Value> result = held.function()->call(*this, arguments);
  --depth_;
  return result;
}

absl::StatusOr<Value> Interpreter::CallFilter(const std::string& name,
                                              const Arguments& arguments) {
  const Builtin filter = FindFilter(name);
  if (filter != nullptr) return filter(*this, arguments);
  return Error(
      absl::StrCat("weft does not know the filter ", QuoteInput(name)));
}

absl::StatusOr<bool> Interpreter::CallTest(const std::string& name,
                                           const Arguments& arguments) {
  const Builtin test = FindTest(name);
  if (test == nullptr) {
    return Error(
        absl::StrCat("weft does not know the test ", QuoteInput(name)));
  }
  WEFT_ASSIGN_OR_RETURN(const Value value, test(*this, arguments));
  return value.Truth();
}

absl::StatusOr<Value> Interpreter::Attribute(const Value& object,
                                             absl::string_view name) {
  if (object.is_undefined()) {
    return Error(absl::StrCat(QuoteInput(object.undefined_name()),
                              " is undefined and has no ", QuoteInput(name)));
  }
  // Nothing in a template needs what begins so, and in Python it is the way out
  // of the sandbox.
  if (name.substr(0, 2) == "__")
    return Error(absl::StrCat("no access to ", QuoteInput(name)));
  Value method = FindMethod(object, name);
  if (!method.is_undefined()) return method;
  if (object.is_dict()) {
    if (const Value* found = object.dict()->Find(Value(name))) return *found;
  }
  return Value::MakeUndefined(name);
}

absl::StatusOr<Value> Interpreter::Item(const Value& object, const Value& key) {
  if (object.is_undefined()) {
    return Error(absl::StrCat(QuoteInput(object.undefined_name()),
                              " is undefined and has no items"));
  }
  if (object.is_dict()) {
    if (const Value* found = object.dict()->Find(key)) return *found;
  }
  if ((object.is_list() || object.is_string()) && key.is_integer()) {
    int64_t at = key.integer();
    if (object.is_list()) {
      const std::vector<Value>& items = object.list()->items;
      const auto size = static_cast<int64_t>(items.size());
      if (at < 0) at += size;
      if (at >= 0 && at < size) return items[static_cast<size_t>(at)];
    } else {
      WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(object));
      const auto size = static_cast<int64_t>(items.size());
      if (at < 0) at += size;
      if (at >= 0 && at < size) return items[static_cast<size_t>(at)];
    }
    return Value::MakeUndefined(absl::StrCat("item ", key.integer()));
  }
  if (key.is_string()) return Attribute(object, key.string());
  return Value::MakeUndefined(key.ToString());
}

absl::StatusOr<std::vector<Value>> Interpreter::Iterate(const Value& value) {
  std::vector<Value> items;
  if (value.is_undefined()) return items;
  if (value.is_list()) {
    items = value.list()->items;
  } else if (value.is_dict() && !value.dict()->is_namespace) {
    for (const auto& [key, unused] : value.dict()->entries)
      items.push_back(key);
  } else if (value.is_string()) {
    WEFT_RETURN_IF_ERROR(Charge(static_cast<int64_t>(value.string().size())));
    for (const absl::string_view character : Characters(value.string()))
      items.push_back(Value(character));
  } else {
    return Error(
        absl::StrCat("a value of type ", value.TypeName(), " has no items"));
  }
  WEFT_RETURN_IF_ERROR(Charge(static_cast<int64_t>(items.size())));
  return items;
}

}  // namespace weft::inline v0::jinja
