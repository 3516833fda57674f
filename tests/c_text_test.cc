// weft.h: conversations, vectors of texts, and prompts that report.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "models/c_api/handles.h"
#include "models/chat_template.h"
#include "tests/gguf_builder.h"
#include "tests/greedy.h"
#include "tests/tiny_llama.h"

namespace weft::inline v0 {
namespace {

class CTextTest : public testing::Test {
 protected:
  CTextTest() { model_.model = TinyModel(); }
  ~CTextTest() override { weft_session_free(session_); }
  void Open(int embeddings, int64_t batch = 0) {
    weft_session_options o = {};
    o.size = sizeof o;
    o.embeddings = embeddings;
    o.batch = batch;
    ASSERT_EQ(weft_session_new(&model_, &o, &session_, &error_), WEFT_OK)
        << error_.message;
  }

  weft_model model_;
  weft_session* session_ = nullptr;
  weft_error error_;
};

TEST_F(CTextTest, ChatRendersTheModelsTemplate) {
  const std::string file =
      TinyLlama()
          .String("tokenizer.chat_template",
                  "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]"
                  "{{ m['content'] }}{% endfor %}"
                  "{% if add_generation_prompt %}[assistant]{% endif %}")
          .Build();
  weft_model* model = nullptr;
  ASSERT_EQ(weft_model_load_memory(file.data(), file.size(), "chat", nullptr,
                                   &model, &error_),
            WEFT_OK)
      << error_.message;
  const weft_chat_message messages[] = {{"system", "be brief"}, {"user", "hi"}};
  const std::string want = "<s>[system]be brief[user]hi[assistant]";
  size_t size = 0;
  ASSERT_EQ(weft_chat(model, messages, 2, nullptr, 0, &size, &error_), WEFT_OK)
      << error_.message;
  EXPECT_EQ(size, want.size());
  char text[64] = "";
  ASSERT_EQ(weft_chat(model, messages, 2, text, sizeof text, &size, &error_),
            WEFT_OK);
  EXPECT_EQ(text, want);
  const std::vector<ChatMessage> same = {{"system", "be brief"},
                                         {"user", "hi"}};
  const auto engines =
      ChatTemplate::FromFile(model->model->file(), model->model->tokenizer());
  EXPECT_EQ(*engines->Render(same, {}), want);
  const weft_chat_message broken[] = {{"user", nullptr}};
  EXPECT_EQ(weft_chat(model, broken, 1, text, sizeof text, &size, &error_),
            WEFT_INVALID_ARGUMENT);
  EXPECT_EQ(weft_chat(model, nullptr, 1, text, sizeof text, &size, &error_),
            WEFT_INVALID_ARGUMENT);
  weft_model_free(model);
  EXPECT_EQ(weft_chat(&model_, messages, 2, text, sizeof text, &size, &error_),
            WEFT_FAILED_PRECONDITION);
  EXPECT_TRUE(Says(error_.message, "CHAT-1"));
}

TEST_F(CTextTest, EmbedsAsTheEngineDoes) {
  Open(1);
  const std::vector<Token> tokens = {1, 7, 3, 12};
  // Asking for the size costs nothing and changes nothing.
  size_t size = 0;
  std::vector<float> vector(40, -7);
  for (const size_t capacity : {size_t{0}, size_t{31}}) {
    ASSERT_EQ(weft_embed(session_, tokens.data(), tokens.size(), vector.data(),
                         capacity, &size, &error_),
              WEFT_OK)
        << error_.message;
    EXPECT_EQ(size, 32u);
    EXPECT_EQ(vector[0], -7);
    EXPECT_EQ(weft_session_position(session_, 0), 0);
  }
  ASSERT_EQ(weft_embed(session_, tokens.data(), tokens.size(), vector.data(),
                       vector.size(), &size, &error_),
            WEFT_OK)
      << error_.message;
  EXPECT_EQ(size, 32u);
  EXPECT_EQ(vector[32], -7);
  EXPECT_EQ(weft_session_position(session_, 0), 4);
  vector.resize(32);
  SessionOptions options;
  options.embeddings = true;
  EXPECT_EQ(vector, *(*TinyModel()->NewSession(options))->Embed(tokens));
  EXPECT_EQ(weft_embed(session_, tokens.data(), 4, nullptr, 40, &size, &error_),
            WEFT_INVALID_ARGUMENT);
  EXPECT_EQ(weft_embed(session_, tokens.data(), 4, vector.data(), 0, nullptr,
                       &error_),
            WEFT_INVALID_ARGUMENT);
}

TEST_F(CTextTest, SessionsOfLogitsEmbedNothing) {
  Open(0);
  const int32_t token = 3;
  size_t size = 0;
  EXPECT_EQ(weft_embed(session_, &token, 1, nullptr, 0, &size, &error_),
            WEFT_FAILED_PRECONDITION);
}

TEST_F(CTextTest, PrefillTellsItsProgressAndEnds) {
  Open(0, 4);
  struct Seen {
    std::vector<int64_t> done;
    int64_t cancel_at = 100;
  } seen;
  const weft_progress progress = [](void* user, int64_t done, int64_t total) {
    auto& s = *static_cast<Seen*>(user);
    EXPECT_EQ(total, 10);
    s.done.push_back(done);
    return done >= s.cancel_at ? 1 : 0;
  };
  const std::vector<Token> tokens(10, 5);
  ASSERT_EQ(weft_prefill(session_, 0, tokens.data(), 10, progress, &seen,
                         nullptr, &error_),
            WEFT_OK);
  EXPECT_EQ(seen.done, (std::vector<int64_t>{4, 8, 10}));
  weft_session_truncate(session_, 0, 0);
  seen.cancel_at = 4;
  EXPECT_EQ(weft_prefill(session_, 0, tokens.data(), 10, progress, &seen,
                         nullptr, &error_),
            WEFT_CANCELLED);
  // The sequence is as it was before the chunk that did not come.
  EXPECT_EQ(weft_session_position(session_, 0), 4);
  EXPECT_EQ(weft_decode(session_, 0, 3, nullptr, &error_), WEFT_OK);
}

}  // namespace
}  // namespace weft::inline v0
