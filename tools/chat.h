// A conversation with a model.
#ifndef WEFT_TOOLS_CHAT_H_
#define WEFT_TOOLS_CHAT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/chat_template.h"
#include "tools/generator.h"
#include "tools/text_model.h"

namespace weft::inline v0 {

struct ChatSetup {
  std::string system = {};  // the system prompt; "" for none
  ChatOptions options = {};
  GeneratorOptions generator = {};
};

// What one turn took.
struct ChatStats {
  int64_t kept = 0;  // tokens of the conversation that were evaluated before
  int64_t read = 0;  // and that were evaluated now
};

// Turns of a user and a model. What was said stays in the model's KV cache:
// each turn evaluates what the template puts behind it, and more only where the
// template writes earlier turns in another way than before (some drop what a
// model thought). Not thread-safe.
class Chat {
 public:
  // `model` outlives this.
  static absl::StatusOr<Chat> Make(TextModel* model, ChatTemplate chat,
                                   ChatSetup setup);

  // The model's answer to `text` goes to the generator's `write` as it is made.
  // After an error the conversation is as it was. An answer that was
  // interrupted stays in the conversation as far as it came.
  absl::StatusOr<StopReason> Say(absl::string_view text);

  const GeneratorStats& stats() const { return generator_.stats(); }
  const ChatStats& turn() const { return turn_; }

 private:
  Chat(TextModel* model, ChatTemplate chat, ChatSetup setup,
       Generator generator)
      : model_(model),
        chat_(std::move(chat)),
        setup_(std::move(setup)),
        generator_(std::move(generator)) {}

  absl::StatusOr<std::vector<Token>> EncodeAll(absl::string_view text) const;
  // The tokens of a text that goes on behind others, or nothing where they
  // would be others than within a longer text.
  absl::StatusOr<std::vector<Token>> EncodeRest(absl::string_view rest) const;
  // How many positions to keep, and the tokens behind them.
  absl::StatusOr<std::pair<int64_t, std::vector<Token>>> Plan(
      const std::string& text) const;

  TextModel* model_;
  ChatTemplate chat_;
  ChatSetup setup_;
  Generator generator_;
  ChatStats turn_;
  std::vector<ChatMessage> messages_;
  std::string text_;            // the conversation as the model has it
  std::vector<Token> seen_;     // its tokens that were evaluated
  std::vector<Token> pending_;  // and the others
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_CHAT_H_
