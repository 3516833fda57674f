#include "models/grammar/schema_merge.h"

#include <algorithm>
#include <vector>

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

std::vector<std::string> Types(const SchemaJson& type) {
  std::vector<std::string> types;
  if (type.is_string()) types.push_back(type.get<std::string>());
  for (const SchemaJson& one : type)
    if (type.is_array() && one.is_string())
      types.push_back(one.get<std::string>());
  return types;
}

// "integer" is a part of "number".
SchemaJson CommonTypes(const SchemaJson& a, const SchemaJson& b) {
  SchemaJson common = SchemaJson::array();
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

SchemaJson CommonValues(const SchemaJson& a, const SchemaJson& b) {
  SchemaJson common = SchemaJson::array();
  for (const SchemaJson& value : a)
    if (std::find(b.begin(), b.end(), value) != b.end())
      common.push_back(value);
  return common;
}

bool IsAnnotated(const SchemaJson& schema) {
  for (const auto& [keyword, value] : schema.items())
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

absl::StatusOr<const SchemaJson*> FindSchemaRef(const SchemaJson& root,
                                                absl::string_view ref,
                                                const std::string& where) {
  const auto error = [&](absl::string_view what) {
    return SchemaError(absl::StatusCode::kInvalidArgument, "SCHEMA-1", where,
                       absl::StrCat("$ref ", QuoteInput(ref), " ", what));
  };
  if (ref != "#" && !absl::StartsWith(ref, "#/"))
    return error("is not within the document; expected #/...");
  const SchemaJson* at = &root;
  if (ref == "#") return at;
  for (const absl::string_view part : absl::StrSplit(ref.substr(2), '/')) {
    // RFC 6901: ~1 is /, ~0 is ~.
    const std::string name =
        absl::StrReplaceAll(part, {{"~1", "/"}, {"~0", "~"}});
    size_t index = 0;
    if (at->is_array() && absl::SimpleAtoi(name, &index) && index < at->size())
      at = &(*at)[index];
    else
      at = Member(*at, name);
    if (at == nullptr) return error("points to nothing");
  }
  return at;
}

absl::StatusOr<SchemaJson> SchemaMerger::Flatten(const SchemaJson& schema,
                                                 const std::string& where,
                                                 int depth) {
  if (++steps_ > kMaxSteps) return TooMuch(where);
  const SchemaJson* all = Member(schema, "allOf");
  const SchemaJson* ref = Member(schema, "$ref");
  const bool open_ref = ref != nullptr && (depth > 0 || IsAnnotated(schema));
  if (all == nullptr && !open_ref) return schema;
  if (depth > kMaxDepth)
    return SchemaError(absl::StatusCode::kInvalidArgument, "SCHEMA-1", where,
                       "allOf and $ref go round in a circle here");
  SchemaJson flat = schema;
  flat.erase("allOf");
  if (open_ref) {
    flat.erase("$ref");
    if (!ref->is_string())
      return SchemaError(absl::StatusCode::kInvalidArgument, "SCHEMA-1", where,
                         "$ref is no string");
    WEFT_ASSIGN_OR_RETURN(
        const SchemaJson* target,
        FindSchemaRef(*root_, ref->get_ref<const std::string&>(), where));
    WEFT_ASSIGN_OR_RETURN(const SchemaJson part,
                          Flatten(*target, where, depth + 1));
    WEFT_RETURN_IF_ERROR(Merge(part, where, flat));
  }
  if (all == nullptr) return flat;
  if (!all->is_array() || all->empty())
    return SchemaError(absl::StatusCode::kInvalidArgument, "SCHEMA-1", where,
                       "allOf is no list of schemas");
  for (size_t i = 0; i < all->size(); ++i) {
    const std::string at = absl::StrCat(where, "/allOf/", i);
    WEFT_ASSIGN_OR_RETURN(const SchemaJson part,
                          Flatten((*all)[i], at, depth + 1));
    WEFT_RETURN_IF_ERROR(Merge(part, at, flat));
  }
  return flat;
}

absl::Status SchemaMerger::Merge(const SchemaJson& more,
                                 const std::string& where, SchemaJson& schema) {
  if (more.is_boolean() && more.get<bool>()) return absl::OkStatus();
  if (!more.is_object())
    return SchemaError(absl::StatusCode::kInvalidArgument, "SCHEMA-1", where,
                       "is no schema that can be merged with others");
  // Either forbids what only the other one knows.
  const SchemaJson* const parts[] = {&schema, &more};
  for (const SchemaJson* one : parts) {
    const SchemaJson& other = one == &schema ? more : schema;
    const SchemaJson* rest = Member(*one, "additionalProperties");
    const SchemaJson* names = Member(other, "properties");
    if (rest == nullptr || names == nullptr || *rest == true) continue;
    const SchemaJson* known = Member(*one, "properties");
    for (const auto& [name, value] : names->items())
      if (known == nullptr || Member(*known, name) == nullptr)
        return SchemaError(
            absl::StatusCode::kUnimplemented, "SCHEMA-3", where,
            absl::StrCat("additionalProperties beside the property ",
                         QuoteInput(name), " of another part"));
  }
  for (const auto& [keyword, value] : more.items()) {
    if (++steps_ > kMaxSteps) return TooMuch(where);
    WEFT_RETURN_IF_ERROR(MergeKeyword(keyword, value, where, schema));
  }
  return absl::OkStatus();
}

absl::Status SchemaMerger::MergeKeyword(const std::string& keyword,
                                        const SchemaJson& more,
                                        const std::string& where,
                                        SchemaJson& schema) {
  const auto found = schema.find(keyword);
  if (found == schema.end()) {
    schema[keyword] = more;
    return absl::OkStatus();
  }
  SchemaJson& ours = *found;
  if (ours == more || TopicOf(keyword) == SchemaTopic::kNote)
    return absl::OkStatus();
  const bool numbers = ours.is_number() && more.is_number();
  if (keyword == "type") {
    ours = CommonTypes(ours, more);
  } else if (keyword == "enum" && ours.is_array() && more.is_array()) {
    ours = CommonValues(ours, more);
  } else if (keyword == "required" && ours.is_array() && more.is_array()) {
    for (const SchemaJson& name : more)
      if (std::find(ours.begin(), ours.end(), name) == ours.end())
        ours.push_back(name);
  } else if (keyword == "properties" && ours.is_object() && more.is_object()) {
    for (const auto& [name, value] : more.items()) {
      const auto same = ours.find(name);
      steps_ += 1;
      if (same == ours.end())
        ours[name] = value;
      else if (*same != value)
        *same = {{"allOf", SchemaJson::array({*same, value})}};
    }
  } else if (keyword == "items" || keyword == "additionalProperties") {
    ours = {{"allOf", SchemaJson::array({ours, more})}};
  } else if (numbers && absl::StartsWithIgnoreCase(keyword, "min")) {
    if (more > ours) ours = more;
  } else if (numbers && absl::StartsWithIgnoreCase(keyword, "max")) {
    if (more < ours) ours = more;
  } else {
    return SchemaError(
        absl::StatusCode::kUnimplemented, "SCHEMA-3", where,
        absl::StrCat("two different ", keyword, " cannot be merged"));
  }
  return absl::OkStatus();
}

}  // namespace weft::inline v0
