// Conversations as the text that a model was trained on.
#ifndef WEFT_MODELS_CHAT_TEMPLATE_H_
#define WEFT_MODELS_CHAT_TEMPLATE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/gguf.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

struct ChatMessage {  // One turn of a conversation.
  std::string role;  // "system", "user", "assistant", "tool", ...
  std::string content;
};

struct ChatOptions {  // How a conversation is written.
  // End where the assistant is to go on.
  bool add_generation_prompt = true;
  // A JSON array of tools as OpenAI describes them; "" for none.
  std::string tools_json = {};
  // A JSON object of further variables, such as {"enable_thinking": false}.
  std::string variables_json = {};
  // What strftime_now shows: seconds since 1970, UTC.
  int64_t now = 0;
};

// A model's template: Jinja, with what Hugging Face's tools add to it
// (trim_blocks and lstrip_blocks, break and continue, tojson, raise_exception,
// strftime_now). It sees the conversation and nothing of the host, and has
// budgets: 4 million steps, 64 MiB of text, 600 levels. Immutable, so safe to
// share between threads.
class ChatTemplate {
 public:
  // The template in tokenizer.chat_template. FailedPrecondition (CHAT-1) where
  // there is none; errors of Make.
  static absl::StatusOr<ChatTemplate> FromFile(const GgufFile& file,
                                               const Tokenizer& tokenizer);
  // `bos` and `eos`: the texts of these tokens, "" for none. `name`: what
  // errors begin with, here and in Render(), such as the file's path.
  // InvalidArgument with line and column for what is no template, Unimplemented
  // naming a tag that weft does not know, ResourceExhausted for more than 1 MiB
  // or 200 levels of nesting.
  static absl::StatusOr<ChatTemplate> Make(absl::string_view source,
                                           std::string bos, std::string eos,
                                           std::string name = "chat template");

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // The conversation as text, to be encoded with parse_special. InvalidArgument
  // for what the template refuses or does wrong, a filter, test or method that
  // weft does not know (by name, with its line), and for JSON that is none;
  // ResourceExhausted beyond the budgets.
  absl::StatusOr<std::string> Render(absl::Span<const ChatMessage> messages,
                                     const ChatOptions& options) const;
  // The same with the messages as a JSON array, which may hold more than text.
  absl::StatusOr<std::string> RenderJson(absl::string_view messages_json,
                                         const ChatOptions& options) const;

 private:
  struct Parsed;
  explicit ChatTemplate(std::unique_ptr<const Parsed> parsed);
  std::unique_ptr<const Parsed> parsed_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_CHAT_TEMPLATE_H_
