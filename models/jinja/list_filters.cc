#include "models/jinja/list_filters.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "graph/status_macros.h"
#include "models/jinja/arguments.h"
#include "models/jinja/text.h"

namespace weft::inline v0::jinja {
namespace {

using Result = absl::StatusOr<Value>;

absl::StatusOr<std::vector<Value>> ItemsOf(Interpreter& interpreter,
                                           const Arguments& arguments) {
  return interpreter.Iterate(arguments.positional[0]);
}

// "a.b.0" of a value.
Result Dotted(Interpreter& interpreter, Value value, const Value& path) {
  if (path.is_integer()) return interpreter.Item(value, path);
  for (const absl::string_view part : absl::StrSplit(path.ToString(), '.')) {
    int64_t index = 0;
    const Value key =
        absl::SimpleAtoi(part, &index) ? Value(index) : Value(part);
    WEFT_ASSIGN_OR_RETURN(value, interpreter.Item(value, key));
  }
  return value;
}

Result First(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const auto items, ItemsOf(interpreter, arguments));
  return items.empty() ? Value::MakeUndefined("the first item") : items[0];
}

Result Last(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const auto items, ItemsOf(interpreter, arguments));
  return items.empty() ? Value::MakeUndefined("the last item") : items.back();
}

Result ListOf(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(auto items, ItemsOf(interpreter, arguments));
  return interpreter.MakeList(std::move(items));
}

Result Reverse(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(auto items, ItemsOf(interpreter, arguments));
  std::reverse(items.begin(), items.end());
  if (!arguments.positional[0].is_string())
    return interpreter.MakeList(std::move(items));
  std::string text;
  for (const Value& item : items) text += item.string();
  return interpreter.MakeText(std::move(text));
}

Result Items(Interpreter& interpreter, const Arguments& arguments) {
  const Value& object = arguments.positional[0];
  if (object.is_undefined()) return Value::MakeList({});
  if (!object.is_dict())
    return interpreter.Error("items of something that is no dict");
  std::vector<Value> items;
  for (const auto& [key, value] : object.dict()->entries)
    items.push_back(Value::MakeList({key, value}, true));
  return interpreter.MakeList(std::move(items));
}

Result Join(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const auto items, ItemsOf(interpreter, arguments));
  const std::string separator = GetArgument(arguments, 1, "d", "").ToString();
  const Value attribute = GetArgument(arguments, 2, "attribute", Value::None());
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    Value item = items[i];
    if (!attribute.is_none()) {
      WEFT_ASSIGN_OR_RETURN(item, Dotted(interpreter, item, attribute));
    }
    const std::string text = item.ToString();
    WEFT_RETURN_IF_ERROR(interpreter.Charge(
        0, static_cast<int64_t>(separator.size() + text.size())));
    absl::StrAppend(&out, i > 0 ? separator : "", text);
  }
  return Value(std::move(out));
}

// The items that pass (or not) a test, which the argument at `first` names;
// without one, that are true.
Result Choose(Interpreter& interpreter, const Arguments& arguments,
              size_t first, const Value& attribute, bool keeps) {
  WEFT_ASSIGN_OR_RETURN(const auto items, ItemsOf(interpreter, arguments));
  Arguments test;
  test.positional.emplace_back();
  for (size_t i = first + 1; i < arguments.positional.size(); ++i)
    test.positional.push_back(arguments.positional[i]);
  const bool named = first < arguments.positional.size();
  std::vector<Value> kept;
  for (const Value& item : items) {
    Value value = item;
    if (!attribute.is_none()) {
      WEFT_ASSIGN_OR_RETURN(value, Dotted(interpreter, item, attribute));
    }
    bool passes = value.Truth();
    if (named) {
      test.positional[0] = value;
      WEFT_ASSIGN_OR_RETURN(
          passes,
          interpreter.CallTest(arguments.positional[first].ToString(), test));
    }
    if (passes == keeps) kept.push_back(item);
  }
  return interpreter.MakeList(std::move(kept));
}

template <bool keeps>
Result Select(Interpreter& interpreter, const Arguments& arguments) {
  return Choose(interpreter, arguments, 1, Value::None(), keeps);
}

template <bool keeps>
Result SelectAttribute(Interpreter& interpreter, const Arguments& arguments) {
  const Value attribute = GetArgument(arguments, 1, "");
  if (attribute.is_undefined())
    return interpreter.Error("the name of an attribute is missing");
  return Choose(interpreter, arguments, 2, attribute, keeps);
}

