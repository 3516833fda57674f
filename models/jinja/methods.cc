// Methods of strings, dicts and lists in templates.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/jinja/arguments.h"
#include "models/jinja/interpreter.h"
#include "models/jinja/text.h"

namespace weft::inline v0::jinja {
namespace {

// In all of these the first argument is the object.
const std::string& Self(const Arguments& arguments) {
  return arguments.positional[0].string();
}

template <bool left, bool right>
absl::StatusOr<Value> StripMethod(Interpreter& interpreter,
                                  const Arguments& arguments) {
  const Value characters = GetArgument(arguments, 1, "", Value::None());
  std::string set;
  if (!characters.is_none()) {
    WEFT_ASSIGN_OR_RETURN(set, GetText(interpreter, arguments, 1, ""));
    if (set.empty()) return arguments.positional[0];
  }
  return interpreter.MakeText(Strip(Self(arguments), set, left, right));
}

template <std::string (*map)(absl::string_view)>
absl::StatusOr<Value> MapMethod(Interpreter& interpreter,
                                const Arguments& arguments) {
  return interpreter.MakeText(map(Self(arguments)));
}

// Parts between white space; the rest of the text behind `limit` parts.
std::vector<Value> SplitAtSpace(const std::string& text, int64_t limit) {
  std::vector<Value> parts;
  std::string part;
  const std::vector<absl::string_view> characters = Characters(text);
  for (size_t i = 0; i < characters.size(); ++i) {
    if (IsSpace(characters[i])) {
      if (!part.empty()) parts.push_back(Value(std::exchange(part, "")));
      continue;
    }
    if (part.empty() && limit >= 0 &&
        static_cast<int64_t>(parts.size()) == limit) {
      for (; i < characters.size(); ++i)
        part.append(characters[i].data(), characters[i].size());
      part = Strip(part, "", false, true);
      break;
    }
    part.append(characters[i].data(), characters[i].size());
  }
  if (!part.empty()) parts.push_back(Value(std::move(part)));
  return parts;
}

std::vector<Value> SplitAt(absl::string_view text, absl::string_view separator,
                           int64_t limit, bool from_right) {
  std::vector<Value> parts;
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t at = from_right ? text.rfind(separator) : text.find(separator);
    if (at == text.npos) break;
    if (from_right) {
      parts.push_back(Value(text.substr(at + separator.size())));
      text = text.substr(0, at);
    } else {
      parts.push_back(Value(text.substr(0, at)));
      text.remove_prefix(at + separator.size());
    }
  }
  parts.push_back(Value(text));
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool from_right>
absl::StatusOr<Value> Split(Interpreter& interpreter,
                            const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(
      const int64_t limit,
      GetInteger(interpreter, arguments, 2, "maxsplit", int64_t{-1}));
  WEFT_RETURN_IF_ERROR(
      interpreter.Charge(1, static_cast<int64_t>(Self(arguments).size())));
  const Value separator = GetArgument(arguments, 1, "sep", Value::None());
  if (separator.is_none()) {
    if (from_right && limit >= 0)
      return interpreter.Error("rsplit at white space with a limit");
    return interpreter.MakeList(SplitAtSpace(Self(arguments), limit));
  }
  WEFT_ASSIGN_OR_RETURN(const std::string text,
                        GetText(interpreter, arguments, 1, "sep"));
  if (text.empty()) return interpreter.Error("an empty separator");
  return interpreter.MakeList(
      SplitAt(Self(arguments), text, limit, from_right));
}

absl::StatusOr<Value> SplitLines(Interpreter& interpreter,
                                 const Arguments& arguments) {
  const bool keep = GetArgument(arguments, 1, "keepends", false).Truth();
  std::vector<Value> lines;
  absl::string_view rest = Self(arguments);
  while (!rest.empty()) {
    size_t end = std::min(rest.find_first_of("\r\n"), rest.size());
    size_t next = end;
    if (next < rest.size())
      next += absl::StartsWith(rest.substr(next), "\r\n") ? 2 : 1;
    lines.push_back(Value(rest.substr(0, keep ? next : end)));
    rest.remove_prefix(next);
  }
  return interpreter.MakeList(std::move(lines));
}

template <bool at_end>
absl::StatusOr<Value> StartsOrEnds(Interpreter& interpreter,
                                   const Arguments& arguments) {
  const Value wanted = GetArgument(arguments, 1, "");
  std::vector<Value> options = {wanted};
  if (wanted.is_list()) options = wanted.list()->items;
  for (const Value& option : options) {
    if (!option.is_string()) return interpreter.Error("a str is expected");
    if (at_end ? absl::EndsWith(Self(arguments), option.string())
               : absl::StartsWith(Self(arguments), option.string()))
      return Value(true);
  }
  return Value(false);
}

template <bool suffix>
absl::StatusOr<Value> RemoveEnd(Interpreter& interpreter,
                                const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const std::string part,
                        GetText(interpreter, arguments, 1, ""));
  const std::string& text = Self(arguments);
  if (suffix && absl::EndsWith(text, part))
    return interpreter.MakeText(text.substr(0, text.size() - part.size()));
  if (!suffix && absl::StartsWith(text, part))
    return interpreter.MakeText(text.substr(part.size()));
  return arguments.positional[0];
}

absl::StatusOr<Value> Replace(Interpreter& interpreter,
                              const Arguments& arguments) {
  return interpreter.CallFilter("replace", arguments);
}

absl::StatusOr<Value> Join(Interpreter& interpreter,
                           const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value> items,
                        interpreter.Iterate(GetArgument(arguments, 1, "")));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_string())
      return interpreter.Error("join of something that is no str");
    WEFT_RETURN_IF_ERROR(
        interpreter.Charge(0, static_cast<int64_t>(Self(arguments).size() +
                                                   items[i].string().size())));
    absl::StrAppend(&out, i > 0 ? Self(arguments) : "", items[i].string());
  }
  return Value(std::move(out));
}

