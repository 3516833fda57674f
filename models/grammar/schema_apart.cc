#include "models/grammar/schema_apart.h"

#include <algorithm>
#include <limits>

#include "absl/algorithm/container.h"
#include "graph/hash.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

// Of 632 alternatives each two, in well under a second.
constexpr int64_t kMaxComparisons = 200'000;
// Members within members; deeper ones count as the same.
constexpr int kMaxDepth = 8;

using Names = HashSet<std::string>;

// The values that const or enum leave; nullopt without either.
std::optional<absl::Span<const JsonValue>> ValuesOf(const JsonValue& schema) {
  if (const JsonValue* value = schema.Find("const"))
    return absl::MakeConstSpan(value, 1);
  const JsonValue* list = schema.Find("enum");
  if (list == nullptr || !list->is_list()) return std::nullopt;
  return list->items();
}

// As the converter takes them; integers count as numbers. Empty for any.
Names TypesOf(const JsonValue& schema) {
  Names types;
  const auto add = [&types](const JsonValue& type) {
    if (!type.is_string()) return;
    const auto& name = type.string();
    types.insert(name == "integer" ? "number" : name);
  };
  if (const JsonValue* type = schema.Find("type")) {
    for (const JsonValue& one : type->items_or_self()) add(one);
    return types;
  }
  for (const auto& [keyword, value] : schema.members()) {
    const SchemaTopic topic = TopicOf(keyword);
    if (topic == SchemaTopic::kNumber) types.insert("number");
    if (topic == SchemaTopic::kString) types.insert("string");
    if (topic == SchemaTopic::kArray) types.insert("array");
    if (topic == SchemaTopic::kObject) types.insert("object");
  }
  return types;
}

bool HaveCommon(const Names& a, const Names& b) {
  return a.empty() || b.empty() ||
         std::any_of(a.begin(), a.end(), [&b](const std::string& name) {
           return b.contains(name);
         });
}

struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

Range RangeOf(const JsonValue& schema) {
  Range range;
  const auto bound = [&](const char* keyword, double more, double otherwise) {
    const JsonValue* value = schema.Find(keyword);
    return value != nullptr && value->is_number() ? value->number() + more
                                                  : otherwise;
  };
  // Bounds are of integers alone, see VisitType.
  range.low = std::max(bound("minimum", 0, range.low),
                       bound("exclusiveMinimum", 1, range.low));
  range.high = std::min(bound("maximum", 0, range.high),
                        bound("exclusiveMaximum", -1, range.high));
  return range;
}

bool Excludes(const JsonValue& schema, const JsonValue& value) {
  if (const auto values = ValuesOf(schema))
    if (!absl::c_linear_search(*values, value)) return true;
  if (!HaveCommon(TypesOf(schema), {std::string(value.type_name())}))
    return true;
  if (!value.is_number()) return false;
  const Range range = RangeOf(schema);
  const double number = value.number();
  return number < range.low || number > range.high;
}

// The schema of a member of objects; null when there is no such member.
const JsonValue* MemberSchema(const JsonValue& schema,
                              const std::string& name) {
  static const JsonValue* const kAnything = new JsonValue(true);
  if (const JsonValue* properties = schema.Find("properties"))
    if (const JsonValue* found = properties->Find(name)) return found;
  const JsonValue* required = schema.Find("required");
  if (const JsonValue* others = schema.Find("additionalProperties"))
    return others->is_false() ? nullptr : others;
  const bool is_required =
      required != nullptr && required->is_list() &&
      absl::c_linear_search(required->items(), JsonValue(name));
  // Without a word about its members an object has any.
  const bool open = required == nullptr && !schema.Find("properties");
  return is_required || open ? kAnything : nullptr;
}

class Comparer {
 public:
  explicit Comparer(SchemaMerger& merger, const std::string& where)
      : merger_(merger), where_(where) {}

