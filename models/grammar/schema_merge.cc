#include "models/grammar/schema_merge.h"

#include <algorithm>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "graph/status_macros.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

// Schemas and keywords merged at most: $ref in allOf can double the work at
// each level.
constexpr int64_t kMaxSteps = 100'000;
constexpr int kMaxDepth = 100;

struct Topic {
  SchemaTopic topic;
  absl::string_view keywords;  // each with a space on both sides
};
constexpr Topic kTopics[] = {
    {SchemaTopic::kNote,
     " title description default examples example $schema $id $comment $anchor"
     " $vocabulary deprecated readOnly writeOnly $defs definitions id"
     " contentEncoding contentMediaType contentSchema discriminator xml"
     " externalDocs "},
    {SchemaTopic::kAny, " type enum const $ref allOf anyOf oneOf "},
    {SchemaTopic::kNumber,
     " minimum maximum exclusiveMinimum exclusiveMaximum "},
    {SchemaTopic::kString, " minLength maxLength pattern format "},
    {SchemaTopic::kArray, " items prefixItems minItems maxItems "},
    {SchemaTopic::kObject, " properties required additionalProperties "},
    {SchemaTopic::kUnsupported,
     " multipleOf uniqueItems contains minContains maxContains additionalItems"
     " unevaluatedItems patternProperties propertyNames minProperties"
     " maxProperties dependentRequired dependentSchemas dependencies"
     " unevaluatedProperties not if then else $dynamicRef $recursiveRef "},
};

std::vector<std::string> Types(const JsonValue& type) {
  std::vector<std::string> types;
  for (const JsonValue& one : type.items_or_self())
    if (one.is_string()) types.push_back(one.string());
  return types;
}

// "integer" is a part of "number".
JsonValue CommonTypes(const JsonValue& a, const JsonValue& b) {
  JsonValue::List common;
  const std::vector<std::string> others = Types(b);
  const auto has = [](const std::vector<std::string>& types, const char* type) {
    return std::find(types.begin(), types.end(), type) != types.end();
  };
  for (const std::string& type : Types(a)) {
    if (has(others, type.c_str()))
      common.push_back(type);
    else if ((type == "integer" && has(others, "number")) ||
             (type == "number" && has(others, "integer")))
      common.push_back("integer");
  }
  return common;
}

JsonValue CommonValues(const JsonValue& a, const JsonValue& b) {
  JsonValue::List common;
  for (const JsonValue& value : a.items())
    if (absl::c_linear_search(b.items(), value)) common.push_back(value);
  return common;
}

bool IsLess(const JsonValue& a, const JsonValue& b) {
  return a.is_integer() && b.is_integer() ? a.integer() < b.integer()
                                          : a.number() < b.number();
}

bool IsAnnotated(const JsonValue& schema) {
  for (const auto& [keyword, value] : schema.members())
    if (keyword != "$ref" && TopicOf(keyword) != SchemaTopic::kNote)
      return true;
  return false;
}

absl::Status TooMuch(const std::string& where) {
  return SchemaError(absl::StatusCode::kResourceExhausted, "SCHEMA-4", where,
                     "allOf and $ref multiply without end");
}

}  // namespace

SchemaTopic TopicOf(absl::string_view keyword) {
  // Extensions, such as x-order, are notes.
  if (absl::StartsWith(keyword, "x-")) return SchemaTopic::kNote;
  const std::string word = absl::StrCat(" ", keyword, " ");
  for (const Topic& topic : kTopics)
    if (absl::StrContains(topic.keywords, word)) return topic.topic;
  return SchemaTopic::kUnknown;
}

absl::StatusOr<const JsonValue*> FindSchemaRef(const JsonValue& root,
                                               absl::string_view ref,
                                               const std::string& where) {
  const auto error = [&](absl::string_view what) {
    return SchemaError(absl::StatusCode::kInvalidArgument, "SCHEMA-1", where,
                       absl::StrCat("$ref ", QuoteInput(ref), " ", what));
  };
  if (ref != "#" && !absl::StartsWith(ref, "#/"))
    return error("is not within the document; expected #/...");
  const JsonValue* at = &root;
  if (ref == "#") return at;
  for (const absl::string_view part : absl::StrSplit(ref.substr(2), '/')) {
    // RFC 6901: ~1 is /, ~0 is ~.
    const std::string name =
        absl::StrReplaceAll(part, {{"~1", "/"}, {"~0", "~"}});
    size_t index = 0;
    if (at->is_list() && absl::SimpleAtoi(name, &index) &&
        index < at->items().size())
      at = &at->items()[index];
    else
      at = at->Find(name);
    if (at == nullptr) return error("points to nothing");
  }
  return at;
}

JsonValue Both(const JsonValue& a, const JsonValue& b) {
  return JsonValue::Object{{"allOf", JsonValue::List{a, b}}};
}

