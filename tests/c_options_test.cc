// Every field of weft.h's options does what its C++ namesake does.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "models/c_api/handles.h"
#include "tests/gguf_builder.h"
#include "tests/greedy.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

using Rows = std::vector<float>;

// A prompt and a token after it.
const std::vector<Token> kPrompt = {1, 7, 3, 12, 7};

Rows RowsOf(weft_session* session) {
  weft_error error;
  const float* row = nullptr;
  const auto width = static_cast<size_t>(weft_session_row_size(session));
  Rows all;
  EXPECT_EQ(weft_prefill(session, 0, kPrompt.data(), kPrompt.size(), nullptr,
                         nullptr, &row, &error),
            WEFT_OK)
      << error.message;
  all.assign(row, row + width);
  EXPECT_EQ(weft_decode(session, 0, 9, &row, &error), WEFT_OK) << error.message;
  all.insert(all.end(), row, row + width);
  return all;
}

Rows RowsOf(const Model& model, const SessionOptions& options) {
  auto session = model.NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  const auto first = *(*session)->Prefill(0, kPrompt);
  Rows all(first.begin(), first.end());
  const auto second = *(*session)->Decode(0, 9);
  all.insert(all.end(), second.begin(), second.end());
  return all;
}

float Worst(const Rows& a, const Rows& b) {
  if (a.size() != b.size()) return HUGE_VALF;
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

// ---- Models ----

class CModelOptions : public testing::Test {
 protected:
  CModelOptions() { options_.size = sizeof options_; }
  ~CModelOptions() override { weft_model_free(model_); }
  weft_code Load() {
    weft_model_free(model_);
    model_ = nullptr;
    return weft_model_load(TinyLlamaPath().c_str(), &options_, &model_,
                           &error_);
  }
  Rows LoadedRows() {
    EXPECT_EQ(Load(), WEFT_OK) << error_.message;
    weft_session* session = nullptr;
    EXPECT_EQ(weft_session_new(model_, nullptr, &session, &error_), WEFT_OK);
    Rows rows = RowsOf(session);
    weft_session_free(session);
    return rows;
  }

  weft_model_options options_ = {};
  weft_model* model_ = nullptr;
  weft_error error_;
};

bool IsMapped(const std::string& path) {
  std::ifstream maps("/proc/self/maps");
  std::stringstream all;
  all << maps.rdbuf();
  return Says(all.str(), path);
}

TEST_F(CModelOptions, ReadIntoMemoryLeavesNoMapping) {
  ASSERT_EQ(Load(), WEFT_OK);
  EXPECT_TRUE(IsMapped(TinyLlamaPath()));
  options_.read_into_memory = 1;
  ASSERT_EQ(Load(), WEFT_OK);
  EXPECT_FALSE(IsMapped(TinyLlamaPath()));
}

TEST_F(CModelOptions, NoTokenizerRefusesTexts) {
  size_t count = 0;
  options_.no_tokenizer = 1;
  ASSERT_EQ(Load(), WEFT_OK);
  EXPECT_EQ(weft_tokenize(model_, "a", 1, 0, nullptr, 0, &count, &error_),
            WEFT_FAILED_PRECONDITION);
  EXPECT_GT(weft_model_vocab_size(model_), 0);
}

TEST_F(CModelOptions, ProgressIsToldAndMayCancel) {
  struct Seen {
    int64_t done = -1, total = 0;
    int result = 0;
  } seen;
  options_.progress = [](void* user, int64_t done, int64_t total) {
    auto& s = *static_cast<Seen*>(user);
    s.done = done;
    s.total = total;
    return s.result;
  };
  options_.progress_user = &seen;
  ASSERT_EQ(Load(), WEFT_OK);
  EXPECT_EQ(seen.done, 1000);
  EXPECT_EQ(seen.total, 1000);
  seen.result = 1;
  EXPECT_EQ(Load(), WEFT_CANCELLED);
}

TEST_F(CModelOptions, AdaptersAreAppliedWithTheirScales) {
  std::string path = ScratchPath("adapter.gguf");
  WriteBytes(path, TinyAdapter().Build());
  const Rows without = LoadedRows();
  LoadOptions load;
  const auto expect_equal = [&](float scale) {
    load.adapters = {{path, scale}};
    const auto model = Model::Load(TinyLlamaPath(), load);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(LoadedRows(), RowsOf(**model, {})) << scale;
  };
  const char* const paths[] = {path.c_str()};
  options_.adapters = paths;
  options_.adapter_count = 1;
  expect_equal(1);
  EXPECT_NE(LoadedRows(), without);
  for (const float scale : {0.5f, 0.0f}) {
    options_.adapter_scales = &scale;
    expect_equal(scale);
    EXPECT_EQ(LoadedRows() == without, scale == 0);
  }
}

// ---- Sessions ----

// What makes a difference, to the rows and to the memory.
struct Option {
  const char* name;
  void (*c)(weft_session_options& o);
  void (*cpp)(SessionOptions& o);
  bool other_rows, other_bytes;
  float tolerance = 0;  // of rows that are other ones
};

// 0.2: what 8 bits for a value make of logits up to 6.
const Option kOptions[] = {
    {"context", [](auto& o) { o.context = 48; },
     [](auto& o) { o.context = 48; }, false, true},
    {"batch", [](auto& o) { o.batch = 4; }, [](auto& o) { o.batch = 4; }, false,
     true},
    {"logits_rows", [](auto& o) { o.logits_rows = 64; },
     [](auto& o) { o.logits_rows = 64; }, false, true},
    {"slots", [](auto& o) { o.slots = 2; }, [](auto& o) { o.slots = 2; }, false,
     true},
    {"exact", [](auto& o) { o.exact = 1; },
     [](auto& o) { o.numerics = Numerics::kExact; }, true, true, 0.2f},
    {"kv_k", [](auto& o) { o.kv_k = "q8_0"; },
     [](auto& o) { o.kv_k = DType::kQ8_0; }, true, true, 0.2f},
    {"kv_v", [](auto& o) { o.kv_v = "f32"; },
     [](auto& o) { o.kv_v = DType::kF32; }, true, true, 0.2f},
    {"backend", [](auto& o) { o.backend = "reference"; },
     [](auto& o) { o.backend = "reference"; }, true, true, 0.2f},
    {"pack_weights", [](auto& o) { o.pack_weights = 1; },
     [](auto& o) { o.pack_weights = true; }, false, true},
};

class CSessionOptions : public testing::Test {
 protected:
  CSessionOptions() { model_.model = TinyModel(); }
  // A session with them; freed by the test.
  weft_session* Open(const weft_session_options& o) {
    weft_session* session = nullptr;
    EXPECT_EQ(weft_session_new(&model_, &o, &session, &error_), WEFT_OK)
        << error_.message;
    return session;
  }
  int64_t Estimate(const weft_session_options& o) {
    int64_t bytes = 0;
    EXPECT_EQ(weft_session_estimate(&model_, &o, &bytes, &error_), WEFT_OK)
        << error_.message;
    return bytes;
  }
  static weft_session_options Defaults() {
    weft_session_options o = {};
    o.size = sizeof o;
    o.threads = 1;
    return o;
  }
  static SessionOptions CppDefaults() {
    SessionOptions o;
    o.backend_options.threads = 1;
    return o;
  }

  weft_model model_;
  weft_error error_;
};

TEST_F(CSessionOptions, AreThoseOfCpp) {
  weft_session* plain = Open(Defaults());
  const Rows usual = RowsOf(plain);
  weft_session_free(plain);
  for (const Option& option : kOptions) {
    SCOPED_TRACE(option.name);
    weft_session_options o = Defaults();
    option.c(o);
    SessionOptions cpp = CppDefaults();
    option.cpp(cpp);
    weft_session* session = Open(o);
    ASSERT_NE(session, nullptr);
    const Rows rows = RowsOf(session);
    weft_session_free(session);
    EXPECT_EQ(rows, RowsOf(*TinyModel(), cpp));
    EXPECT_EQ(rows != usual, option.other_rows);
    EXPECT_LE(Worst(rows, usual), option.tolerance);
    const auto estimate = TinyModel()->Estimate(cpp);
    ASSERT_TRUE(estimate.ok());
    EXPECT_EQ(Estimate(o), estimate->session.total() + estimate->packed);
    EXPECT_EQ(Estimate(o) != Estimate(Defaults()), option.other_bytes);
  }
}

TEST_F(CSessionOptions, KvTypesChangeASavedSequence) {
  const auto state_size = [&](const char* k, const char* v) {
    weft_session_options o = Defaults();
    o.kv_k = k;
    o.kv_v = v;
    weft_session* session = Open(o);
    RowsOf(session);
    const auto size = static_cast<int64_t>(weft_session_state_size(session, 0));
    weft_session_free(session);
    return size;
  };
  // Two layers, 6 positions, 16 values each; f16 takes 2 bytes, f32 twice that.
  const int64_t f16 = state_size(nullptr, nullptr);
  EXPECT_EQ(state_size("f32", nullptr) - f16, 2 * 6 * 16 * 2);
  EXPECT_EQ(state_size("f32", "f32") - f16, 2 * 6 * 16 * 4);
}

TEST_F(CSessionOptions, LogitsRowsBoundAStep) {
  const weft_step_token tokens[] = {{3, 0, 1}, {4, 0, 1}, {5, 0, 1}};
  const float* rows = nullptr;
  size_t count = 0;
  for (const int64_t wanted : {0, 2, 3}) {
    weft_session_options o = Defaults();
    o.logits_rows = wanted;
    weft_session* session = Open(o);
    EXPECT_EQ(weft_step(session, tokens, 3, &rows, &count, &error_),
              wanted == 3 ? WEFT_OK : WEFT_INVALID_ARGUMENT);
    weft_session_free(session);
  }
  EXPECT_EQ(count, 3u);
}

TEST_F(CSessionOptions, BatchBoundsAStep) {
  weft_session_options o = Defaults();
  o.batch = 2;
  weft_session* session = Open(o);
  const weft_step_token tokens[] = {{3, 0, 0}, {4, 0, 0}, {5, 0, 1}};
  EXPECT_EQ(weft_step(session, tokens, 3, nullptr, nullptr, &error_),
            WEFT_INVALID_ARGUMENT);
  EXPECT_STREQ(error_.message,
               "a step of 3 tokens; this session takes up to batch = 2");
  EXPECT_EQ(weft_step(session, tokens, 2, nullptr, nullptr, &error_), WEFT_OK);
  EXPECT_EQ(weft_session_position(session, 0), 2);
  weft_session_free(session);
}

TEST_F(CSessionOptions, SlotsAreSequences) {
  weft_session_options o = Defaults();
  o.slots = 2;
  weft_session* session = Open(o);
  EXPECT_EQ(weft_decode(session, 1, 3, nullptr, &error_), WEFT_OK);
  EXPECT_EQ(weft_decode(session, 2, 3, nullptr, &error_), WEFT_OUT_OF_RANGE);
  EXPECT_EQ(weft_session_position(session, 1), 1);
  for (const int32_t slot : {-1, 2}) {
    EXPECT_EQ(weft_session_position(session, slot), 0);
    EXPECT_EQ(weft_session_truncate(session, slot, 0), 0);
    EXPECT_EQ(weft_session_state_size(session, slot), 0u);
  }
  weft_session_free(session);
}

TEST_F(CSessionOptions, EmbeddingsChangeTheRows) {
  weft_session_options o = Defaults();
  weft_session* session = Open(o);
  EXPECT_EQ(weft_session_row_size(session), weft_model_vocab_size(&model_));
  weft_session_free(session);
  o.embeddings = 1;
  session = Open(o);
  EXPECT_EQ(weft_session_row_size(session), 32);
  SessionOptions cpp = CppDefaults();
  cpp.embeddings = true;
  EXPECT_EQ(RowsOf(session), RowsOf(*TinyModel(), cpp));
  weft_session_free(session);
  EXPECT_EQ(weft_session_row_size(nullptr), 0);
}

TEST_F(CSessionOptions, TargetIsTheInstructionSet) {
  const auto backend = MakeBackend("cpu");
  ASSERT_TRUE(backend.ok());
  const std::string last = (*backend)->Targets().back();
  weft_session_options o = Defaults();
  o.target = last.c_str();
  weft_session* session = Open(o);
  EXPECT_EQ(session->session->plan().target, last);
  weft_session_free(session);
  o.target = "Z80";
  EXPECT_EQ(weft_session_new(&model_, &o, &session, &error_),
            WEFT_INVALID_ARGUMENT);
  EXPECT_TRUE(Says(error_.message, "Z80"));
}

TEST_F(CSessionOptions, MaxBytesIsALimit) {
  weft_session_options o = Defaults();
  o.max_bytes = Estimate(o) - 1;
  weft_session* session = nullptr;
  EXPECT_EQ(weft_session_new(&model_, &o, &session, &error_),
            WEFT_RESOURCE_EXHAUSTED);
  ++o.max_bytes;
  weft_session_free(Open(o));
}

struct Host {
  std::map<void*, size_t> live;
  int64_t taken = 0;
  int runs = 0;
};

TEST_F(CSessionOptions, MemoryIsTheHosts) {
  Host host;
  weft_session_options o = Defaults();
  o.allocate = [](void* user, size_t bytes, size_t alignment) {
    auto& h = *static_cast<Host*>(user);
    void* const at = std::aligned_alloc(
        alignment, (bytes + alignment - 1) / alignment * alignment);
    h.live[at] = bytes;
    h.taken += static_cast<int64_t>(bytes);
    return at;
  };
  o.release = [](void* user, void* memory, size_t bytes) {
    auto& h = *static_cast<Host*>(user);
    EXPECT_EQ(h.live[memory], bytes);
    h.live.erase(memory);
    std::free(memory);
  };
  o.memory_user = &host;
  const int64_t estimate = Estimate(o);
  EXPECT_EQ(host.taken, 0);
  weft_session* session = Open(o);
  EXPECT_EQ(host.taken, estimate);
  EXPECT_FALSE(host.live.empty());
  EXPECT_EQ(RowsOf(session), RowsOf(*TinyModel(), CppDefaults()));
  weft_session_free(session);
  EXPECT_TRUE(host.live.empty());
  o.release = nullptr;
  EXPECT_EQ(weft_session_new(&model_, &o, &session, &error_),
            WEFT_INVALID_ARGUMENT);
}

TEST_F(CSessionOptions, ThreadsAreTheHosts) {
  Host host;
  weft_session_options o = Defaults();
  o.context = 512;  // steps that are worth splitting
  const std::vector<Token> text(512, 7);
  const auto last_row = [&] {
    weft_session* session = Open(o);
    const float* row = nullptr;
    EXPECT_EQ(weft_prefill(session, 0, text.data(), text.size(), nullptr,
                           nullptr, &row, &error_),
              WEFT_OK)
        << error_.message;
    Rows out(row, row + weft_session_row_size(session));
    weft_session_free(session);
    return out;
  };
  const Rows alone = last_row();
  o.threads = 3;
  EXPECT_EQ(last_row(), alone);
  o.run = [](void* user, int count, void (*task)(void*, int), void* context) {
    ++static_cast<Host*>(user)->runs;
    EXPECT_LE(count, 3);
    for (int i = count; i-- > 0;) task(context, i);
  };
  o.run_user = &host;
  EXPECT_EQ(last_row(), alone);
  EXPECT_GT(host.runs, 0);
}

// Texts that the options point to may go when the call has returned.
TEST_F(CSessionOptions, TextsAreNotKept) {
  weft_session* session = nullptr;
  {
    std::string k = "f32", backend = "cpu", target = "", cache = "/dev/null/x";
    weft_session_options o = Defaults();
    o.kv_k = k.c_str();
    o.backend = backend.c_str();
    o.target = target.c_str();
    o.pack_weights = 1;
    o.pack_cache = cache.c_str();
    session = Open(o);
    for (std::string* text : {&k, &backend, &target, &cache})
      std::fill(text->begin(), text->end(), '#');
  }
  SessionOptions cpp = CppDefaults();
  cpp.kv_k = DType::kF32;
  EXPECT_EQ(RowsOf(session), RowsOf(*TinyModel(), cpp));
  weft_session_free(session);
}

}  // namespace
}  // namespace weft::inline v0
