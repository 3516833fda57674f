// weft.h does what it says; the C program and the ctypes script among the
// examples are what users see of it.
#include "models/c_api/weft.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "models/sampler.h"
#include "tests/gguf_builder.h"
#include "tests/greedy.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

class CApiTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(
        weft_model_load(TinyLlamaPath().c_str(), nullptr, &model_, &error_),
        WEFT_OK)
        << error_.message;
    ASSERT_EQ(weft_session_new(model_, nullptr, &session_, &error_), WEFT_OK)
        << error_.message;
  }
  void TearDown() override {
    weft_model_free(model_);  // the session keeps what it needs
    weft_session_free(session_);
  }
  std::vector<Token> Generate(weft_session* session, int count) {
    const int32_t prompt[] = {1, 7, 3};
    const float* logits = nullptr;
    EXPECT_EQ(
        weft_prefill(session, 0, prompt, 3, nullptr, nullptr, &logits, &error_),
        WEFT_OK)
        << error_.message;
    std::vector<Token> out;
    const auto n = static_cast<size_t>(weft_model_vocab_size(model_));
    for (int i = 0; i < count; ++i) {
      out.push_back(BestToken({logits, n}));
      EXPECT_EQ(weft_decode(session, 0, out.back(), &logits, &error_), WEFT_OK);
    }
    return out;
  }

  weft_model* model_ = nullptr;
  weft_session* session_ = nullptr;
  weft_error error_;
};

TEST_F(CApiTest, GivesWhatTheEngineGives) {
  const std::vector<Token> prompt = {1, 7, 3};
  const std::vector<Token> want = GreedyAlone(*TinyModel(), prompt, 10);
  EXPECT_EQ(Generate(session_, 10), want);
  EXPECT_EQ(weft_session_position(session_, 0), 13);
  EXPECT_STREQ(weft_model_architecture(model_), "llama");
  EXPECT_EQ(weft_model_trained_context(model_), 64);
}

int ReadFrom(void* user, uint64_t offset, void* into, size_t size) {
  const auto& bytes = *static_cast<const std::string*>(user);
  if (offset + size > bytes.size()) return 1;
  std::memcpy(into, bytes.data() + offset, size);
  return 0;
}

TEST_F(CApiTest, LoadsFromAnywhere) {
  std::string bytes = TinyLlama().Build();
  const auto check = [&](weft_model* model) {
    weft_session* session = nullptr;
    ASSERT_EQ(weft_session_new(model, nullptr, &session, &error_), WEFT_OK);
    weft_model_free(model);
    EXPECT_EQ(Generate(session, 5), Generate(session_, 5));
    EXPECT_EQ(weft_session_truncate(session_, 0, 0), 0);
    weft_session_free(session);
  };
  weft_model* model = nullptr;
  ASSERT_EQ(weft_model_load_memory(bytes.data(), bytes.size(), "m", nullptr,
                                   &model, &error_),
            WEFT_OK)
      << error_.message;
  check(model);
  ASSERT_EQ(weft_model_load_callback(ReadFrom, &bytes, bytes.size(), "c",
                                     nullptr, &model, &error_),
            WEFT_OK)
      << error_.message;
  check(model);
  const int fd = open(TinyLlamaPath().c_str(), O_RDONLY);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(lseek(fd, 100, SEEK_SET), 100);  // does not matter
  for (const int in_memory : {0, 1}) {
    weft_model_options options = {};
    options.size = sizeof options;
    options.read_into_memory = in_memory;
    ASSERT_EQ(weft_model_load_descriptor(fd, "fd", &options, &model, &error_),
              WEFT_OK)
        << error_.message;
    if (in_memory != 0) close(fd);
    check(model);
  }
  EXPECT_EQ(weft_model_load_callback(ReadFrom, &bytes, bytes.size() + 1, "c",
                                     nullptr, &model, &error_),
            WEFT_DATA_LOSS);
  EXPECT_STREQ(error_.message, "the read callback returned 1");
}

