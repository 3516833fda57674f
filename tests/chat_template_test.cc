// Templates against python3-jinja2 (tests/golden/make_templates.py made what is
// expected), and templates that are broken or never end.
#include "models/chat_template.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/jinja/interpreter.h"
#include "models/jinja/json.h"
#include "models/jinja/parser.h"
#include "nlohmann/json.hpp"
#include "tests/bpe_vocab.h"
#include "tests/tokenizer_util.h"

namespace weft {
namespace {

using absl::StatusCode;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// In the order of the file, on which the output of some templates depends.
nlohmann::ordered_json Golden() {
  return nlohmann::ordered_json::parse(
      ReadFile(absl::StrCat(WEFT_SOURCE_DIR, "/tests/golden/templates.json")));
}

absl::StatusOr<std::string> Render(const std::string& source,
                                   nlohmann::ordered_json conversation,
                                   int64_t now) {
  auto chat = ChatTemplate::Make(source, "<s>", "</s>");
  if (!chat.ok()) return chat.status();
  ChatOptions options;
  options.now = now;
  options.add_generation_prompt = conversation["add_generation_prompt"];
  if (conversation.contains("tools"))
    options.tools_json = conversation["tools"].dump();
  const std::string messages = conversation["messages"].dump();
  for (const char* name : {"add_generation_prompt", "tools", "messages"})
    conversation.erase(name);
  options.variables_json = conversation.dump();
  return chat->RenderJson(messages, options);
}

TEST(ChatTemplate, Constructs) {
  const auto golden = Golden();
  for (const auto& one : golden["constructs"]) {
    const std::string source = one["source"];
    SCOPED_TRACE(source);
    const auto text =
        Render(source, golden["conversations"]["called"], golden["now"]);
    EXPECT_TRUE(text.ok()) << text.status();
    if (text.ok()) {
      EXPECT_EQ(*text, one["text"].get<std::string>());
    }
  }
}

TEST(ChatTemplate, PublishedTemplates) {
  const std::string folder =
      absl::StrCat(WEFT_SHARED_DIR, "/golden/templates/");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  const auto golden = Golden();
  int texts = 0;
  for (const auto& [file, outputs] : golden["published"].items()) {
    const std::string source = ReadFile(folder + file);
    for (const auto& [conversation, expected] : outputs.items()) {
      SCOPED_TRACE(absl::StrCat(file, " ", conversation));
      if (expected.is_null()) continue;
      const auto text =
          Render(source, golden["conversations"][conversation], golden["now"]);
      if (expected.is_object()) {
        EXPECT_FALSE(text.ok()) << expected.dump();
        continue;
      }
      ++texts;
      EXPECT_TRUE(text.ok()) << text.status();
      if (text.ok()) {
        EXPECT_EQ(*text, expected.get<std::string>());
      }
    }
  }
  EXPECT_GE(texts, 90);
}

absl::Status StatusOf(const std::string& source) {
  auto chat = ChatTemplate::Make(source, "", "");
  if (!chat.ok()) return chat.status();
  return chat->Render({{"user", "hello"}}, {}).status();
}

void ExpectError(const std::string& source, StatusCode code,
                 const std::string& part) {
  const absl::Status status = StatusOf(source);
  EXPECT_EQ(status.code(), code) << source.substr(0, 80) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part))
      << status << " lacks " << part;
}

TEST(ChatTemplate, SyntaxErrors) {
  const auto expect = [](const char* source, const char* part) {
    ExpectError(source, StatusCode::kInvalidArgument, part);
  };
  expect("a\n{% if x", "JINJA-1: line 2, column 1: a tag that does not end");
  expect("{{ 'abc }}", "line 1, column 4: a string that does not end");
  expect("{# abc", "a comment that does not end");
  expect("{% raw %} x", "a raw block that does not end");
  expect("{% if x %}a", "expected \"endif\", found the end of the template");
  expect("{% for x in y %}{% endif %}", "expected \"endfor\", found \"endif\"");
  expect("a {% endif %}", "\"endif\" without a tag that it belongs to");
  expect("{{ 1 + }}", "line 1, column 8: expected an expression");
  expect("{{ a b }}", "expected \"}}\", found \"b\"");
  expect("{{ a ? b }}", "a character that does not belong here: \"?\"");
  expect("{{ (1, 2 }}", "expected \")\"");
  expect("{{ x[] }}", "expected an index");
  expect("{{ }}", "expected an expression");
  expect("{% for in x %}", "expected");
  expect("{% set 1 = 2 %}", "expected a name");
  expect("{% break %}", "\"break\" outside a loop");
  expect("{{ 99999999999999999999 }}", "a number that is too large");
  expect("\xFF", "no valid UTF-8");
  ExpectError("{% include 'x' %}", StatusCode::kUnimplemented,
              "JINJA-2: line 1, column 1: weft does not know the tag "
              "\"include\"");
  ExpectError("\n\n{% extends 'x' %}", StatusCode::kUnimplemented, "line 3");
}