// In characters; -1 where there is none.
template <bool from_right>
absl::StatusOr<Value> Find(Interpreter& interpreter,
                           const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const std::string part,
                        GetText(interpreter, arguments, 1, ""));
  const std::string& text = Self(arguments);
  const size_t at = from_right ? text.rfind(part) : text.find(part);
  if (at == std::string::npos) return Value(int64_t{-1});
  return Value(static_cast<int64_t>(
      CountCharacters(absl::string_view(text).substr(0, at))));
}

absl::StatusOr<Value> Count(Interpreter& interpreter,
                            const Arguments& arguments) {
  if (arguments.positional[0].is_list()) {
    const auto& items = arguments.positional[0].list()->items;
    return Value(static_cast<int64_t>(
        std::count(items.begin(), items.end(), GetArgument(arguments, 1, ""))));
  }
  WEFT_ASSIGN_OR_RETURN(const std::string part,
                        GetText(interpreter, arguments, 1, ""));
  if (part.empty())
    return Value(static_cast<int64_t>(CountCharacters(Self(arguments)) + 1));
  return Value(static_cast<int64_t>(
      SplitAt(Self(arguments), part, -1, false).size() - 1));
}

template <bool (*holds)(absl::string_view)>
absl::StatusOr<Value> All(Interpreter&, const Arguments& arguments) {
  const std::vector<absl::string_view> characters = Characters(Self(arguments));
  return Value(!characters.empty() &&
               std::all_of(characters.begin(), characters.end(), holds));
}

bool IsLetterOrNumber(absl::string_view character) {
  return IsLetter(character) || IsNumber(character);
}

absl::StatusOr<Value> IsUpper(Interpreter& interpreter,
                              const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const bool is,
                        interpreter.CallTest("upper", arguments));
  return Value(is);
}

absl::StatusOr<Value> IsLower(Interpreter& interpreter,
                              const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const bool is,
                        interpreter.CallTest("lower", arguments));
  return Value(is);
}

absl::StatusOr<Value> FormatMethod(Interpreter& interpreter, const Arguments&) {
  return interpreter.Error("weft does not know the method \"format\"");
}

