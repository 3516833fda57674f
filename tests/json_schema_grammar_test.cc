// Schemas: the JSON texts that they allow, and what is refused.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/grammar/json_schema.h"
#include "tests/grammar_util.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

struct SchemaCase {
  const char* schema;
  std::vector<std::string> yes, no;
};

const SchemaCase kCases[] = {
    {"{}",
     {"null", "-1.5e+3", R"("a\n\u00e4")", "[]", R"([1, {"a": [true]}])",
      "{ }"},
     {"", "01", "[1,]", "{a:1}", "\"\n\"", "[1", R"("\ud800")"}},
    {R"({"type": "boolean"})", {"true", "false"}, {"1", "null"}},
    {R"({"type": ["null", "integer"]})", {"null", "-7", "0"}, {"1.5", "00"}},
    {R"({"enum": ["a", 1, null, {"b": [1, 2]}]})",
     {R"("a")", "1", "null", R"({"b":[1,2]})"},
     {"2", "a"}},
    {R"({"enum": ["a", 1], "type": "string"})", {R"("a")"}, {"1"}},
    {R"({"const": "\"\\\n"})", {R"("\"\\\n")"}, {R"("")"}},
    // Objects, in the schema's order.
    {R"({"type": "object", "properties": {"a": {"type": "integer"},
         "b": {"type": "null"}, "c": {}}, "required": ["b"]})",
     {R"({"b":null})", R"({"a": 1, "b": null, "c": [1]})",
      R"({"a":1,"b":null})", R"({"b":null,"c":"x"})"},
     {"{}", R"({"a":1})", R"({"b":null,"a":1})", R"({"b":null,})",
      R"({"b":null,"d":1})"}},
    {R"({"properties": {"a": {"type": "integer"}}})",
     {"{}", R"({"a":1})"},
     {R"({"a":"x"})", "1"}},
    {R"({"type": "object"})", {"{}", R"({"x":{"y":1}})"}, {"[]"}},
    {R"({"properties": {"ab": {"type": "null"}},
         "additionalProperties": {"type": "integer"}})",
     {"{}", R"({"ab":null})", R"({"ab":null,"x":1,"abc":2})", R"({"a":1})",
      R"({"":1})"},
     {R"({"ab":1})", R"({"x":null})", R"({"x":1,"ab":null})"}},
    {R"({"required": ["a"], "additionalProperties": true})",
     {R"({"a":1})", R"({"a":1,"b":2})"},
     {"{}", R"({"b":1})"}},
    // Arrays.
    {R"({"type": "array", "items": {"type": "integer"}, "minItems": 1,
         "maxItems": 3})",
     {"[1]", "[1, 2,3]"},
     {"[]", "[1,2,3,4]", "[null]"}},
    {R"({"items": {"type": "null"}, "maxItems": 0})", {"[]"}, {"[null]"}},
    {R"({"type": "array", "minItems": 2})", {"[1,2]", "[1,2,3]"}, {"[1]"}},
    {R"({"prefixItems": [{"type": "integer"}, {"type": "string"}]})",
     {R"([1,"a"])"},
     {"[1]", R"([1,"a",2])", R"(["a",1])"}},
    {R"({"prefixItems": [{"type": "integer"}], "items": {"type": "null"},
         "maxItems": 2})",
     {"[1]", "[1,null]"},
     {"[]", "[1,null,null]"}},
    // Strings.
    {R"({"type": "string", "minLength": 1, "maxLength": 2})",
     {R"("a")", R"("äö")", R"("\n\"")"},
     {R"("")", R"("abc")"}},
    {R"({"type": "string", "pattern": "^a[^b\\d]*(x|y)?\\.$"})",
     {R"("a.")", R"("azzx.")", R"("a\".")"},
     {R"("ab.")", R"("a")", R"("a1.")", R"("a"".")"}},
    {R"({"type": "string", "pattern": "b+c{2,3}"})",
     {R"("abccd")", R"("bccc")"},
     {R"("bc")"}},
    {R"({"type": "string", "pattern": "^\\w+$"})",
     {R"("a_9")"},
     {R"("a b")", R"("")"}},
    {R"({"type": "string", "format": "date"})",
     {R"("2024-02-29")"},
     {R"("2024-13-01")", R"("24-1-1")"}},
    {R"({"type": "string", "format": "date-time"})",
     {R"("2024-02-29T12:30:00Z")", R"("2024-02-29T12:30:00.5+02:00")"},
     {R"("2024-02-29 12:30:00Z")", R"("2024-02-29T24:30:00Z")"}},
    {R"({"type": "string", "format": "uuid"})",
     {R"("123e4567-e89b-12d3-a456-426614174000")"},
     {R"("123e4567")"}},
    // Composition.
    {R"({"anyOf": [{"type": "integer"}, {"const": "x"}]})",
     {"1", R"("x")"},
     {R"("y")"}},
    {R"({"properties": {"a": {"type": "integer"}}, "required": ["a"],
         "oneOf": [{"properties": {"b": {"type": "null"}}, "required": ["b"]},
                   {"properties": {"c": {"type": "null"}}}]})",
     {R"({"a":1,"b":null})", R"({"a":1})", R"({"a":1,"c":null})"},
     {R"({"a":1,"b":null,"c":null})"}},
    {R"({"oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"},
                   {"type": ["null", "integer"], "maximum": 3},
                   {"type": "integer", "exclusiveMinimum": 3}, {"enum": ["a"]}],
         "$defs": {
           "cat": {"type": "object", "required": ["kind"], "properties":
                   {"kind": {"const": "cat"}, "lives": {"type": "integer"}}},
           "dog": {"type": "object", "required": ["kind"], "properties":
                   {"kind": {"enum": ["dog", "wolf"]}}}}})",
     {R"({"kind":"cat","lives":9})", R"({"kind":"wolf"})", "null", "3", "4",
      R"("a")"},
     {R"({"kind":"dog","lives":9})", R"("b")"}},
    {R"({"allOf": [{"$ref": "#/$defs/i"}, {"minimum": 3}, {"maximum": 5}],
         "$defs": {"i": {"type": "integer", "maximum": 9}}})",
     {"3", "5"},
     {"2", "6", "9"}},
    {R"({"allOf": [{"properties": {"a": {"type": ["null", "integer"]}}},
                   {"properties": {"a": {"type": "number"}},
                    "required": ["a"]}]})",
     {R"({"a":1})"},
     {"{}", R"({"a":null})", R"({"a":1.5})"}},
    // Cycles, by way of rules.
    {R"({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties":
         {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/n"}},
         "required": ["v"]}}})",
     {R"({"v":1})", R"({"v":1,"next":{"v":2,"next":{"v":3}}})"},
     {R"({"v":1,"next":null})"}},
    {R"({"type": "array", "items": {"$ref": "#"}})",
     {"[]", "[[],[[]]]"},
     {"[1]"}},
};

