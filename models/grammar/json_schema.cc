#include "models/grammar/json_schema.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/hash.h"
#include "graph/status_macros.h"
#include "models/grammar/schema_apart.h"
#include "models/grammar/schema_converter.h"
#include "models/input_error.h"
#include "models/no_throw.h"

namespace weft::inline v0 {
namespace {

// Rules that others use by name; `value` and what it needs is JSON itself
// (RFC 8259). Escapes of surrogates are left out: half a pair is no character,
// and a whole one can be written as the character that it is.
constexpr std::pair<absl::string_view, absl::string_view> kBuiltIn[] = {
    {"space", R"(" "? | "\n" [ \t]{0,20})"},
    {"char", R"([^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" unit))"},
    {"unit", "[0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}"},
    {"string", R"("\"" char* "\"")"},
    {"integer", R"("-"? ("0" | [1-9] [0-9]{0,17}))"},
    {"number", R"(integer ("." [0-9]{1,17})? ([eE] [-+]? [0-9]{1,3})?)"},
    {"boolean", R"("true" | "false")"},
    {"null", R"("null")"},
    {"value", "object | array | string | number | boolean | null"},
    {"object", R"("{" space (member (space "," space member)*)? space "}")"},
    {"member", R"(string space ":" space value)"},
    {"array", R"("[" space (value (space "," space value)*)? space "]")"},
    {"date",
     R"([0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01]))"},
    {"time",
     R"(([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,9})? ("Z" | [-+] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9]))"},
    {"date-time", R"(date "T" time)"},
    {"uuid", R"([0-9a-fA-F]{8} ("-" [0-9a-fA-F]{4}){3} "-" [0-9a-fA-F]{12})"},
};

using absl::StatusCode;

constexpr absl::string_view kTypes[] = {
    "null", "boolean", "integer", "number", "string", "array", "object"};

}  // namespace

SchemaConverter::SchemaConverter(const JsonValue& root)
    : root_(root), merger_(&root_) {
  for (const auto& [name, body] : kBuiltIn) names_.insert(std::string(name));
  names_.insert("root");
}

absl::StatusOr<std::string> SchemaConverter::Run() {
  WEFT_ASSIGN_OR_RETURN(const std::string body, RefRule("#", "#"));
  out_ = absl::StrCat("root ::= ", body, "\n");
  // Rules behind $ref come one after the other, so that a long chain of them
  // takes no stack.
  while (!pending_.empty()) {
    const Pending next = pending_.front();
    pending_.pop_front();
    WEFT_ASSIGN_OR_RETURN(const std::string text,
                          Visit(*next.schema, next.where, next.rule));
    AddRule(next.rule, text);
  }
  for (const auto& [name, text] : kBuiltIn)
    absl::StrAppend(&out_, name, " ::= ", text, "\n");
  return std::move(out_);
}

absl::Status SchemaConverter::Bad(const std::string& where,
                                  absl::string_view what) {
  return SchemaError(StatusCode::kInvalidArgument, "SCHEMA-1", where, what);
}
absl::Status SchemaConverter::Unsupported(const std::string& where,
                                          absl::string_view what) {
  return SchemaError(StatusCode::kUnimplemented, "SCHEMA-3", where, what);
}
absl::Status SchemaConverter::Nothing(const std::string& where,
                                      absl::string_view what) {
  return SchemaError(StatusCode::kInvalidArgument, "SCHEMA-2", where,
                     absl::StrCat("allows nothing: ", what));
}

std::string SchemaConverter::NewName(absl::string_view wish) {
  std::string name;
  for (const char c : wish.substr(0, 40))
    name += absl::ascii_isalnum(static_cast<unsigned char>(c)) ? c : '-';
  if (name.empty()) name = "rule";
  const std::string base = name;
  for (int n = ++uses_[base]; !names_.insert(name).second; ++n)
    name = absl::StrCat(base, "-", n);
  return name;
}

void SchemaConverter::AddRule(absl::string_view name, absl::string_view body) {
  absl::StrAppend(&out_, name, " ::= ", body, "\n");
}
std::string SchemaConverter::Rule(absl::string_view wish,
                                  absl::string_view body) {
  std::string name = NewName(wish);
  AddRule(name, body);
  return name;
}

absl::StatusOr<std::string> SchemaConverter::RefRule(const std::string& ref,
                                                     const std::string& where) {
  const auto known = refs_.find(ref);
  if (known != refs_.end()) return known->second;
  WEFT_ASSIGN_OR_RETURN(const JsonValue* target,
                        FindSchemaRef(root_, ref, where));
  const size_t slash = ref.rfind('/');
  const std::string rule =
      NewName(slash == ref.npos ? "document" : ref.substr(slash + 1));
  refs_.emplace(ref, rule);
  pending_.push_back({target, ref, rule});
  return rule;
}

