// Filters of templates; those of lists are in list_filters.cc.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "graph/status_macros.h"
#include "models/jinja/arguments.h"
#include "models/jinja/json.h"
#include "models/jinja/list_filters.h"
#include "models/jinja/text.h"

namespace weft::inline v0::jinja {
namespace {

using Result = absl::StatusOr<Value>;

template <std::string (*map)(absl::string_view)>
Result MapText(Interpreter& interpreter, const Arguments& arguments) {
  return interpreter.MakeText(map(arguments.positional[0].ToString()));
}

std::string Same(absl::string_view text) { return std::string(text); }

Result Trim(Interpreter& interpreter, const Arguments& arguments) {
  const Value set = GetArgument(arguments, 1, "chars", Value::None());
  return interpreter.MakeText(Strip(arguments.positional[0].ToString(),
                                    set.is_none() ? "" : set.ToString(), true,
                                    true));
}

Result Length(Interpreter& interpreter, const Arguments& arguments) {
  const Value& value = arguments.positional[0];
  if (value.is_undefined()) return Value(int64_t{0});
  if (value.is_string())
    return Value(static_cast<int64_t>(CountCharacters(value.string())));
  if (value.is_list())
    return Value(static_cast<int64_t>(value.list()->items.size()));
  if (value.is_dict())
    return Value(static_cast<int64_t>(value.dict()->entries.size()));
  return interpreter.Error(
      absl::StrCat("a value of type ", value.TypeName(), " has no length"));
}

Result Default(Interpreter&, const Arguments& arguments) {
  const Value& value = arguments.positional[0];
  const bool boolean = GetArgument(arguments, 2, "boolean", false).Truth();
  if (value.is_undefined() || (boolean && !value.Truth()))
    return GetArgument(arguments, 1, "default_value", "");
  return value;
}

Result ToJsonFilter(Interpreter& interpreter, const Arguments& arguments) {
  // As Hugging Face defines the filter.
  JsonStyle style;
  const Value ascii = GetArgument(arguments, 1, "ensure_ascii", false);
  const Value indent = GetArgument(arguments, 2, "indent", Value::None());
  const Value separators =
      GetArgument(arguments, 3, "separators", Value::None());
  style.ensure_ascii = ascii.Truth();
  style.sort_keys = GetArgument(arguments, 4, "sort_keys", false).Truth();
  if (indent.is_integer()) {
    if (indent.integer() > 64) return interpreter.Error("an indent above 64");
    style.indent = static_cast<int>(std::max(indent.integer(), int64_t{0}));
    style.item_separator = ",";
  }
  if (separators.is_list() && separators.list()->items.size() == 2) {
    style.item_separator = separators.list()->items[0].ToString();
    style.key_separator = separators.list()->items[1].ToString();
  }
  auto text = ToJson(arguments.positional[0], style);
  if (!text.ok()) return interpreter.Error(text.status().message());
  return interpreter.MakeText(*std::move(text));
}

Result ReplaceFilter(Interpreter& interpreter, const Arguments& arguments) {
  const std::string text = arguments.positional[0].ToString();
  const std::string from = GetArgument(arguments, 1, "old").ToString();
  const std::string to = GetArgument(arguments, 2, "new").ToString();
  const Value count = GetArgument(arguments, 3, "count", Value::None());
  int64_t left = count.is_integer() ? count.integer() : -1;
  std::string out;
  absl::string_view rest = text;
  if (from.empty()) {  // before each character and at the end
    for (const absl::string_view character : Characters(text)) {
      if (left-- != 0) absl::StrAppend(&out, to);
      absl::StrAppend(&out, character);
      WEFT_RETURN_IF_ERROR(
          interpreter.Charge(0, static_cast<int64_t>(to.size())));
    }
    if (left != 0) absl::StrAppend(&out, to);
    return interpreter.MakeText(std::move(out));
  }
  for (size_t at; left != 0 && (at = rest.find(from)) != rest.npos; --left) {
    WEFT_RETURN_IF_ERROR(
        interpreter.Charge(0, static_cast<int64_t>(at + to.size())));
    absl::StrAppend(&out, rest.substr(0, at), to);
    rest.remove_prefix(at + from.size());
  }
  absl::StrAppend(&out, rest);
  return interpreter.MakeText(std::move(out));
}

Result Indent(Interpreter& interpreter, const Arguments& arguments) {
  const Value width = GetArgument(arguments, 1, "width", int64_t{4});
  const bool first = GetArgument(arguments, 2, "first", false).Truth();
  const bool blank = GetArgument(arguments, 3, "blank", false).Truth();
  std::string space;
  if (width.is_integer()) {
    if (width.integer() > 1000) return interpreter.Error("a width above 1000");
    space.assign(static_cast<size_t>(std::max(width.integer(), int64_t{0})),
                 ' ');
  } else {
    space = width.ToString();
  }
  std::string out;
  bool is_first = true;
  const std::string text = arguments.positional[0].ToString();
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!is_first) out += '\n';
    if (is_first ? first : (blank || !line.empty())) out += space;
    absl::StrAppend(&out, line);
    WEFT_RETURN_IF_ERROR(
        interpreter.Charge(1, static_cast<int64_t>(space.size())));
    is_first = false;
  }
  return interpreter.MakeText(std::move(out));
}