TEST_F(CApiTest, ErrorsHaveCodesAndTexts) {
  weft_model* model = nullptr;
  EXPECT_EQ(weft_model_load("/no/such/file", nullptr, &model, &error_),
            WEFT_NOT_FOUND);
  EXPECT_EQ(error_.code, WEFT_NOT_FOUND);
  EXPECT_NE(std::strstr(error_.message, "/no/such/file"), nullptr);
  EXPECT_EQ(weft_model_load(nullptr, nullptr, &model, nullptr),
            WEFT_INVALID_ARGUMENT);
  EXPECT_EQ(model, nullptr);
  EXPECT_EQ(weft_decode(session_, 0, -5, nullptr, &error_), WEFT_OUT_OF_RANGE);
  EXPECT_EQ(weft_decode(nullptr, 0, 5, nullptr, &error_),
            WEFT_INVALID_ARGUMENT);
  // A text that is too long for the buffer is cut off.
  const std::string path(5000, 'x');
  EXPECT_NE(weft_model_load(path.c_str(), nullptr, &model, &error_), WEFT_OK);
  EXPECT_LT(std::strlen(error_.message), sizeof error_.message);
  EXPECT_STREQ(weft_code_name(WEFT_DATA_LOSS), "DATA_LOSS");
}

TEST_F(CApiTest, OptionsOfAnyAge) {
  weft_session* session = nullptr;
  // An older, shorter one: the fields that it has not are the defaults.
  weft_session_options o = {};
  o.size = offsetof(weft_session_options, batch);
  o.context = 32;
  o.batch = -5;  // beyond its end
  ASSERT_EQ(weft_session_new(model_, &o, &session, &error_), WEFT_OK)
      << error_.message;
  weft_session_free(session);
  // A newer one, fine as long as what we do not know is zero.
  struct {
    weft_session_options known;
    int64_t more;
  } newer = {};
  newer.known.size = sizeof newer;
  ASSERT_EQ(weft_session_new(model_, &newer.known, &session, &error_), WEFT_OK);
  weft_session_free(session);
  newer.more = 1;
  EXPECT_EQ(weft_session_new(model_, &newer.known, &session, &error_),
            WEFT_INVALID_ARGUMENT);
  o.size = 0;
  EXPECT_EQ(weft_session_new(model_, &o, &session, &error_),
            WEFT_INVALID_ARGUMENT);
  o = {};
  o.size = sizeof o;
  o.kv_k = "f17";
  EXPECT_EQ(weft_session_new(model_, &o, &session, &error_),
            WEFT_INVALID_ARGUMENT);
  EXPECT_NE(std::strstr(error_.message, "f17"), nullptr);
  o.kv_k = "q8_0";
  o.max_bytes = 1;
  EXPECT_EQ(weft_session_new(model_, &o, &session, &error_),
            WEFT_RESOURCE_EXHAUSTED);
  int64_t bytes = 0;
  ASSERT_EQ(weft_session_estimate(model_, &o, &bytes, &error_), WEFT_OK);
  o.max_bytes = bytes;
  EXPECT_EQ(weft_session_new(model_, &o, &session, &error_), WEFT_OK);
  weft_session_free(session);
}

TEST_F(CApiTest, PackedWeightsAreKeptInAFolder) {
  const std::vector<Token> want = Generate(session_, 5);
  const auto folder = std::filesystem::path(testing::TempDir()) /
                      ("c_api_pack." + std::to_string(getpid()));
  weft_session_options options = {};
  options.size = sizeof options;
  options.pack_weights = 1;
  const std::string cache = folder.string();
  for (const char* path : {cache.c_str(), "/dev/null/folder"}) {
    options.pack_cache = path;
    weft_session* session = nullptr;
    ASSERT_EQ(weft_session_new(model_, &options, &session, &error_), WEFT_OK)
        << error_.message;
    EXPECT_EQ(weft_session_pack_cache(session, &error_) == WEFT_OK,
              path == cache)
        << error_.message;
    EXPECT_EQ(Generate(session, 5), want);
    weft_session_free(session);
  }
  EXPECT_EQ(std::filesystem::remove_all(folder), 2);  // a file in it
}

TEST_F(CApiTest, TextIsGivenAsBySnprintf) {
  const std::string text = "a b";
  size_t count = 0, size = 0;
  ASSERT_EQ(weft_tokenize(model_, text.data(), text.size(), 0, nullptr, 0,
                          &count, &error_),
            WEFT_OK)
      << error_.message;
  ASSERT_GT(count, 1u);
  std::vector<int32_t> tokens(count);
  ASSERT_EQ(weft_tokenize(model_, text.data(), text.size(), 0, tokens.data(),
                          count, &count, &error_),
            WEFT_OK);
  char back[8] = "#######";
  ASSERT_EQ(weft_detokenize(model_, tokens.data(), count, 0, back, sizeof back,
                            &size, &error_),
            WEFT_OK);
  EXPECT_STREQ(back, "a b");
  ASSERT_EQ(
      weft_detokenize(model_, tokens.data(), count, 0, back, 2, &size, &error_),
      WEFT_OK);
  EXPECT_EQ(size, 3u);
  EXPECT_EQ(weft_token_piece(model_, 1 << 20, 0, back, 8, &size, &error_),
            WEFT_OUT_OF_RANGE);
}