Result Map(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const auto items, ItemsOf(interpreter, arguments));
  const Value attribute = GetArgument(arguments, SIZE_MAX, "attribute");
  const Value fallback = GetArgument(arguments, SIZE_MAX, "default");
  std::vector<Value> mapped;
  for (const Value& item : items) {
    Value value;
    if (!attribute.is_undefined()) {
      WEFT_ASSIGN_OR_RETURN(value, Dotted(interpreter, item, attribute));
      if (value.is_undefined()) value = fallback;
    } else {
      if (arguments.positional.size() < 2)
        return interpreter.Error("the name of a filter is missing");
      Arguments filter;
      filter.positional.push_back(item);
      filter.positional.insert(filter.positional.end(),
                               arguments.positional.begin() + 2,
                               arguments.positional.end());
      filter.named = arguments.named;
      WEFT_ASSIGN_OR_RETURN(
          value,
          interpreter.CallFilter(arguments.positional[1].ToString(), filter));
    }
    mapped.push_back(std::move(value));
  }
  return interpreter.MakeList(std::move(mapped));
}

// What items are ordered by.
Result SortKey(Interpreter& interpreter, const Value& item,
               const Value& attribute, bool case_sensitive) {
  Value key = item;
  if (!attribute.is_none()) {
    WEFT_ASSIGN_OR_RETURN(key, Dotted(interpreter, item, attribute));
  }
  if (key.is_string() && !case_sensitive) return Value(ToLower(key.string()));
  return key;
}

using Keyed = std::pair<Value, Value>;  // a key and its item

absl::StatusOr<std::vector<Keyed>> WithKeys(Interpreter& interpreter,
                                            std::vector<Value> items,
                                            const Value& attribute,
                                            bool case_sensitive) {
  std::vector<Keyed> keyed;
  for (Value& item : items) {
    WEFT_ASSIGN_OR_RETURN(
        Value key, SortKey(interpreter, item, attribute, case_sensitive));
    if (!keyed.empty() && !Less(keyed[0].first, key))
      return interpreter.Error("values that have no order");
    keyed.emplace_back(std::move(key), std::move(item));
  }
  const auto count = static_cast<int64_t>(keyed.size());
  WEFT_RETURN_IF_ERROR(interpreter.Charge(8 * count));
  return keyed;
}

void SortKeyed(std::vector<Keyed>& keyed, bool reverse) {
  std::stable_sort(keyed.begin(), keyed.end(),
                   [reverse](const Keyed& a, const Keyed& b) {
                     return reverse ? Less(b.first, a.first).value_or(false)
                                    : Less(a.first, b.first).value_or(false);
                   });
}

Result Sort(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(auto items, ItemsOf(interpreter, arguments));
  const bool reverse = GetArgument(arguments, 1, "reverse", false).Truth();
  WEFT_ASSIGN_OR_RETURN(
      auto keyed,
      WithKeys(interpreter, std::move(items),
               GetArgument(arguments, 3, "attribute", Value::None()),
               GetArgument(arguments, 2, "case_sensitive", false).Truth()));
  SortKeyed(keyed, reverse);
  std::vector<Value> sorted;
  for (Keyed& one : keyed) sorted.push_back(std::move(one.second));
  return interpreter.MakeList(std::move(sorted));
}

Result DictSort(Interpreter& interpreter, const Arguments& arguments) {
  Arguments only;
  only.positional.push_back(arguments.positional[0]);
  WEFT_ASSIGN_OR_RETURN(const Value items, Items(interpreter, only));
  const bool by_value =
      GetArgument(arguments, 2, "by", "key").ToString() == "value";
  WEFT_ASSIGN_OR_RETURN(
      auto keyed,
      WithKeys(interpreter, items.list()->items,
               Value(by_value ? int64_t{1} : int64_t{0}),
               GetArgument(arguments, 1, "case_sensitive", false).Truth()));
  SortKeyed(keyed, GetArgument(arguments, 3, "reverse", false).Truth());
  std::vector<Value> sorted;
  for (Keyed& one : keyed) sorted.push_back(std::move(one.second));
  return interpreter.MakeList(std::move(sorted));
}