Result Int(Interpreter&, const Arguments& arguments) {
  const Value& value = arguments.positional[0];
  if (value.is_integer()) return Value(value.integer());
  double number = 0;
  int64_t integer = 0;
  if (value.is_string() && absl::SimpleAtoi(value.string(), &integer))
    return Value(integer);
  const bool is_number =
      value.is_float() ||
      (value.is_string() && absl::SimpleAtod(value.string(), &number));
  if (value.is_float()) number = value.number();
  if (is_number && std::abs(number) < 9e18)
    return Value(static_cast<int64_t>(number));
  return GetArgument(arguments, 1, "default", int64_t{0});
}

Result Float(Interpreter&, const Arguments& arguments) {
  const Value& value = arguments.positional[0];
  double number = 0;
  if (value.is_number()) return Value(value.number());
  if (value.is_string() && absl::SimpleAtod(value.string(), &number))
    return Value(number);
  return GetArgument(arguments, 1, "default", 0.0);
}

Result Abs(Interpreter& interpreter, const Arguments& arguments) {
  const Value& value = arguments.positional[0];
  if (value.is_float()) return Value(std::abs(value.number()));
  if (!value.is_integer() || value.integer() == INT64_MIN)
    return interpreter.Error("abs of what is no number");
  return Value(std::abs(value.integer()));
}

Result Round(Interpreter& interpreter, const Arguments& arguments) {
  const Value& value = arguments.positional[0];
  if (!value.is_number())
    return interpreter.Error("round of what is no number");
  WEFT_ASSIGN_OR_RETURN(
      const int64_t digits,
      GetInteger(interpreter, arguments, 1, "precision", int64_t{0}));
  const std::string how =
      GetArgument(arguments, 2, "method", "common").ToString();
  const double scale = std::pow(
      10, static_cast<double>(std::clamp(digits, int64_t{-300}, int64_t{300})));
  const double scaled = value.number() * scale;
  if (how == "ceil") return Value(std::ceil(scaled) / scale);
  if (how == "floor") return Value(std::floor(scaled) / scale);
  // Python rounds halves to even.
  return Value(std::nearbyint(scaled) / scale);
}

// Python's "%" formatting with s, d, i, f and the like.
// SNPrintF writes into what is there: StrAppendFormat ends the process where
// memory does.
template <class Spec, class T>
void AppendFormat(std::string& out, const Spec& spec, const T& value) {
  const size_t at = out.size();
  const int size = absl::SNPrintF(nullptr, 0, spec, value);
  out.resize(at + static_cast<size_t>(size) + 1);
  absl::SNPrintF(&out[at], out.size() - at, spec, value);
  out.pop_back();  // the zero at the end
}

Result Format(Interpreter& interpreter, const Arguments& arguments) {
  const std::string format = arguments.positional[0].ToString();
  std::string out;
  size_t next = 1;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    const size_t end = format.find_first_not_of("0123456789.+- #", i + 1);
    if (end == std::string::npos || end - i > 8)
      return interpreter.Error("an incomplete format");
    if (format[end] == '%') {
      out += '%';
    } else {
      if (next >= arguments.positional.size())
        return interpreter.Error("too few values for the format");
      const Value& value = arguments.positional[next++];
      const std::string flags = format.substr(i, end - i);
      int width = 0;
      const std::string digits = absl::StrReplaceAll(flags, {{"%", ""}});
      if (absl::SimpleAtoi(digits, &width) && std::abs(width) > 1000)
        return interpreter.Error("a width above 1000");
      const char kind = format[end];
      if (kind == 's' || kind == 'r') {
        const std::string text = kind == 's' ? value.ToString() : value.Repr();
        const auto spec = absl::ParsedFormat<'s'>::New(flags + "s");
        if (spec == nullptr) return interpreter.Error("an unknown format");
        AppendFormat(out, *spec, text);
      } else if (std::string("di").find(kind) != std::string::npos &&
                 value.is_number()) {
        const auto spec = absl::ParsedFormat<'d'>::New(flags + "d");
        if (spec == nullptr) return interpreter.Error("an unknown format");
        AppendFormat(out, *spec,
                     value.is_integer() ? value.integer()
                                        : static_cast<int64_t>(value.number()));
      } else if (kind == 'f' && value.is_number()) {
        const auto spec = absl::ParsedFormat<'f'>::New(flags + "f");
        if (spec == nullptr) return interpreter.Error("an unknown format");
        AppendFormat(out, *spec, value.number());
      } else {
        return interpreter.Error("an unknown format");
      }
    }
    i = end;
  }
  return interpreter.MakeText(std::move(out));
}