TEST(ChatTemplate, ErrorsWhileItRuns) {
  const auto expect = [](const char* source, const char* part) {
    ExpectError(source, StatusCode::kInvalidArgument, part);
  };
  expect("a\n {{ x | nofilter }}",
         "JINJA-4: line 2, column 7: weft does not know the filter "
         "\"nofilter\"");
  expect("{{ x is notest }}", "weft does not know the test \"notest\"");
  expect("{{ 'a'.nomethod() }}", "\"nomethod\" is undefined");
  expect("{{ nofunction() }}", "\"nofunction\" is undefined");
  expect("{{ x.y }}", "\"x\" is undefined and has no \"y\"");
  expect("{{ x + 1 }}", "\"x\" is undefined");
  expect("{{ 'a' + 1 }}", "\"+\" between str and int");
  expect("{{ 1 < 'a' }}", "between");
  expect("{{ 1 / 0 }}", "a division by zero");
  expect("{{ 9223372036854775807 + 1 }}", "more than 64 bits");
  expect("{% for x in 5 %}{% endfor %}", "a value of type int has no items");
  expect("{% for a, b in [1] %}{% endfor %}", "has no items");
  expect("{% for a, b in [[1]] %}{% endfor %}", "1 values to 2 names");
  expect("{{ raise_exception('no ' ~ 1) }}", "the template says: no 1");
  expect("{{ ''.__class__ }}", "no access to \"__class__\"");
  expect("{{ messages['__class__'] }}", "no access to \"__class__\"");
  expect("{{ messages.append(1) }}", "templates cannot change a list");
  expect("{% set messages.x = 1 %}", "cannot set \"x\" of a list");
  expect("{{ {[1]: 2} }}", "a list cannot be a key");
  expect("{% set n = namespace() %}{% set n.n = [n] %}",
         "a namespace cannot hold a namespace");
}

