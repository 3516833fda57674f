#include "models/chat_template.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/jinja/interpreter.h"
#include "models/jinja/json.h"
#include "models/jinja/parser.h"
#include "models/no_throw.h"

namespace weft::inline v0 {
namespace {

constexpr absl::string_view kKey = "tokenizer.chat_template";

// The error with what it is about before it.
template <typename T>
absl::StatusOr<T> Named(absl::string_view what, absl::StatusOr<T> result) {
  if (result.ok()) return result;
  return absl::Status(result.status().code(),
                      absl::StrCat(what, ": ", result.status().message()));
}

absl::StatusOr<jinja::Value> ReadJson(absl::string_view what,
                                      absl::string_view text) {
  return Named(what, jinja::ParseJson(text));
}

// The text of a token, "" for none.
std::string TextOf(const Tokenizer& tokenizer, std::optional<Token> token) {
  if (!token) return "";
  return tokenizer.Piece(*token, true).value_or("");
}

}  // namespace

struct ChatTemplate::Parsed {
  jinja::NodePtr root;
  std::string bos, eos;
  std::string source_name;  // what errors begin with

  absl::StatusOr<std::string> Render(jinja::Value messages,
                                     const ChatOptions& options) const;
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Parsed> parsed)
    : parsed_(std::move(parsed)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

absl::StatusOr<ChatTemplate> ChatTemplate::FromFile(
    const GgufFile& file, const Tokenizer& tokenizer) {
  return NoThrow([&]() -> absl::StatusOr<ChatTemplate> {
    if (!file.Has(kKey))
      return absl::FailedPreconditionError(
          absl::StrCat(file.source(), ": CHAT-1: ", kKey,
                       " is missing; expected the model's chat template"));
    WEFT_ASSIGN_OR_RETURN(const absl::string_view source, file.GetString(kKey));
    return Make(source, TextOf(tokenizer, tokenizer.bos()),
                TextOf(tokenizer, tokenizer.eos()),
                absl::StrCat(file.source(), ": ", kKey));
  });
}

absl::StatusOr<ChatTemplate> ChatTemplate::Make(absl::string_view source,
                                                std::string bos,
                                                std::string eos,
                                                std::string name) {
  return NoThrow([&]() -> absl::StatusOr<ChatTemplate> {
    WEFT_ASSIGN_OR_RETURN(jinja::NodePtr root,
                          Named(name, jinja::Parse(source)));
    return ChatTemplate(std::make_unique<const Parsed>(Parsed{
        std::move(root), std::move(bos), std::move(eos), std::move(name)}));
  });
}

absl::StatusOr<std::string> ChatTemplate::Render(
    absl::Span<const ChatMessage> messages, const ChatOptions& options) const {
  return NoThrow([&] {
    std::vector<jinja::Value> list;
    for (const ChatMessage& message : messages) {
      auto dict = std::make_shared<jinja::Dict>();
      dict->Set("role", message.role);
      dict->Set("content", message.content);
      list.push_back(std::move(dict));
    }
    return parsed_->Render(jinja::Value::MakeList(std::move(list)), options);
  });
}

absl::StatusOr<std::string> ChatTemplate::RenderJson(
    absl::string_view messages_json, const ChatOptions& options) const {
  return NoThrow([&]() -> absl::StatusOr<std::string> {
    WEFT_ASSIGN_OR_RETURN(jinja::Value messages,
                          ReadJson("messages", messages_json));
    return parsed_->Render(std::move(messages), options);
  });
}

absl::StatusOr<std::string> ChatTemplate::Parsed::Render(
    jinja::Value messages, const ChatOptions& options) const {
  jinja::Interpreter interpreter({}, options.now);
  interpreter.Set("messages", std::move(messages));
  interpreter.Set("add_generation_prompt", options.add_generation_prompt);
  interpreter.Set("bos_token", bos);
  interpreter.Set("eos_token", eos);
  // Hugging Face's tools say none where there are none.
  for (const char* name : {"tools", "documents"})
    interpreter.Set(name, jinja::Value::None());
  if (!options.tools_json.empty()) {
    WEFT_ASSIGN_OR_RETURN(jinja::Value tools,
                          ReadJson("tools", options.tools_json));
    interpreter.Set("tools", std::move(tools));
  }
  if (!options.variables_json.empty()) {
    WEFT_ASSIGN_OR_RETURN(const jinja::Value variables,
                          ReadJson("variables", options.variables_json));
    if (!variables.is_dict())
      return absl::InvalidArgumentError("variables: expected a JSON object");
    for (const auto& [name, value] : variables.dict()->entries)
      interpreter.Set(name.ToString(), value);
  }
  return Named(source_name, interpreter.Run(*root));
}

}  // namespace weft::inline v0