Result Attr(Interpreter& interpreter, const Arguments& arguments) {
  const Value& object = arguments.positional[0];
  WEFT_ASSIGN_OR_RETURN(const std::string name,
                        GetText(interpreter, arguments, 1, "name"));
  // Not the items of dicts, only what they are.
  if (object.is_dict() && !object.dict()->is_namespace)
    return FindMethod(object, name);
  return interpreter.Attribute(object, name);
}

Result WordCount(Interpreter&, const Arguments& arguments) {
  int64_t words = 0;
  bool inside = false;
  const std::string text = arguments.positional[0].ToString();
  for (const absl::string_view character : Characters(text)) {
    const bool letter = !IsSpace(character);
    words += letter && !inside ? 1 : 0;
    inside = letter;
  }
  return Value(words);
}

Result Truncate(Interpreter& interpreter, const Arguments& arguments) {
  const std::string text = arguments.positional[0].ToString();
  WEFT_ASSIGN_OR_RETURN(
      const int64_t length,
      GetInteger(interpreter, arguments, 1, "length", int64_t{255}));
  const bool kill = GetArgument(arguments, 2, "killwords", false).Truth();
  const std::string end = GetArgument(arguments, 3, "end", "...").ToString();
  WEFT_ASSIGN_OR_RETURN(
      const int64_t leeway,
      GetInteger(interpreter, arguments, 4, "leeway", int64_t{5}));
  const std::vector<absl::string_view> characters = Characters(text);
  const auto size = static_cast<int64_t>(characters.size());
  if (leeway < 0 || length < 0 || length > size || size - length <= leeway)
    return Value(text);
  const auto room = length - static_cast<int64_t>(CountCharacters(end));
  std::string out;
  for (int64_t i = 0; i < room; ++i)
    absl::StrAppend(&out, characters[static_cast<size_t>(i)]);
  if (!kill) {
    const size_t space = out.rfind(' ');
    if (space != std::string::npos) out.resize(space);
  }
  return interpreter.MakeText(absl::StrCat(out, end));
}

Result UrlEncode(Interpreter& interpreter, const Arguments& arguments) {
  std::string out;
  for (const char c : arguments.positional[0].ToString()) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                       absl::string_view("_.-~/").find(c) != std::string::npos;
    if (plain)
      out += c;
    else
      absl::StrAppend(
          &out, "%",
          absl::AsciiStrToUpper(absl::StrCat(absl::Hex(c, absl::kZeroPad2))));
  }
  return interpreter.MakeText(std::move(out));
}

constexpr struct {
  const char* name;
  Builtin filter;
} kFilters[] = {
    {"abs", Abs},
    {"attr", Attr},
    {"capitalize", MapText<Capitalize>},
    {"count", Length},
    {"d", Default},
    {"default", Default},
    {"e", MapText<EscapeHtml>},
    {"escape", MapText<EscapeHtml>},
    {"float", Float},
    {"forceescape", MapText<EscapeHtml>},
    {"format", Format},
    {"indent", Indent},
    {"int", Int},
    {"length", Length},
    {"lower", MapText<ToLower>},
    {"replace", ReplaceFilter},
    {"round", Round},
    {"safe", MapText<Same>},
    {"string", MapText<Same>},
    {"title", MapText<TitleCase>},
    {"tojson", ToJsonFilter},
    {"trim", Trim},
    {"truncate", Truncate},
    {"upper", MapText<ToUpper>},
    {"urlencode", UrlEncode},
    {"wordcount", WordCount},
};

}  // namespace

Builtin FindFilter(absl::string_view name) {
  for (const auto& [known, filter] : kFilters)
    if (name == known) return filter;
  return FindListFilter(name);
}

}  // namespace weft::inline v0::jinja
