// What every template may call by its name.
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/jinja/arguments.h"
#include "models/jinja/interpreter.h"

namespace weft::inline v0::jinja {
namespace {

absl::StatusOr<Value> Range(Interpreter& interpreter,
                            const Arguments& arguments) {
  const size_t count = arguments.positional.size();
  if (count < 1 || count > 3 || !arguments.named.empty())
    return interpreter.Error("range takes 1 to 3 integers");
  int64_t begin = 0, end = 0, step = 1;
  WEFT_ASSIGN_OR_RETURN(
      end, GetInteger(interpreter, arguments, count == 1 ? 0 : 1, ""));
  if (count > 1) {
    WEFT_ASSIGN_OR_RETURN(begin, GetInteger(interpreter, arguments, 0, ""));
  }
  if (count > 2) {
    WEFT_ASSIGN_OR_RETURN(step, GetInteger(interpreter, arguments, 2, ""));
  }
  if (step == 0) return interpreter.Error("a range of step zero");
  // In floats first: the difference of two integers may overflow.
  const double size = (static_cast<double>(end) - static_cast<double>(begin)) /
                      static_cast<double>(step);
  WEFT_RETURN_IF_ERROR(
      interpreter.Charge(size > 1e15 ? int64_t{1'000'000'000'000'000}
                         : size > 0  ? static_cast<int64_t>(size)
                                     : 0));
  std::vector<Value> items;
  for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
    items.push_back(Value(i));
    if (step > 0 ? i > end - step : i < end - step) break;
  }
  return Value::MakeList(std::move(items));
}

absl::StatusOr<Value> MakeDict(Interpreter& interpreter,
                               const Arguments& arguments, bool is_namespace) {
  auto dict = std::make_shared<Dict>();
  dict->is_namespace = is_namespace;
  const auto set = [&](const Value& key, Value value) -> absl::Status {
    if (is_namespace && value.HoldsNamespace())
      return interpreter.Error(
          "a namespace cannot hold a namespace or a function");
    if (dict->Set(key, std::move(value))) return absl::OkStatus();
    return interpreter.Error(
        absl::StrCat("a ", key.TypeName(), " cannot be a key"));
  };
  for (const Value& argument : arguments.positional) {
    if (argument.is_dict()) {
      for (const auto& [key, value] : argument.dict()->entries)
        WEFT_RETURN_IF_ERROR(set(key, value));
      continue;
    }
    WEFT_ASSIGN_OR_RETURN(const std::vector<Value> pairs,
                          interpreter.Iterate(argument));
    for (const Value& pair : pairs) {
      if (!pair.is_list() || pair.list()->items.size() != 2)
        return interpreter.Error("a dict is made of pairs");
      WEFT_RETURN_IF_ERROR(set(pair.list()->items[0], pair.list()->items[1]));
    }
  }
  for (const auto& [name, value] : arguments.named)
    WEFT_RETURN_IF_ERROR(set(Value(name), value));
  return Value(std::move(dict));
}

absl::StatusOr<Value> NewDict(Interpreter& interpreter,
                              const Arguments& arguments) {
  return MakeDict(interpreter, arguments, false);
}

absl::StatusOr<Value> NewNamespace(Interpreter& interpreter,
                                   const Arguments& arguments) {
  return MakeDict(interpreter, arguments, true);
}

absl::StatusOr<Value> RaiseException(Interpreter& interpreter,
                                     const Arguments& arguments) {
  return interpreter.Error(absl::StrCat(
      "the template says: ", GetArgument(arguments, 0, "message").ToString()));
}

absl::StatusOr<Value> StrftimeNow(Interpreter& interpreter,
                                  const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const std::string format,
                        GetText(interpreter, arguments, 0, "format"));
  const std::time_t now = interpreter.now();
  std::tm parts = {};
  gmtime_r(&now, &parts);
  char text[512];
  const size_t size = std::strftime(text, sizeof(text), format.c_str(), &parts);
  if (size == 0 && !format.empty())
    return interpreter.Error("a time of more than 511 bytes");
  return interpreter.MakeText(std::string(text, size));
}

// Gives its arguments in turn.
absl::StatusOr<Value> Cycler(Interpreter& interpreter,
                             const Arguments& arguments) {
  if (arguments.positional.empty())
    return interpreter.Error("a cycler of nothing");
  auto cycler = std::make_shared<Dict>();
  cycler->is_namespace = true;
  auto at = std::make_shared<size_t>(0);
  const auto items = arguments.positional;
  cycler->Set(
      "next",
      std::make_shared<const Function>(Function{
          "cycler.next",
          [at, items](Interpreter&, const Arguments&) -> absl::StatusOr<Value> {
            return items[(*at)++ % items.size()];
          }}));
  cycler->Set(
      "reset",
      std::make_shared<const Function>(Function{
          "cycler.reset",
          [at](Interpreter&, const Arguments&) -> absl::StatusOr<Value> {
            *at = 0;
            return Value(Value::None());
          }}));
  return Value(std::move(cycler));
}

// Gives nothing once, then its argument.
absl::StatusOr<Value> Joiner(Interpreter&, const Arguments& arguments) {
  const Value separator = GetArgument(arguments, 0, "sep", ", ");
  auto used = std::make_shared<bool>(false);
  return Value(std::make_shared<const Function>(
      Function{"joiner",
               [used, separator](Interpreter&,
                                 const Arguments&) -> absl::StatusOr<Value> {
                 if (std::exchange(*used, true)) return separator;
                 return Value("");
               }}));
}

constexpr struct {
  const char* name;
  Builtin builtin;
} kBuiltins[] = {
    {"range", Range},
    {"dict", NewDict},
    {"namespace", NewNamespace},
    {"raise_exception", RaiseException},
    {"strftime_now", StrftimeNow},
    {"cycler", Cycler},
    {"joiner", Joiner},
};

}  // namespace

void AddBuiltins(Interpreter& interpreter) {
  for (const auto& [name, builtin] : kBuiltins) {
    interpreter.Set(name,
                    std::make_shared<const Function>(Function{name, builtin}));
  }
}

}  // namespace weft::inline v0::jinja