Result Unique(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(auto items, ItemsOf(interpreter, arguments));
  const bool cased = GetArgument(arguments, 1, "case_sensitive", false).Truth();
  const Value attribute = GetArgument(arguments, 2, "attribute", Value::None());
  Dict seen;
  std::vector<Value> kept;
  for (Value& item : items) {
    WEFT_ASSIGN_OR_RETURN(const Value key,
                          SortKey(interpreter, item, attribute, cased));
    if (seen.Find(key) != nullptr) continue;
    if (!seen.Set(key, true))
      return interpreter.Error("unique of values that have no hash");
    kept.push_back(std::move(item));
  }
  return interpreter.MakeList(std::move(kept));
}

Result GroupBy(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(auto items, ItemsOf(interpreter, arguments));
  const Value attribute = GetArgument(arguments, 1, "attribute");
  WEFT_ASSIGN_OR_RETURN(
      auto keyed, WithKeys(interpreter, std::move(items), attribute, false));
  SortKeyed(keyed, false);
  std::vector<Value> groups;
  for (size_t begin = 0; begin < keyed.size();) {
    size_t end = begin;
    std::vector<Value> group;
    for (; end < keyed.size() && keyed[end].first == keyed[begin].first; ++end)
      group.push_back(keyed[end].second);
    WEFT_ASSIGN_OR_RETURN(Value key, Dotted(interpreter, group[0], attribute));
    groups.push_back(Value::MakeList(
        {std::move(key), Value::MakeList(std::move(group))}, true));
    begin = end;
  }
  return interpreter.MakeList(std::move(groups));
}

template <bool largest>
Result Extreme(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(auto items, ItemsOf(interpreter, arguments));
  if (items.empty()) return Value::MakeUndefined("the extreme of nothing");
  WEFT_ASSIGN_OR_RETURN(
      auto keyed,
      WithKeys(interpreter, std::move(items),
               GetArgument(arguments, 2, "attribute", Value::None()),
               GetArgument(arguments, 1, "case_sensitive", false).Truth()));
  SortKeyed(keyed, largest);
  return keyed[0].second;
}

Result Sum(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const auto items, ItemsOf(interpreter, arguments));
  const Value attribute = GetArgument(arguments, 1, "attribute", Value::None());
  double sum = GetArgument(arguments, 2, "start", int64_t{0}).number();
  bool whole = true;
  for (const Value& item : items) {
    Value value = item;
    if (!attribute.is_none()) {
      WEFT_ASSIGN_OR_RETURN(value, Dotted(interpreter, item, attribute));
    }
    if (!value.is_number()) return interpreter.Error("a sum of no numbers");
    whole = whole && value.is_integer();
    sum += value.number();
  }
  if (whole && sum > -1e15 && sum < 1e15)
    return Value(static_cast<int64_t>(sum));
  return Value(sum);
}

Result Batch(Interpreter& interpreter, const Arguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(auto items, ItemsOf(interpreter, arguments));
  WEFT_ASSIGN_OR_RETURN(const int64_t size,
                        GetInteger(interpreter, arguments, 1, "linecount"));
  if (size < 1) return interpreter.Error("batches of less than 1");
  const Value fill = GetArgument(arguments, 2, "fill_with", Value::None());
  std::vector<Value> batches, batch;
  for (Value& item : items) {
    if (static_cast<int64_t>(batch.size()) == size)
      batches.push_back(Value::MakeList(std::exchange(batch, {})));
    batch.push_back(std::move(item));
  }
  if (!batch.empty()) {
    if (!fill.is_none()) {
      WEFT_RETURN_IF_ERROR(interpreter.Charge(size));
      batch.resize(static_cast<size_t>(size), fill);
    }
    batches.push_back(Value::MakeList(std::move(batch)));
  }
  return interpreter.MakeList(std::move(batches));
}

constexpr struct {
  const char* name;
  Builtin filter;
} kFilters[] = {
    {"first", First},
    {"last", Last},
    {"list", ListOf},
    {"reverse", Reverse},
    {"items", Items},
    {"join", Join},
    {"select", Select<true>},
    {"reject", Select<false>},
    {"selectattr", SelectAttribute<true>},
    {"rejectattr", SelectAttribute<false>},
    {"map", Map},
    {"sort", Sort},
    {"dictsort", DictSort},
    {"unique", Unique},
    {"groupby", GroupBy},
    {"min", Extreme<false>},
    {"max", Extreme<true>},
    {"sum", Sum},
    {"batch", Batch},
};

}  // namespace

Builtin FindListFilter(absl::string_view name) {
  for (const auto& [known, filter] : kFilters)
    if (name == known) return filter;
  return nullptr;
}

}  // namespace weft::inline v0::jinja
