#include "tools/chat.h"

#include <algorithm>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/utf8.h"

namespace weft::inline v0 {

absl::StatusOr<Chat> Chat::Make(TextModel* model, ChatTemplate chat,
                                ChatSetup setup) {
  WEFT_ASSIGN_OR_RETURN(Generator generator,
                        Generator::Make(model, setup.generator));
  Chat made(model, std::move(chat), std::move(setup), std::move(generator));
  if (!made.setup_.system.empty())
    made.messages_.push_back({"system", made.setup_.system});
  return made;
}

absl::StatusOr<std::vector<Token>> Chat::EncodeAll(
    absl::string_view text) const {
  const Tokenizer& tokenizer = model_->tokenizer();
  WEFT_ASSIGN_OR_RETURN(
      std::vector<Token> tokens,
      tokenizer.Encode(text, {.add_special = true, .parse_special = true}));
  // Most templates write BOS themselves; the text goes on, so EOS goes.
  if (tokens.size() > 1 && tokens[0] == tokenizer.bos() &&
      tokens[1] == tokenizer.bos())
    tokens.erase(tokens.begin());
  WEFT_ASSIGN_OR_RETURN(const std::vector<Token> plain,
                        tokenizer.Encode(text, {.parse_special = true}));
  const bool ends_itself = !plain.empty() && plain.back() == tokenizer.eos();
  if (!tokens.empty() && tokens.back() == tokenizer.eos() && !ends_itself)
    tokens.pop_back();
  return tokens;
}

absl::StatusOr<std::vector<Token>> Chat::EncodeRest(
    absl::string_view rest) const {
  if (rest.empty()) return std::vector<Token>();
  const Tokenizer& tokenizer = model_->tokenizer();
  WEFT_ASSIGN_OR_RETURN(std::vector<Token> tokens,
                        tokenizer.Encode(rest, {.parse_special = true}));
  if (tokens.empty()) return tokens;
  // SentencePiece puts a space before a text.
  WEFT_ASSIGN_OR_RETURN(const std::string first,
                        tokenizer.Piece(tokens[0], true));
  if (!absl::StartsWith(rest, first)) tokens.clear();
  return tokens;
}

absl::StatusOr<std::pair<int64_t, std::vector<Token>>> Chat::Plan(
    const std::string& text) const {
  std::vector<Token> tokens = pending_;
  if (!text_.empty() && absl::StartsWith(text, text_)) {
    WEFT_ASSIGN_OR_RETURN(
        const std::vector<Token> rest,
        EncodeRest(absl::string_view(text).substr(text_.size())));
    tokens.insert(tokens.end(), rest.begin(), rest.end());
    if (!rest.empty())
      return std::make_pair(static_cast<int64_t>(seen_.size()), tokens);
  }
  // Anew, but for the beginning that is the same.
  WEFT_ASSIGN_OR_RETURN(tokens, EncodeAll(text));
  if (tokens.empty())
    return absl::InvalidArgumentError("the chat template gives no text");
  size_t same = static_cast<size_t>(
      std::mismatch(tokens.begin(), tokens.end(), seen_.begin(), seen_.end())
          .first -
      tokens.begin());
  same = std::min(same, tokens.size() - 1);
  tokens.erase(tokens.begin(),
               tokens.begin() + static_cast<std::ptrdiff_t>(same));
  return std::make_pair(static_cast<int64_t>(same), tokens);
}

absl::StatusOr<StopReason> Chat::Say(absl::string_view user) {
  std::vector<ChatMessage> messages = messages_;
  messages.push_back({"user", std::string(user)});
  WEFT_ASSIGN_OR_RETURN(std::string text,
                        chat_.Render(messages, setup_.options));
  WEFT_ASSIGN_OR_RETURN(const auto plan, Plan(text));
  auto [kept, tokens] = plan;
  model_->Rewind(kept);  // also where there is no room for the tokens
  // A model that cannot go back so far has forgotten more.
  if (const int64_t left = model_->position(); left < kept) {
    tokens.insert(tokens.begin(), seen_.begin() + left, seen_.begin() + kept);
    kept = left;
  }
  absl::StatusOr<StopReason> reason = generator_.Answer(kept, tokens);
  // What the model has in its cache now, whatever happened.
  seen_.resize(static_cast<size_t>(std::min(kept, model_->position())));
  std::vector<Token> behind = tokens;
  behind.insert(behind.end(), generator_.generated().begin(),
                generator_.generated().end());
  const auto evaluated = static_cast<size_t>(std::max<int64_t>(
      model_->position() - static_cast<int64_t>(seen_.size()), 0));
  const size_t now = std::min(evaluated, behind.size());
  seen_.insert(seen_.end(), behind.begin(),
               behind.begin() + static_cast<std::ptrdiff_t>(now));
  if (!reason.ok() || now < tokens.size()) {
    // Not even the question was read: it can be asked again.
    text_.clear();
    pending_.clear();
    return reason;
  }
  pending_.assign(behind.begin() + static_cast<std::ptrdiff_t>(now),
                  behind.end());
  turn_ = {kept, static_cast<int64_t>(tokens.size())};

  Utf8Stream stream;
  std::string answer;
  for (const Token token : generator_.generated()) {
    WEFT_ASSIGN_OR_RETURN(const std::string piece,
                          model_->tokenizer().Piece(token));
    answer += stream.Push(piece);
  }
  answer += stream.Finish();
  text_ = absl::StrCat(text, answer);
  messages.push_back({"assistant", std::move(answer)});
  messages_ = std::move(messages);
  return reason;
}

}  // namespace weft::inline v0