TEST(JsonSchema, Allows) {
  for (const SchemaCase& c : kCases) {
    const auto grammar = ParseJsonSchema(c.schema);
    ASSERT_TRUE(grammar.ok()) << c.schema << grammar.status();
    for (const std::string& text : c.yes)
      EXPECT_EQ(MatchGrammar(*grammar, text), GrammarMatch::kWhole)
          << c.schema << ": " << text;
    for (const std::string& text : c.no)
      EXPECT_NE(MatchGrammar(*grammar, text), GrammarMatch::kWhole)
          << c.schema << ": " << text;
  }
}

// Every integer near the bounds of many ranges.
TEST(JsonSchema, RangesOfIntegers) {
  const int kBounds[] = {-120, -100, -99, -10, -9, -1,  0,   1,  5,
                         9,    10,   11,  19,  99, 100, 105, 119};
  for (const int low : kBounds) {
    for (const int high : kBounds) {
      if (low > high) continue;
      const auto grammar = ParseJsonSchema(
          absl::StrCat(R"({"type": "integer", "minimum": )", low,
                       R"(, "exclusiveMaximum": )", high + 1, "}"));
      ASSERT_TRUE(grammar.ok()) << grammar.status();
      for (int i = -125; i <= 125; ++i)
        ASSERT_EQ(
            MatchGrammar(*grammar, absl::StrCat(i)) == GrammarMatch::kWhole,
            low <= i && i <= high)
            << i << " of " << low << " to " << high;
    }
  }
  const auto from = ParseJsonSchema(R"({"type": "integer", "minimum": 12.5})");
  ASSERT_TRUE(from.ok()) << from.status();
  EXPECT_EQ(MatchGrammar(*from, "12"), GrammarMatch::kBegins);
  for (const char* text : {"13", "99", "100", "123456789012345678"})
    EXPECT_EQ(MatchGrammar(*from, text), GrammarMatch::kWhole) << text;
}