TEST_F(CApiTest, SavesRestoresForksAndCancels) {
  weft_session_options o = {};
  o.size = sizeof o;
  o.slots = 2;
  weft_session* session = nullptr;
  ASSERT_EQ(weft_session_new(model_, &o, &session, &error_), WEFT_OK);
  const std::vector<Token> want = Generate(session, 4);
  std::vector<char> state(weft_session_state_size(session, 0));
  ASSERT_EQ(weft_session_save(session, 0, state.data(), state.size(), &error_),
            WEFT_OK);
  ASSERT_EQ(weft_session_fork(session, 0, 1, &error_), WEFT_OK);
  EXPECT_EQ(weft_session_position(session, 1), 7);
  EXPECT_EQ(weft_session_truncate(session, 1, 0), 0);
  ASSERT_EQ(
      weft_session_restore(session, 1, state.data(), state.size(), &error_),
      WEFT_OK);
  EXPECT_EQ(weft_session_position(session, 1), 7);
  EXPECT_EQ(
      weft_session_restore(session, 1, state.data(), state.size() - 1, &error_),
      WEFT_DATA_LOSS);
  std::thread([&] { weft_session_cancel(session); }).join();
  EXPECT_EQ(weft_decode(session, 1, 3, nullptr, &error_), WEFT_CANCELLED);
  EXPECT_EQ(weft_decode(session, 1, 3, nullptr, &error_), WEFT_OK);
  const weft_step_token both[] = {{3, 0, 1}, {4, 1, 0}};
  const float* logits = nullptr;
  size_t rows = 0;
  ASSERT_EQ(weft_step(session, both, 2, &logits, &rows, &error_), WEFT_OK)
      << error_.message;
  EXPECT_EQ(rows, 1u);
  weft_session_free(session);
}

TEST_F(CApiTest, ShowsGraphFusionsAndOutputs) {
  ASSERT_FALSE(Generate(session_, 1).empty());
  const auto text = [&](auto function) {
    size_t size = 0;
    EXPECT_EQ(function(session_, nullptr, 0, &size, &error_), WEFT_OK);
    std::string out(size, ' ');
    EXPECT_EQ(function(session_, out.data(), size, &size, &error_), WEFT_OK);
    return out;
  };
  EXPECT_TRUE(Says(text(weft_session_graph), "output logits"));
  EXPECT_TRUE(Says(text(weft_session_fusion_report), "dequant_matmul: 15"));
  weft_tensor tensor;
  ASSERT_EQ(weft_session_output(session_, "logits", &tensor, &error_), WEFT_OK);
  EXPECT_EQ(std::string(tensor.dtype), "f32");
  EXPECT_EQ(tensor.rank, 2);
  EXPECT_EQ(tensor.dims[1], weft_model_vocab_size(model_));
  EXPECT_EQ(weft_session_output(session_, "x", &tensor, &error_),
            WEFT_NOT_FOUND);
}

TEST_F(CApiTest, SamplersAreTheEngines) {
  weft_sampler_options o;
  weft_sampler_defaults(&o, sizeof o);
  EXPECT_EQ(o.top_k, SamplerOptions().top_k);
  o.temperature = 0;
  weft_sampler* sampler = nullptr;
  ASSERT_EQ(weft_sampler_new(&o, &sampler, &error_), WEFT_OK);
  const float logits[] = {0, 2, 1};
  int32_t token = 0;
  ASSERT_EQ(weft_sampler_sample(sampler, logits, 3, &token, &error_), WEFT_OK);
  EXPECT_EQ(token, 1);
  EXPECT_EQ(weft_sampler_accept(sampler, 1, &error_), WEFT_OK);
  weft_sampler_free(sampler);
  o.top_p = 7;
  EXPECT_EQ(weft_sampler_new(&o, &sampler, &error_), WEFT_INVALID_ARGUMENT);
}