constexpr struct {
  const char* name;
  Builtin method;
} kStringMethods[] = {
    {"strip", StripMethod<true, true>},
    {"lstrip", StripMethod<true, false>},
    {"rstrip", StripMethod<false, true>},
    {"lower", MapMethod<ToLower>},
    {"upper", MapMethod<ToUpper>},
    {"title", MapMethod<TitleCase>},
    {"capitalize", MapMethod<Capitalize>},
    {"split", Split<false>},
    {"rsplit", Split<true>},
    {"splitlines", SplitLines},
    {"startswith", StartsOrEnds<false>},
    {"endswith", StartsOrEnds<true>},
    {"removeprefix", RemoveEnd<false>},
    {"removesuffix", RemoveEnd<true>},
    {"replace", Replace},
    {"join", Join},
    {"find", Find<false>},
    {"rfind", Find<true>},
    {"count", Count},
    {"isspace", All<IsSpace>},
    {"isalpha", All<IsLetter>},
    {"isdigit", All<IsNumber>},
    {"isdecimal", All<IsNumber>},
    {"isnumeric", All<IsNumber>},
    {"isalnum", All<IsLetterOrNumber>},
    {"isupper", IsUpper},
    {"islower", IsLower},
    {"format", FormatMethod},
};

absl::StatusOr<Value> Items(Interpreter& interpreter,
                            const Arguments& arguments) {
  std::vector<Value> items;
  for (const auto& [key, value] : arguments.positional[0].dict()->entries)
    items.push_back(Value::MakeList({key, value}, true));
  return interpreter.MakeList(std::move(items));
}

absl::StatusOr<Value> Keys(Interpreter& interpreter,
                           const Arguments& arguments) {
  std::vector<Value> items;
  for (const auto& [key, value] : arguments.positional[0].dict()->entries)
    items.push_back(key);
  return interpreter.MakeList(std::move(items));
}

absl::StatusOr<Value> Values(Interpreter& interpreter,
                             const Arguments& arguments) {
  std::vector<Value> items;
  for (const auto& [key, value] : arguments.positional[0].dict()->entries)
    items.push_back(value);
  return interpreter.MakeList(std::move(items));
}

absl::StatusOr<Value> Get(Interpreter&, const Arguments& arguments) {
  const Value* found =
      arguments.positional[0].dict()->Find(GetArgument(arguments, 1, "key"));
  if (found != nullptr) return *found;
  return GetArgument(arguments, 2, "default", Value::None());
}

absl::StatusOr<Value> Copy(Interpreter&, const Arguments& arguments) {
  return arguments.positional[0];
}

constexpr struct {
  const char* name;
  Builtin method;
} kDictMethods[] = {{"items", Items},
                    {"keys", Keys},
                    {"values", Values},
                    {"get", Get},
                    {"copy", Copy}};

absl::StatusOr<Value> Index(Interpreter& interpreter,
                            const Arguments& arguments) {
  const auto& items = arguments.positional[0].list()->items;
  const auto at =
      std::find(items.begin(), items.end(), GetArgument(arguments, 1, ""));
  if (at == items.end()) return interpreter.Error("no such item in the list");
  return Value(static_cast<int64_t>(at - items.begin()));
}

// As the sandbox that templates run in: nothing is changed.
absl::StatusOr<Value> Forbidden(Interpreter& interpreter, const Arguments&) {
  return interpreter.Error("templates cannot change a list or a dict");
}

constexpr struct {
  const char* name;
  Builtin method;
} kListMethods[] = {
    {"index", Index},      {"count", Count},      {"copy", Copy},
    {"append", Forbidden}, {"extend", Forbidden}, {"insert", Forbidden},
    {"pop", Forbidden},    {"remove", Forbidden}, {"clear", Forbidden},
    {"sort", Forbidden},   {"reverse", Forbidden}};

template <class Methods>
Value Bind(const Methods& methods, const Value& object,
           absl::string_view name) {
  for (const auto& [known, method] : methods) {
    if (name != known) continue;
    const Builtin call = method;
    return std::make_shared<const Function>(Function{
        std::string(name),
        [object, call](Interpreter& interpreter,
                       const Arguments& given) -> absl::StatusOr<Value> {
          Arguments arguments = given;
          arguments.positional.insert(arguments.positional.begin(), object);
          return call(interpreter, arguments);
        }});
  }
  return Value();
}

}  // namespace

Value FindMethod(const Value& object, absl::string_view name) {
  if (object.is_string()) return Bind(kStringMethods, object, name);
  if (object.is_list()) return Bind(kListMethods, object, name);
  if (object.is_dict() && !object.dict()->is_namespace)
    return Bind(kDictMethods, object, name);
  return Value();
}

}  // namespace weft::inline v0::jinja