absl::StatusOr<std::string> SchemaConverter::Item(const JsonValue& schema,
                                                  const std::string& where,
                                                  const std::string& wish) {
  const std::string name = NewName(wish);
  WEFT_ASSIGN_OR_RETURN(const std::string body, Visit(schema, where, name));
  // A name by itself needs no rule of its own.
  if (names_.contains(body)) return body;
  AddRule(name, body);
  return name;
}

absl::Status SchemaConverter::CheckKeywords(const JsonValue& schema,
                                            const std::string& where) {
  for (const auto& [keyword, value] : schema.members()) {
    const SchemaTopic topic = TopicOf(keyword);
    // uniqueItems: false and the like.
    if (topic == SchemaTopic::kUnsupported && value.is_false()) continue;
    if (topic == SchemaTopic::kUnsupported)
      return Unsupported(where,
                         absl::StrCat("the keyword ", QuoteInput(keyword),
                                      " is not supported"));
    if (topic == SchemaTopic::kUnknown)
      return Unsupported(
          where, absl::StrCat("there is no keyword ", QuoteInput(keyword),
                              "; if it restricts nothing, leave it "
                              "out"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SchemaConverter::Visit(const JsonValue& given,
                                                   const std::string& where,
                                                   const std::string& name) {
  if (given.is_true()) return "value";
  if (given.is_false()) return Nothing(where, "the schema is false");
  if (!given.is_object()) return Bad(where, "is neither object nor bool");
  WEFT_ASSIGN_OR_RETURN(const JsonValue schema, merger_.Flatten(given, where));
  WEFT_RETURN_IF_ERROR(CheckKeywords(schema, where));
  if (const JsonValue* ref = schema.Find("$ref")) {
    if (!ref->is_string()) return Bad(where, "$ref is no string");
    return RefRule(ref->string(), where);
  }
  for (const char* keyword : {"anyOf", "oneOf"})
    if (const JsonValue* choices = schema.Find(keyword))
      return VisitAny(schema, *choices, keyword, where, name);
  if (const JsonValue* value = schema.Find("const"))
    return VisitEnum(schema, absl::MakeConstSpan(value, 1), where);
  if (const JsonValue* values = schema.Find("enum")) {
    if (!values->is_list()) return Bad(where, "enum is no list");
    return VisitEnum(schema, values->items(), where);
  }
  WEFT_ASSIGN_OR_RETURN(const std::vector<std::string> types,
                        TypesOf(schema, where));
  if (types.empty()) return "value";
  if (types.size() == 1) return VisitType(schema, types[0], where, name);
  std::vector<std::string> choices;
  for (const std::string& type : types) {
    const std::string part = NewName(absl::StrCat(name, "-", type));
    WEFT_ASSIGN_OR_RETURN(const std::string body,
                          VisitType(schema, type, where, part));
    AddRule(part, body);
    choices.push_back(part);
  }
  return absl::StrJoin(choices, " | ");
}

// The types that a schema names; without, those that its keywords are about;
// none for any value.
absl::StatusOr<std::vector<std::string>> SchemaConverter::TypesOf(
    const JsonValue& schema, const std::string& where) {
  std::vector<std::string> types;
  if (const JsonValue* type = schema.Find("type")) {
    const auto list = type->items_or_self();
    if (list.empty()) return Nothing(where, "there is no type left");
    for (const JsonValue& one : list) {
      const bool known =
          one.is_string() && std::find(std::begin(kTypes), std::end(kTypes),
                                       one.string()) != std::end(kTypes);
      if (!known)
        return Bad(where, absl::StrCat("type is ", QuoteInput(Compact(one)),
                                       "; expected one of ",
                                       absl::StrJoin(kTypes, ", ")));
      types.push_back(one.string());
    }
    return types;
  }
  HashSet<SchemaTopic> topics;
  for (const auto& [keyword, value] : schema.members())
    topics.insert(TopicOf(keyword));
  if (topics.contains(SchemaTopic::kNumber)) types.push_back("number");
  if (topics.contains(SchemaTopic::kString)) types.push_back("string");
  if (topics.contains(SchemaTopic::kArray)) types.push_back("array");
  if (topics.contains(SchemaTopic::kObject)) types.push_back("object");
  return types;
}

absl::StatusOr<std::string> SchemaConverter::VisitAny(
    const JsonValue& schema, const JsonValue& choices,
    const std::string& keyword, const std::string& where,
    const std::string& name) {
  if (choices.items().empty())
    return Bad(where, absl::StrCat(keyword, " is no list of schemas"));
  JsonValue base = schema;
  base.Erase(keyword);
  base.Erase("$defs");  // what $ref needs is found in the document
  base.Erase("definitions");
  bool restricts = false;
  for (const auto& [key, value] : base.members())
    restricts = restricts || TopicOf(key) != SchemaTopic::kNote;
  std::vector<std::string> rules;
  std::vector<JsonValue> alternatives;
  for (size_t i = 0; i < choices.items().size(); ++i) {
    const std::string at = absl::StrCat(where, "/", keyword, "/", i);
    const std::string wish = absl::StrCat(name, "-", i);
    JsonValue choice = choices.items()[i];
    if (restricts) choice = Both(base, choice);
    WEFT_ASSIGN_OR_RETURN(std::string rule, Item(choice, at, wish));
    rules.push_back(std::move(rule));
    alternatives.push_back(std::move(choice));
  }
  if (keyword == "oneOf") WEFT_RETURN_IF_ERROR(CheckApart(alternatives, where));
  return absl::StrJoin(rules, " | ");
}

// A grammar cannot say "not both": where no value fits two, oneOf is anyOf.
absl::Status SchemaConverter::CheckApart(
    const std::vector<JsonValue>& alternatives, const std::string& where) {
  WEFT_ASSIGN_OR_RETURN(const auto both,
                        FindOverlap(merger_, alternatives, where));
  if (!both) return absl::OkStatus();
  return Unsupported(
      where, absl::StrCat("a value may fit both oneOf/", both->first,
                          " and oneOf/", both->second,
                          "; say anyOf if it may, or make them differ in a "
                          "type, a const or a required property"));
}

absl::StatusOr<std::string> SchemaConverter::VisitEnum(
    const JsonValue& schema, absl::Span<const JsonValue> values,
    const std::string& where) {
  for (const auto& [keyword, value] : schema.members()) {
    const SchemaTopic topic = TopicOf(keyword);
    if (topic != SchemaTopic::kNote && topic != SchemaTopic::kAny)
      return Unsupported(where, absl::StrCat(keyword, " beside enum or const"));
  }
  const JsonValue* listed = schema.Find("enum");
  std::vector<std::string> types;
  if (schema.Find("type") != nullptr) {
    WEFT_ASSIGN_OR_RETURN(types, TypesOf(schema, where));
  }
  const auto has = [&](absl::string_view type) {
    return std::find(types.begin(), types.end(), type) != types.end();
  };
  std::vector<std::string> texts;
  for (const JsonValue& value : values) {
    if (listed != nullptr && listed->is_list() &&
        !absl::c_linear_search(listed->items(), value))
      continue;
    const bool fits =
        types.empty() || has(value.type_name()) ||
        ((value.is_integer() || value.is_large_integer()) && has("integer"));
    if (fits) texts.push_back(GbnfLiteral(Compact(value)));
  }
  if (texts.empty()) return Nothing(where, "no value of enum or const is left");
  return absl::StrJoin(texts, " | ");
}

absl::StatusOr<std::string> SchemaConverter::VisitType(
    const JsonValue& schema, absl::string_view type, const std::string& where,
    const std::string& name) {
  if (type == "integer") return VisitInteger(schema, where);
  if (type == "string") return VisitString(schema, where);
  if (type == "array") return VisitArray(schema, where, name);
  if (type == "object") return VisitObject(schema, where, name);
  if (type == "number")
    for (const auto& [keyword, value] : schema.members())
      if (TopicOf(keyword) == SchemaTopic::kNumber)
        return Unsupported(where,
                           absl::StrCat(keyword,
                                        " of numbers is not supported, only of "
                                        "integers"));
  return std::string(type);
}

absl::StatusOr<std::string> JsonSchemaToGbnf(absl::string_view schema) {
  return NoThrow([&]() -> absl::StatusOr<std::string> {
    WEFT_ASSIGN_OR_RETURN(const JsonValue root, ReadSchemaJson(schema));
    return SchemaConverter(root).Run();
  });
}

absl::StatusOr<std::shared_ptr<const Grammar>> ParseJsonSchema(
    absl::string_view schema) {
  return NoThrow([&]() -> absl::StatusOr<std::shared_ptr<const Grammar>> {
    WEFT_ASSIGN_OR_RETURN(const std::string text, JsonSchemaToGbnf(schema));
    auto grammar = Grammar::Parse(text);
    if (grammar.ok()) return grammar;
    return SchemaError(
        grammar.status().code(),
        absl::IsResourceExhausted(grammar.status()) ? "SCHEMA-4" : "SCHEMA-1",
        "#", absl::StrCat("as a grammar: ", grammar.status().message()));
  });
}

}  // namespace weft::inline v0