TEST(ChatTemplate, BudgetsOfNesting) {
  const auto expect = [](const std::string& source) {
    ExpectError(source, StatusCode::kResourceExhausted, "nesting");
  };
  for (const size_t depth : {6'000u, 100'000u}) {
    expect(absl::StrCat("{{ ", std::string(depth, '('), "1"));
    expect(absl::StrCat("{{ ", std::string(depth, '['), "1"));
    std::string blocks, negations = "{{ ", sums = "{{ 1", dots = "{{ a";
    for (size_t i = 0; i < depth; ++i) {
      blocks += "{% if 1 %}";
      negations += "not ";
      sums += "+1";
      dots += ".a";
    }
    expect(blocks);
    expect(negations + "1 }}");
    expect(sums + " }}");
    expect(dots + " }}");
    expect(absl::StrCat("{{ ", std::string(depth, '-'), "1 }}"));
  }
  expect("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
  expect(
      "{% macro a(n) %}{% for x in [1] %}{{ b(n + 1) }}{% endfor %}"
      "{% endmacro %}{% macro b(n) %}{{ a(n) }}{% endmacro %}{{ a(1) }}");
  expect(
      "{% set n = namespace(x=1) %}{% for i in range(100000) %}"
      "{% set n.x = [n.x] %}{% endfor %}");
  ExpectError(std::string((1 << 20) + 1, ' '), StatusCode::kResourceExhausted,
              "a template of 1048577 bytes");
}

TEST(ChatTemplate, BudgetsOfStepsAndText) {
  const auto expect = [](const char* source, const char* part) {
    ExpectError(source, StatusCode::kResourceExhausted, part);
  };
  expect("{{ range(10**9) }}", "step budget");
  expect("{{ range(-9223372036854775807, 9223372036854775807) }}",
         "step budget");
  expect(
      "{% for i in range(100000) %}{% for j in range(100000) %}"
      "{% endfor %}{% endfor %}",
      "step budget");
  expect("{{ 'x' * 1000000000 }}", "output limit");
  expect("{{ 'x' * 9223372036854775807 }}", "output limit");
  expect("{{ [1] * 9223372036854775807 }}", "step budget");
  expect(
      "{% set n = namespace(x='xxxxxxxx') %}{% for i in range(1000) %}"
      "{% set n.x = n.x ~ n.x %}{% endfor %}",
      "output limit");
  expect(
      "{% set n = namespace(x=[1]) %}{% for i in range(1000) %}"
      "{% set n.x = n.x + n.x %}{% endfor %}",
      "step budget");
  expect(
      "{% set x = 'a' * 100000 %}{% for i in range(10000) %}{{ x }}"
      "{% endfor %}",
      "output limit");
}

// A budget of one's own stops just as well.
TEST(Jinja, Limits) {
  const auto root = jinja::Parse("{% for i in range(50) %}{{ i }}{% endfor %}");
  ASSERT_TRUE(root.ok()) << root.status();
  EXPECT_TRUE(jinja::Interpreter({}, 0).Run(**root).ok());
  EXPECT_FALSE(jinja::Interpreter({.steps = 100}, 0).Run(**root).ok());
  EXPECT_FALSE(jinja::Interpreter({.bytes = 50}, 0).Run(**root).ok());
  EXPECT_FALSE(jinja::Interpreter({.depth = 2}, 0).Run(**root).ok());
}

TEST(Jinja, Json) {
  for (const char* text :
       {"null", "true", "-12", "1.5", "\"a\\\"b\"", "[]", "{}",
        "[1, [2, {\"a\": null}]]", "{\"b\": 1, \"a\": \"é😀\"}"}) {
    const auto value = jinja::ParseJson(text);
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_EQ(jinja::ToJson(*value, {}).value(), text);
  }
  EXPECT_EQ(jinja::ParseJson(" \"\\u00e9\\ud83d\\ude00\\n\" ")->string(),
            "é😀\n");
  for (const char* text :
       {"", "nul", "[1", "[1,]", "{\"a\"}", "{1: 2}", "\"a", "\"\\x\"",
        "\"\\ud800\"", "1 2", "+1", "--1", "\"\xFF\""}) {
    EXPECT_EQ(jinja::ParseJson(text).status().code(),
              StatusCode::kInvalidArgument)
        << text;
  }
  EXPECT_EQ(jinja::ParseJson(std::string(100'000, '[')).status().code(),
            StatusCode::kResourceExhausted);
}

TEST(ChatTemplate, FromFile) {
  GgufSpec spec = SmallBpeVocab().Spec();
  spec.Scalar("tokenizer.ggml.eos_token_id", GgufType::kUint32, 263u);
  const auto make = [](const GgufSpec& with) -> absl::StatusOr<std::string> {
    const std::string bytes = with.Build();
    const auto file = GgufFile::Parse(AsBytes(bytes), "test");
    const auto tokenizer = MakeTokenizer(*file);
    auto chat = ChatTemplate::FromFile(*file, **tokenizer);
    if (!chat.ok()) return chat.status();
    return chat->Render({{"user", "hi"}}, {});
  };
  const absl::Status missing = make(spec).status();
  EXPECT_EQ(missing.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(missing.message(),
            "test: CHAT-1: tokenizer.chat_template is missing; expected the "
            "model's chat template");
  GgufSpec with = spec;
  with.String("tokenizer.chat_template",
              "{{ bos_token }}|{{ eos_token }}|{{ messages[0].content }}");
  EXPECT_EQ(make(with).value(), "\v|<end>|hi");  // token 11 is that byte
  GgufSpec empty = spec;
  EXPECT_EQ(make(empty.String("tokenizer.chat_template", "")).value(), "");
  GgufSpec wrong = spec;
  EXPECT_EQ(make(wrong.Scalar("tokenizer.chat_template", GgufType::kUint32, 1u))
                .status()
                .code(),
            StatusCode::kInvalidArgument);
  GgufSpec broken = spec;
  const absl::Status status =
      make(broken.String("tokenizer.chat_template", "{% if")).status();
  EXPECT_TRUE(absl::StartsWith(
      status.message(), "test: tokenizer.chat_template: JINJA-1: line 1"))
      << status;
  // Errors that come as it runs say where as well.
  GgufSpec late = spec;
  const absl::Status unknown =
      make(late.String("tokenizer.chat_template", "{{ messages | x }}"))
          .status();
  EXPECT_TRUE(absl::StartsWith(
      unknown.message(), "test: tokenizer.chat_template: JINJA-4: line 1"))
      << unknown;
}

}  // namespace
}  // namespace weft