TEST(JsonSchema, Refuses) {
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += R"({"items":)";
  std::string doubling = R"({"$ref": "#/$defs/d0", "minimum": 0, "$defs": {)";
  for (int i = 0; i < 40; ++i)
    absl::StrAppend(&doubling, R"("d)", i,
                    R"(": {"allOf": [{"$ref": "#/$defs/d)", i + 1,
                    R"("}, {"$ref": "#/$defs/d)", i + 1, R"("}]},)");
  doubling += R"("d40": {"type": "integer"}}})";
  const std::pair<std::string, const char*> kRefused[] = {
      {"", "no JSON"},
      {"{\"type\": ", "SCHEMA-1: #: is no JSON at byte"},
      {R"({"type": "null", "type": "null"})", "\"type\" stands twice"},
      {deep, "levels of nesting"},
      {R"({"type": "text"})", "expected one of null, boolean"},
      {R"({"properties": {"a": {"type": 7}}})", "#/properties/a: type is"},
      {"7", "neither object nor bool"},
      {"false", "allows nothing"},
      {R"({"enum": []})", "no value"},
      {R"({"type": "array", "minItems": 3, "maxItems": 2})", "maxItems"},
      {R"({"type": "string", "minLength": -1})", "minLength is \"-1\""},
      {R"({"type": "string", "maxLength": 1e30})", "maxLength"},
      {R"({"type": "integer", "minimum": 5, "maximum": 4})", "no integer"},
      {R"({"type": "integer", "minimum": 1e300})", "minimum"},
      // What would restrict and is not supported, by name.
      {R"({"not": {}})", "the keyword \"not\" is not supported"},
      {R"({"type": "array", "uniqueItems": true})", "\"uniqueItems\""},
      {R"({"type": "number", "minimum": 1})", "minimum of numbers"},
      {R"({"type": "string", "format": "email"})", "email"},
      {R"({"nonsense": 1})", "no keyword \"nonsense\""},
      {R"({"enum": [1], "minimum": 2})", "minimum beside enum"},
      {R"({"allOf": [{"pattern": "a"}, {"pattern": "b"}]})",
       "two different pattern"},
      // What a grammar cannot tell apart.
      {R"({"oneOf": [{"type": "null"}, {"type": "number"},
                     {"type": "integer"}]})",
       "#: a value may fit both oneOf/1 and oneOf/2; say anyOf"},
      {R"({"oneOf": [{"properties": {"a": {"type": "null"}}},
                     {"properties": {"b": {"type": "null"}}}]})",
       "oneOf/0 and oneOf/1"},
      {R"({"oneOf": [{"enum": [1, 2]}, {"type": "integer", "minimum": 2}]})",
       "oneOf/0 and oneOf/1"},
      // Patterns.
      {R"({"pattern": "^+a$"})", "byte 1: there is nothing to repeat"},
      {R"({"pattern": "^{2}x$"})", "nothing to repeat"},
      {R"({"pattern": "(?<=x)*"})", "lookaround"},
      {R"({"pattern": "a\\b"})", "escape \\b"},
      {"{\"pattern\": \"a)\"}", "unexpected )"},
      {R"({"pattern": "(a"})", "no closing )"},
      {R"({"pattern": "[a"})", "no closing ]"},
      {R"({"pattern": "a**"})", "nothing to repeat"},
      {R"({"pattern": "^a|b$"})", "beside |"},
      {R"({"pattern": "(a{1000}){1000}"})", "too long"},
      // References.
      {R"({"$ref": "#/$defs/no"})", "points to nothing"},
      {R"({"$ref": "http://x/y"})", "not within the document"},
      {R"({"$ref": "#"})", "left recursion"},
      {R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})", "left recursion"},
      {R"({"allOf": [{"$ref": "#"}]})", "circle"},
      {doubling, "multiply without end"},
  };
  for (const auto& [schema, message] : kRefused) {
    const absl::Status status = ParseJsonSchema(schema).status();
    EXPECT_FALSE(status.ok()) << schema.substr(0, 80);
    EXPECT_THAT(status.message(), HasSubstr(message)) << schema.substr(0, 80);
    EXPECT_THAT(status.message(), HasSubstr("JSON schema: SCHEMA-"));
  }
}

// A long chain of references takes no stack.
TEST(JsonSchema, LongChains) {
  std::string schema = R"({"$ref": "#/$defs/0", "$defs": {)";
  for (int i = 0; i < 3000; ++i)
    absl::StrAppend(&schema, "\"", i,
                    R"(": {"prefixItems": [{"$ref": "#/$defs/)", i + 1,
                    R"("}]},)");
  schema += R"("3000": {"type": "null"}}})";
  const auto grammar = ParseJsonSchema(schema);
  ASSERT_TRUE(grammar.ok()) << grammar.status();
  EXPECT_EQ(MatchGrammar(*grammar, "[[["), GrammarMatch::kBegins);
}

}  // namespace
}  // namespace weft
