// Strings, numbers and arrays.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/status_macros.h"
#include "models/grammar/schema_converter.h"
#include "models/grammar/schema_pattern.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kMaxCount = 100'000;  // as repetitions of a grammar

}  // namespace

absl::StatusOr<int64_t> SchemaConverter::Count(const JsonValue& schema,
                                               const char* keyword,
                                               int64_t otherwise,
                                               const std::string& where) {
  const JsonValue* value = schema.Find(keyword);
  if (value == nullptr) return otherwise;
  const double count = value->is_number() ? value->number() : -1;
  if (count < 0 || count > kMaxCount || count != std::floor(count))
    return Bad(where,
               absl::StrCat(keyword, " is ", QuoteInput(Compact(*value)),
                            "; expected a number from 0 to ", kMaxCount));
  return static_cast<int64_t>(count);
}

absl::StatusOr<std::string> SchemaConverter::VisitString(
    const JsonValue& schema, const std::string& where) {
  const JsonValue* pattern = schema.Find("pattern");
  const JsonValue* format = schema.Find("format");
  WEFT_ASSIGN_OR_RETURN(const int64_t least,
                        Count(schema, "minLength", 0, where));
  WEFT_ASSIGN_OR_RETURN(const int64_t most,
                        Count(schema, "maxLength", -1, where));
  const bool sized = least > 0 || most >= 0;
  if ((pattern != nullptr) + (format != nullptr) + sized > 1)
    return Unsupported(where,
                       "of pattern, format and minLength or maxLength only one "
                       "is supported at a time");
  if (pattern != nullptr) {
    if (!pattern->is_string()) return Bad(where, "pattern is no string");
    auto body = PatternToGbnf(pattern->string(), "char");
    if (!body.ok()) return Bad(where, body.status().message());
    return body;
  }
  if (format != nullptr) {
    for (const char* known : {"date", "time", "date-time", "uuid"})
      if (*format == known) return absl::StrCat(R"("\"" )", known, R"( "\"")");
    return Unsupported(where,
                       absl::StrCat("the format ", QuoteInput(Compact(*format)),
                                    " is not supported; date, time, date-time "
                                    "and uuid are, or a pattern"));
  }
  if (!sized) return "string";
  if (most >= 0 && most < least)
    return Nothing(where, "maxLength is below minLength");
  return absl::StrCat(R"("\"" char{)", least, ",",
                      most < 0 ? "" : absl::StrCat(most), R"(} "\"")");
}

absl::StatusOr<std::string> SchemaConverter::VisitInteger(
    const JsonValue& schema, const std::string& where) {
  std::optional<int64_t> low, high;
  constexpr double kMost = 1e18;
  constexpr struct {
    const char* keyword;
    bool is_low, excludes;
  } kBounds[] = {{"minimum", true, false},
                 {"exclusiveMinimum", true, true},
                 {"maximum", false, false},
                 {"exclusiveMaximum", false, true}};
  for (const auto& [keyword, is_low, excludes] : kBounds) {
    const JsonValue* value = schema.Find(keyword);
    if (value == nullptr) continue;
    const double bound = value->is_number() ? value->number() : NAN;
    if (!(std::abs(bound) < kMost))
      return Bad(where,
                 absl::StrCat(keyword, " is ", QuoteInput(Compact(*value)),
                              "; expected a number of at most 17 digits"));
    int64_t whole = value->is_integer()
                        ? value->integer()
                        : static_cast<int64_t>(is_low ? std::ceil(bound)
                                                      : std::floor(bound));
    if (excludes && static_cast<double>(whole) == bound)
      whole += is_low ? 1 : -1;
    if (is_low && (!low.has_value() || whole > *low)) low = whole;
    if (!is_low && (!high.has_value() || whole < *high)) high = whole;
  }
  if (low.has_value() && high.has_value() && *low > *high)
    return Nothing(where, "no integer lies between the bounds");
  if (!low.has_value() && !high.has_value()) return "integer";
  return IntegersToGbnf(low, high);
}

absl::StatusOr<std::string> SchemaConverter::VisitArray(
    const JsonValue& schema, const std::string& where,
    const std::string& name) {
  WEFT_ASSIGN_OR_RETURN(const int64_t least,
                        Count(schema, "minItems", 0, where));
  WEFT_ASSIGN_OR_RETURN(const int64_t most,
                        Count(schema, "maxItems", -1, where));
  const JsonValue* items = schema.Find("items");
  const JsonValue* prefix = schema.Find("prefixItems");
  // What prefixItems is called in drafts up to 2019-09.
  if (prefix == nullptr && items != nullptr && items->is_list())
    std::swap(prefix, items);
  if (prefix != nullptr && !prefix->is_list())
    return Bad(where, "prefixItems is no list");
  std::vector<std::string> first;
  for (size_t i = 0; prefix != nullptr && i < prefix->items().size(); ++i) {
    WEFT_ASSIGN_OR_RETURN(
        std::string item,
        Item(prefix->items()[i], absl::StrCat(where, "/prefixItems/", i),
             absl::StrCat(name, "-item-", i)));
    first.push_back(std::move(item));
  }
  const auto n = static_cast<int64_t>(first.size());
  if (most >= 0 && most < std::max(least, n))
    return Nothing(where, "maxItems is below minItems or the prefixItems");
  const bool no_more = items != nullptr && items->is_false();
  const bool more =
      !no_more && (prefix == nullptr || items != nullptr || least > n);
  if (!more && least > n) return Nothing(where, "minItems without items");
  const std::string joined = absl::StrJoin(first, R"( space "," space )");
  if (!more)
    return absl::StrCat(R"("[" space )", joined, n > 0 ? " space " : "",
                        R"("]")");
  std::string item = "value";
  if (items != nullptr) {
    WEFT_ASSIGN_OR_RETURN(item, Item(*items, absl::StrCat(where, "/items"),
                                     absl::StrCat(name, "-item")));
  }
  // The first item has no comma before it.
  const bool starts = n == 0;
  const int64_t rest_least = std::max<int64_t>(0, least - n - (starts ? 1 : 0));
  const std::string rest_most =
      most < 0
          ? ""
          : absl::StrCat(std::max<int64_t>(0, most - n - (starts ? 1 : 0)));
  std::string body =
      absl::StrCat(starts ? item : joined, R"( (space "," space )", item, "){",
                   rest_least, ",", rest_most, "}");
  if (starts && most == 0) body.clear();
  if (starts && least == 0 && most != 0) body = absl::StrCat("(", body, ")?");
  return absl::StrCat(R"("[" space )", body, R"( space "]")");
}

}  // namespace weft::inline v0
