#include "graph/status_macros.h"
#include "models/c_api/handles.h"
#include "models/chat_template.h"

using weft::Token;
using weft::c_api::Call;
using weft::c_api::Give;
using weft::c_api::GiveAll;
using weft::c_api::IsNull;

weft_code weft_tokenize(const weft_model* model, const char* text, size_t size,
                        int flags, int32_t* tokens, size_t capacity,
                        size_t* count, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (model == nullptr) return IsNull("the model");
    if (text == nullptr && size > 0) return IsNull("the text");
    WEFT_ASSIGN_OR_RETURN(
        const std::vector<Token> all,
        model->model->tokenizer().Encode(
            {text, size},
            {.add_special = (flags & WEFT_ADD_SPECIAL) != 0,
             .parse_special = (flags & WEFT_PARSE_SPECIAL) != 0}));
    return GiveAll<int32_t>(all, tokens, capacity, count);
  });
}

weft_code weft_detokenize(const weft_model* model, const int32_t* tokens,
                          size_t count, int flags, char* text, size_t capacity,
                          size_t* size, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (model == nullptr) return IsNull("the model");
    if (tokens == nullptr && count > 0) return IsNull("the tokens");
    WEFT_ASSIGN_OR_RETURN(
        const std::string all,
        model->model->tokenizer().Decode({tokens, count},
                                         (flags & WEFT_SHOW_SPECIAL) != 0));
    return Give(all, text, capacity, size);
  });
}

weft_code weft_token_piece(const weft_model* model, int32_t token, int flags,
                           char* text, size_t capacity, size_t* size,
                           weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (model == nullptr) return IsNull("the model");
    WEFT_ASSIGN_OR_RETURN(const std::string piece,
                          model->model->tokenizer().Piece(
                              token, (flags & WEFT_SHOW_SPECIAL) != 0));
    return Give(piece, text, capacity, size);
  });
}

int weft_token_is_end(const weft_model* model, int32_t token) {
  return model != nullptr && model->model->tokenizer().IsEndOfGeneration(token);
}

weft_code weft_chat(const weft_model* model, const weft_chat_message* messages,
                    size_t count, char* text, size_t capacity, size_t* size,
                    weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (model == nullptr) return IsNull("the model");
    if (messages == nullptr && count > 0) return IsNull("the messages");
    std::vector<weft::ChatMessage> all;
    for (const weft_chat_message& m : absl::MakeConstSpan(messages, count)) {
      if (m.role == nullptr || m.content == nullptr)
        return IsNull("a message's role or content");
      all.push_back({m.role, m.content});
    }
    WEFT_ASSIGN_OR_RETURN(const weft::ChatTemplate chat,
                          weft::ChatTemplate::FromFile(
                              model->model->file(), model->model->tokenizer()));
    WEFT_ASSIGN_OR_RETURN(const std::string rendered, chat.Render(all, {}));
    return Give(rendered, text, capacity, size);
  });
}