TEST_F(CApiTest, SamplersKeepToGrammars) {
  weft_sampler_options o;
  weft_sampler_defaults(&o, sizeof o);
  o.temperature = 0;
  weft_sampler* sampler = nullptr;
  o.grammar = "root ::= \"ab\"";
  EXPECT_EQ(weft_sampler_new(&o, &sampler, &error_), WEFT_INVALID_ARGUMENT);
  EXPECT_TRUE(Says(error_.message, "model"));
  o.model = model_;
  ASSERT_EQ(weft_sampler_new(&o, &sampler, &error_), WEFT_OK) << error_.message;
  const std::vector<float> logits(
      static_cast<size_t>(weft_model_vocab_size(model_)));
  const auto generate = [&] {
    std::string text;
    for (int i = 0; i < 3; ++i) {
      int32_t token = 0;
      EXPECT_EQ(weft_sampler_sample(sampler, logits.data(), logits.size(),
                                    &token, &error_),
                WEFT_OK)
          << error_.message;
      if (weft_token_is_end(model_, token)) break;
      EXPECT_EQ(weft_sampler_accept(sampler, token, &error_), WEFT_OK);
      char piece[8];
      size_t size = 0;
      EXPECT_EQ(weft_token_piece(model_, token, 0, piece, 8, &size, &error_),
                WEFT_OK);
      text.append(piece, size);
    }
    return text;
  };
  EXPECT_EQ(generate(), "ab");
  ASSERT_EQ(weft_sampler_reset(sampler, &error_), WEFT_OK);
  EXPECT_EQ(generate(), "ab");
  weft_sampler_free(sampler);
  o.json_schema = "{\"const\": 1}";
  EXPECT_EQ(weft_sampler_new(&o, &sampler, &error_), WEFT_INVALID_ARGUMENT);
  o.grammar = nullptr;
  o.json_schema = "{\"type\": 5}";
  EXPECT_EQ(weft_sampler_new(&o, &sampler, &error_), WEFT_INVALID_ARGUMENT);
  EXPECT_TRUE(Says(error_.message, "SCHEMA-1")) << error_.message;
}

TEST_F(CApiTest, SamplersTakeTheCallersChain) {
  weft_sampler_options o;
  weft_sampler_defaults(&o, sizeof o);
  o.chain = "penalties;top_k";
  o.top_k = 1;
  o.repeat_penalty = 2;
  o.logit_bias = "1-inf";
  o.model = model_;
  weft_sampler* sampler = nullptr;
  ASSERT_EQ(weft_sampler_new(&o, &sampler, &error_), WEFT_OK) << error_.message;
  const std::vector<float> logits = {1, 9, 3, 2};
  const auto sample = [&] {
    int32_t token = -1;
    EXPECT_EQ(weft_sampler_sample(sampler, logits.data(), 4, &token, &error_),
              WEFT_OK)
        << error_.message;
    return token;
  };
  EXPECT_EQ(sample(), 2);  // 1 is the best, and forbidden
  const int32_t prompt[] = {2};
  ASSERT_EQ(weft_sampler_observe(sampler, prompt, 1, &error_), WEFT_OK);
  EXPECT_EQ(sample(), 3);  // 2 has 1.5 now
  ASSERT_EQ(weft_sampler_reset(sampler, &error_), WEFT_OK);
  EXPECT_EQ(sample(), 2);
  weft_sampler_free(sampler);
  o.chain = "top_q";
  EXPECT_EQ(weft_sampler_new(&o, &sampler, &error_), WEFT_INVALID_ARGUMENT);
  EXPECT_TRUE(Says(error_.message, "top_q"));
}

TEST_F(CApiTest, AdaptersAreFiles) {
  const char* const paths[] = {"/no/such/adapter.gguf"};
  weft_model_options options = {};
  options.size = sizeof options;
  options.adapters = paths;
  options.adapter_count = 1;
  weft_model* model = nullptr;
  EXPECT_EQ(weft_model_load(TinyLlamaPath().c_str(), &options, &model, &error_),
            WEFT_NOT_FOUND);
  EXPECT_TRUE(Says(error_.message, paths[0]));
  options.adapters = nullptr;
  EXPECT_EQ(weft_model_load(TinyLlamaPath().c_str(), &options, &model, &error_),
            WEFT_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace weft::inline v0