absl::StatusOr<JsonValue> SchemaMerger::Flatten(const JsonValue& schema,
                                                const std::string& where,
                                                int depth) {
  if (++steps_ > kMaxSteps) return TooMuch(where);
  const JsonValue* all = schema.Find("allOf");
  const JsonValue* ref = schema.Find("$ref");
  const bool open_ref = ref != nullptr && (depth > 0 || IsAnnotated(schema));
  if (all == nullptr && !open_ref) return schema;
  if (depth > kMaxDepth)
    return SchemaError(absl::StatusCode::kInvalidArgument, "SCHEMA-1", where,
                       "allOf and $ref go round in a circle here");
  JsonValue flat = schema;
  flat.Erase("allOf");
  if (open_ref) {
    flat.Erase("$ref");
    if (!ref->is_string())
      return SchemaError(absl::StatusCode::kInvalidArgument, "SCHEMA-1", where,
                         "$ref is no string");
    WEFT_ASSIGN_OR_RETURN(const JsonValue* target,
                          FindSchemaRef(*root_, ref->string(), where));
    WEFT_ASSIGN_OR_RETURN(const JsonValue part,
                          Flatten(*target, where, depth + 1));
    WEFT_RETURN_IF_ERROR(Merge(part, where, flat));
  }
  if (all == nullptr) return flat;
  if (all->items().empty())
    return SchemaError(absl::StatusCode::kInvalidArgument, "SCHEMA-1", where,
                       "allOf is no list of schemas");
  for (size_t i = 0; i < all->items().size(); ++i) {
    const std::string at = absl::StrCat(where, "/allOf/", i);
    WEFT_ASSIGN_OR_RETURN(const JsonValue part,
                          Flatten(all->items()[i], at, depth + 1));
    WEFT_RETURN_IF_ERROR(Merge(part, at, flat));
  }
  return flat;
}

absl::Status SchemaMerger::Merge(const JsonValue& more,
                                 const std::string& where, JsonValue& schema) {
  if (more.is_true()) return absl::OkStatus();
  if (!more.is_object())
    return SchemaError(absl::StatusCode::kInvalidArgument, "SCHEMA-1", where,
                       "is no schema that can be merged with others");
  // Either forbids what only the other one knows.
  const JsonValue* const parts[] = {&schema, &more};
  for (const JsonValue* one : parts) {
    const JsonValue& other = one == &schema ? more : schema;
    const JsonValue* rest = one->Find("additionalProperties");
    const JsonValue* names = other.Find("properties");
    if (rest == nullptr || names == nullptr || rest->is_true()) continue;
    const JsonValue* known = one->Find("properties");
    for (const auto& [name, value] : names->members())
      if (known == nullptr || known->Find(name) == nullptr)
        return SchemaError(
            absl::StatusCode::kUnimplemented, "SCHEMA-3", where,
            absl::StrCat("additionalProperties beside the property ",
                         QuoteInput(name), " of another part"));
  }
  for (const auto& [keyword, value] : more.members()) {
    if (++steps_ > kMaxSteps) return TooMuch(where);
    WEFT_RETURN_IF_ERROR(MergeKeyword(keyword, value, where, schema));
  }
  return absl::OkStatus();
}

absl::Status SchemaMerger::MergeKeyword(const std::string& keyword,
                                        const JsonValue& more,
                                        const std::string& where,
                                        JsonValue& schema) {
  JsonValue* found = schema.Find(keyword);
  if (found == nullptr) {
    schema.Set(keyword, more);
    return absl::OkStatus();
  }
  JsonValue& ours = *found;
  if (ours == more || TopicOf(keyword) == SchemaTopic::kNote)
    return absl::OkStatus();
  const bool numbers = ours.is_number() && more.is_number();
  if (keyword == "type") {
    ours = CommonTypes(ours, more);
  } else if (keyword == "enum" && ours.is_list() && more.is_list()) {
    ours = CommonValues(ours, more);
  } else if (keyword == "required" && ours.is_list() && more.is_list()) {
    for (const JsonValue& name : more.items())
      if (!absl::c_linear_search(ours.items(), name))
        ours.list().push_back(name);
  } else if (keyword == "properties" && ours.is_object() && more.is_object()) {
    for (const auto& [name, value] : more.members()) {
      JsonValue* same = ours.Find(name);
      steps_ += 1;
      if (same == nullptr)
        ours.Set(name, value);
      else if (*same != value)
        *same = Both(*same, value);
    }
  } else if (keyword == "items" || keyword == "additionalProperties") {
    ours = Both(ours, more);
  } else if (numbers && absl::StartsWithIgnoreCase(keyword, "min")) {
    if (IsLess(ours, more)) ours = more;
  } else if (numbers && absl::StartsWithIgnoreCase(keyword, "max")) {
    if (IsLess(more, ours)) ours = more;
  } else {
    return SchemaError(
        absl::StatusCode::kUnimplemented, "SCHEMA-3", where,
        absl::StrCat("two different ", keyword, " cannot be merged"));
  }
  return absl::OkStatus();
}

}  // namespace weft::inline v0
