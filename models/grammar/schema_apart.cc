#include "models/grammar/schema_apart.h"

#include <algorithm>
#include <limits>

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
std::optional<std::vector<SchemaJson>> ValuesOf(const SchemaJson& schema) {
  if (const SchemaJson* value = Member(schema, "const"))
    return std::vector<SchemaJson>{*value};
  const SchemaJson* list = Member(schema, "enum");
  if (list == nullptr || !list->is_array()) return std::nullopt;
  return std::vector<SchemaJson>(list->begin(), list->end());
}

// As the converter takes them; integers count as numbers. Empty for any.
Names TypesOf(const SchemaJson& schema) {
  Names types;
  const auto add = [&types](const SchemaJson& type) {
    if (!type.is_string()) return;
    const auto& name = type.get_ref<const std::string&>();
    types.insert(name == "integer" ? "number" : name);
  };
  if (const SchemaJson* type = Member(schema, "type")) {
    for (const SchemaJson& one :
         type->is_array() ? *type : SchemaJson::array({*type}))
      add(one);
    return types;
  }
  for (const auto& [keyword, value] : schema.items()) {
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

Range RangeOf(const SchemaJson& schema) {
  Range range;
  const auto bound = [&](const char* keyword, double more, double otherwise) {
    const SchemaJson* value = Member(schema, keyword);
    return value != nullptr && value->is_number() ? value->get<double>() + more
                                                  : otherwise;
  };
  // Bounds are of integers alone, see VisitType.
  range.low = std::max(bound("minimum", 0, range.low),
                       bound("exclusiveMinimum", 1, range.low));
  range.high = std::min(bound("maximum", 0, range.high),
                        bound("exclusiveMaximum", -1, range.high));
  return range;
}

bool Excludes(const SchemaJson& schema, const SchemaJson& value) {
  if (const auto values = ValuesOf(schema))
    if (std::find(values->begin(), values->end(), value) == values->end())
      return true;
  if (!HaveCommon(TypesOf(schema), {value.type_name()})) return true;
  if (!value.is_number()) return false;
  const Range range = RangeOf(schema);
  const double number = value.get<double>();
  return number < range.low || number > range.high;
}

// The schema of a member of objects; null when there is no such member.
const SchemaJson* MemberSchema(const SchemaJson& schema,
                               const std::string& name) {
  static const SchemaJson* const kAnything = new SchemaJson(true);
  if (const SchemaJson* properties = Member(schema, "properties"))
    if (const SchemaJson* found = Member(*properties, name)) return found;
  const SchemaJson* required = Member(schema, "required");
  if (const SchemaJson* others = Member(schema, "additionalProperties"))
    return *others == false ? nullptr : others;
  const bool is_required =
      required != nullptr && required->is_array() &&
      std::find(required->begin(), required->end(), name) != required->end();
  // Without a word about its members an object has any.
  const bool open = required == nullptr && !Member(schema, "properties");
  return is_required || open ? kAnything : nullptr;
}

class Comparer {
 public:
  explicit Comparer(SchemaMerger& merger, const std::string& where)
      : merger_(merger), where_(where) {}

  absl::StatusOr<bool> AreApart(const SchemaJson& given_a,
                                const SchemaJson& given_b, int depth) {
    if (++comparisons_ > kMaxComparisons)
      return SchemaError(absl::StatusCode::kResourceExhausted, "SCHEMA-4",
                         where_, "oneOf has too much to compare");
    if (given_a == false || given_b == false) return true;
    if (depth > kMaxDepth || !given_a.is_object() || !given_b.is_object())
      return false;
    SchemaJson opened_a, opened_b;
    WEFT_ASSIGN_OR_RETURN(const SchemaJson* a, Open(given_a, opened_a));
    WEFT_ASSIGN_OR_RETURN(const SchemaJson* b, Open(given_b, opened_b));
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
  absl::StatusOr<const SchemaJson*> Open(const SchemaJson& schema,
                                         SchemaJson& storage) {
    if (!Member(schema, "$ref") && !Member(schema, "allOf")) return &schema;
    WEFT_ASSIGN_OR_RETURN(storage,
                          merger_.Flatten(schema, where_, /*depth=*/1));
    return &storage;
  }

  // Whether what `one` allows, or requires of objects, is nothing of `other`.
  absl::StatusOr<bool> Leaves(const SchemaJson& one, const SchemaJson& other,
                              int depth) {
    if (const auto values = ValuesOf(one))
      return std::all_of(
          values->begin(), values->end(),
          [&other](const SchemaJson& v) { return Excludes(other, v); });
    for (const char* keyword : {"anyOf", "oneOf"})
      if (const SchemaJson* choices = Member(one, keyword);
          choices != nullptr && choices->is_array()) {
        WEFT_ASSIGN_OR_RETURN(const bool all, AllApart(*choices, other, depth));
        if (all) return true;
      }
    const Names object = {"object"};
    const SchemaJson* required = Member(one, "required");
    if (required == nullptr || !required->is_array() ||
        TypesOf(one) != object || TypesOf(other) != object)
      return false;
    for (const SchemaJson& name : *required) {
      if (!name.is_string()) continue;
      const SchemaJson* ours = MemberSchema(one, name);
      const SchemaJson* theirs = MemberSchema(other, name);
      if (ours == nullptr || theirs == nullptr) return true;
      WEFT_ASSIGN_OR_RETURN(const bool apart,
                            AreApart(*ours, *theirs, depth + 1));
      if (apart) return true;
    }
    return false;
  }

  absl::StatusOr<bool> AllApart(const SchemaJson& choices,
                                const SchemaJson& other, int depth) {
    for (const SchemaJson& choice : choices) {
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
    SchemaMerger& merger, const std::vector<SchemaJson>& choices,
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
