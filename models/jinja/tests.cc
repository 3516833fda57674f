// What stands after "is" in templates.
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/jinja/arguments.h"
#include "models/jinja/interpreter.h"

namespace weft::inline v0::jinja {
namespace {

using Predicate = bool (*)(const Value&);

template <bool (*predicate)(const Value&)>
absl::StatusOr<Value> Test(Interpreter&, const Arguments& arguments) {
  return Value(predicate(arguments.positional[0]));
}

bool Defined(const Value& v) { return !v.is_undefined(); }
bool Undefined(const Value& v) { return v.is_undefined(); }
bool None(const Value& v) { return v.is_none(); }
bool Boolean(const Value& v) { return v.is_bool(); }
bool True(const Value& v) { return v.is_bool() && v.Truth(); }
bool False(const Value& v) { return v.is_bool() && !v.Truth(); }
bool Integer(const Value& v) { return v.is_integer() && !v.is_bool(); }
bool Float(const Value& v) { return v.is_float(); }
bool Number(const Value& v) { return v.is_number(); }
bool String(const Value& v) { return v.is_string(); }
bool Mapping(const Value& v) { return v.is_dict() && !v.dict()->is_namespace; }
bool Iterable(const Value& v) {
  return v.is_undefined() || v.is_string() || v.is_list() || Mapping(v);
}
bool Sequence(const Value& v) {
  return v.is_undefined() || v.is_string() || v.is_list() || Mapping(v);
}
// In Python what is undefined can be called, to complain.
bool Callable(const Value& v) { return v.is_function() || v.is_undefined(); }
bool Escaped(const Value&) { return false; }
bool Lower(const Value& v) {
  const std::string text = v.ToString();
  return absl::AsciiStrToLower(text) == text &&
         absl::AsciiStrToUpper(text) != text;
}
bool Upper(const Value& v) {
  const std::string text = v.ToString();
  return absl::AsciiStrToUpper(text) == text &&
         absl::AsciiStrToLower(text) != text;
}

absl::StatusOr<Value> DivisibleBy(Interpreter& interpreter,
                                  const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const int64_t a,
                        GetInteger(interpreter, arguments, 0, ""));
  WEFT_ASSIGN_OR_RETURN(const int64_t b,
                        GetInteger(interpreter, arguments, 1, "num"));
  if (b == 0) return interpreter.Error("a division by zero");
  return Value(b == -1 || a % b == 0);
}

absl::StatusOr<Value> Odd(Interpreter& interpreter,
                          const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const int64_t a,
                        GetInteger(interpreter, arguments, 0, ""));
  return Value(a % 2 != 0);
}

absl::StatusOr<Value> Even(Interpreter& interpreter,
                           const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const int64_t a,
                        GetInteger(interpreter, arguments, 0, ""));
  return Value(a % 2 == 0);
}

absl::StatusOr<Value> Equal(Interpreter&, const Arguments& arguments) {
  return Value(arguments.positional[0] == GetArgument(arguments, 1, "other"));
}

absl::StatusOr<Value> NotEqual(Interpreter&, const Arguments& arguments) {
  return Value(
      !(arguments.positional[0] == GetArgument(arguments, 1, "other")));
}

// Of constants: the same value of the same type.
absl::StatusOr<Value> SameAs(Interpreter&, const Arguments& arguments) {
  const Value& a = arguments.positional[0];
  const Value b = GetArgument(arguments, 1, "other");
  if (a.is_list() || a.is_dict())
    return Value(a.list() == b.list() && a.dict() == b.dict());
  return Value(a.TypeName() == b.TypeName() && a == b);
}

template <bool swapped, bool negated>
absl::StatusOr<Value> Order(Interpreter& interpreter,
                            const Arguments& arguments) {
  const Value& a = arguments.positional[0];
  const Value b = GetArgument(arguments, 1, "other");
  const std::optional<bool> less = swapped ? Less(b, a) : Less(a, b);
  if (less) return Value(*less != negated);
  return interpreter.Error(absl::StrCat("a comparison between ", a.TypeName(),
                                        " and ", b.TypeName()));
}

absl::StatusOr<Value> In(Interpreter& interpreter, const Arguments& arguments) {
  const Value container = GetArgument(arguments, 1, "seq");
  const Value& item = arguments.positional[0];
  if (container.is_string() && item.is_string())
    return Value(container.string().find(item.string()) != std::string::npos);
  if (container.is_dict())
    return Value(container.dict()->Find(item) != nullptr);
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items,
                        interpreter.Iterate(container));
  for (const Value& one : items)
    if (one == item) return Value(true);
  return Value(false);
}

absl::StatusOr<Value> IsFilter(Interpreter&, const Arguments& arguments) {
  return Value(FindFilter(arguments.positional[0].ToString()) != nullptr);
}

absl::StatusOr<Value> IsTest(Interpreter&, const Arguments& arguments) {
  return Value(FindTest(arguments.positional[0].ToString()) != nullptr);
}

constexpr struct {
  const char* name;
  Builtin test;
} kTests[] = {
    {"defined", Test<Defined>},
    {"undefined", Test<Undefined>},
    {"none", Test<None>},
    {"boolean", Test<Boolean>},
    {"true", Test<True>},
    {"false", Test<False>},
    {"integer", Test<Integer>},
    {"float", Test<Float>},
    {"number", Test<Number>},
    {"string", Test<String>},
    {"mapping", Test<Mapping>},
    {"iterable", Test<Iterable>},
    {"sequence", Test<Sequence>},
    {"callable", Test<Callable>},
    {"escaped", Test<Escaped>},
    {"lower", Test<Lower>},
    {"upper", Test<Upper>},
    {"divisibleby", DivisibleBy},
    {"odd", Odd},
    {"even", Even},
    {"eq", Equal},
    {"equalto", Equal},
    {"==", Equal},
    {"ne", NotEqual},
    {"!=", NotEqual},
    {"sameas", SameAs},
    {"lt", Order<false, false>},
    {"lessthan", Order<false, false>},
    {"<", Order<false, false>},
    {"ge", Order<false, true>},
    {">=", Order<false, true>},
    {"gt", Order<true, false>},
    {"greaterthan", Order<true, false>},
    {">", Order<true, false>},
    {"le", Order<true, true>},
    {"<=", Order<true, true>},
    {"in", In},
    {"filter", IsFilter},
    {"test", IsTest},
};

}  // namespace

Builtin FindTest(absl::string_view name) {
  for (const auto& [known, test] : kTests)
    if (name == known) return test;
  return nullptr;
}

}  // namespace weft::inline v0::jinja