  absl::StatusOr<bool> AreApart(const JsonValue& given_a,
                                const JsonValue& given_b, int depth) {
    if (++comparisons_ > kMaxComparisons)
      return SchemaError(absl::StatusCode::kResourceExhausted, "SCHEMA-4",
                         where_, "oneOf has too much to compare");
    if (given_a.is_false() || given_b.is_false()) return true;
    if (depth > kMaxDepth || !given_a.is_object() || !given_b.is_object())
      return false;
    JsonValue opened_a, opened_b;
    WEFT_ASSIGN_OR_RETURN(const JsonValue* a, Open(given_a, opened_a));
    WEFT_ASSIGN_OR_RETURN(const JsonValue* b, Open(given_b, opened_b));
    if (!HaveCommon(TypesOf(*a), TypesOf(*b))) return true;
    for (const auto& [one, other] : {std::pair(a, b), std::pair(b, a)}) {
      WEFT_ASSIGN_OR_RETURN(const bool apart, Leaves(*one, *other, depth));
      if (apart) return true;
    }
    const Range x = RangeOf(*a), y = RangeOf(*b);
    return x.high < y.low || y.high < x.low;
  }

 private:
  // Without $ref and allOf: as it is, or in `storage`.
  absl::StatusOr<const JsonValue*> Open(const JsonValue& schema,
                                        JsonValue& storage) {
    if (!schema.Find("$ref") && !schema.Find("allOf")) return &schema;
    WEFT_ASSIGN_OR_RETURN(storage,
                          merger_.Flatten(schema, where_, /*depth=*/1));
    return &storage;
  }

  // Whether what `one` allows, or requires of objects, is nothing of `other`.
  absl::StatusOr<bool> Leaves(const JsonValue& one, const JsonValue& other,
                              int depth) {
    if (const auto values = ValuesOf(one))
      return std::all_of(
          values->begin(), values->end(),
          [&other](const JsonValue& v) { return Excludes(other, v); });
    for (const char* keyword : {"anyOf", "oneOf"})
      if (const JsonValue* choices = one.Find(keyword);
          choices != nullptr && choices->is_list()) {
        WEFT_ASSIGN_OR_RETURN(const bool all, AllApart(*choices, other, depth));
        if (all) return true;
      }
    const Names object = {"object"};
    const JsonValue* required = one.Find("required");
    if (required == nullptr || !required->is_list() || TypesOf(one) != object ||
        TypesOf(other) != object)
      return false;
    for (const JsonValue& name : required->items()) {
      if (!name.is_string()) continue;
      const JsonValue* ours = MemberSchema(one, name.string());
      const JsonValue* theirs = MemberSchema(other, name.string());
      if (ours == nullptr || theirs == nullptr) return true;
      WEFT_ASSIGN_OR_RETURN(const bool apart,
                            AreApart(*ours, *theirs, depth + 1));
      if (apart) return true;
    }
    return false;
  }

  absl::StatusOr<bool> AllApart(const JsonValue& choices,
                                const JsonValue& other, int depth) {
    for (const JsonValue& choice : choices.items()) {
      WEFT_ASSIGN_OR_RETURN(const bool apart,
                            AreApart(choice, other, depth + 1));
      if (!apart) return false;
    }
    return true;
  }

  SchemaMerger& merger_;
  const std::string& where_;
  int64_t comparisons_ = 0;
};

}  // namespace

absl::StatusOr<std::optional<std::pair<size_t, size_t>>> FindOverlap(
    SchemaMerger& merger, const std::vector<JsonValue>& choices,
    const std::string& where) {
  Comparer comparer(merger, where);
  for (size_t j = 1; j < choices.size(); ++j)
    for (size_t i = 0; i < j; ++i) {
      WEFT_ASSIGN_OR_RETURN(const bool apart,
                            comparer.AreApart(choices[i], choices[j], 0));
      if (!apart) return std::pair(i, j);
    }
  return std::nullopt;
}

}  // namespace weft::inline v0
