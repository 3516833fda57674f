// JSON values and their text.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/json.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Json, TextsComeBackAsTheyWere) {
  for (const char* text :
       {"null", "true", "-9223372036854775808", "9223372036854775807",
        "18446744073709551615", "1.5", "1e+22", "[]", "{}",
        R"("\"\\\n\u0001/")", "\"\xC3\xA9\xF0\x9F\x98\x80\"",
        R"([[],[1,"a"],{"b":{"a":[null,0]}}])"}) {
    const auto value = ParseJson(text);
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_EQ(Compact(*value), text);
    EXPECT_EQ(*ParseJson(absl::StrCat(" \n", text, "\t")), *value);
  }
}

TEST(Json, NumbersAreEqualByValue) {
  EXPECT_EQ(*ParseJson("[1,1.5,18446744073709551615]"),
            *ParseJson("[1.0,15e-1,18446744073709551615]"));
  EXPECT_NE(*ParseJson("1"), *ParseJson("true"));
  EXPECT_NE(*ParseJson("1"), *ParseJson("\"1\""));
  EXPECT_FALSE(ParseJson("9223372036854775808")->is_integer());
}

TEST(Json, MembersKeepTheirOrder) {
  auto value = *ParseJson(R"({"b":1,"a":2,"c":3})");
  value.Set("a", "x");
  value.Set("d", JsonValue::List{value, true});
  value.Erase("c");
  EXPECT_EQ(Compact(value),
            R"({"b":1,"a":"x","d":[{"b":1,"a":"x","c":3},true]})");
  EXPECT_EQ(value.Find("c"), nullptr);
  EXPECT_EQ(value.Find("b")->Find("b"), nullptr);  // no object
}

TEST(Json, RepeatedNames) {
  const char* text = R"({"m":[0,{"a":1,"b":2,"a":[3]}]})";
  const absl::Status status = ParseJson(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(status.message(), HasSubstr("\"a\" stands twice in the object at "
                                          "\"#/m/1\""));
  EXPECT_EQ(Compact(*ParseJson(text, {.repeated = RepeatedNames::kLast})),
            R"({"m":[0,{"a":[3],"b":2}]})");
}

TEST(Json, Refuses) {
  const std::pair<std::string, const char*> kRefused[] = {
      {"", "at line 1, column 1"},
      {"{\"a\":\n 1,}", "line 2, column 4"},
      {"[1] x", "at byte 5"},
      {"[1", "unexpected end of input"},
      {"[nan]", "invalid literal"},
      {"01", "no JSON"},
      {"1e999", "number overflow"},
      {"\"\x80\"", "ill-formed UTF-8"},
      {"\"a\nb\"", "control character"},
      {"\"\\ud800\"", "surrogate"},
      // Quoted input stays quoted, whatever it is.
      {"\"; last read: \x1B[1m", "control character"},
      {std::string("[]\0[", 4), "at byte 3"}};
  for (const auto& [text, what] : kRefused) {
    const absl::Status status = ParseJson(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(),
                AllOf(HasSubstr("is no JSON"), HasSubstr(what)));
    for (const char c : status.message()) EXPECT_GE(c, ' ') << status;
  }
}

TEST(Json, Limits) {
  const auto nested = [](size_t n) {
    return std::string(n, '[') + std::string(n, ']');
  };
  EXPECT_TRUE(ParseJson(nested(200)).ok());
  EXPECT_THAT(ParseJson(nested(201)).status().message(),
              HasSubstr("more than 200 levels of nesting"));
  EXPECT_EQ(ParseJson(std::string(100'000, '[')).status().code(),
            absl::StatusCode::kResourceExhausted);
  const JsonOptions few = {.most_values = 3, .most_members = 1};
  EXPECT_TRUE(ParseJson("[1,2]", few).ok());
  EXPECT_THAT(ParseJson("[1,2,3]", few).status().message(),
              HasSubstr("more than 3 values"));
  EXPECT_THAT(ParseJson(R"({"a":1,"b":2})", few).status().message(),
              HasSubstr("more than 1 members of an object"));
}

}  // namespace
}  // namespace weft
