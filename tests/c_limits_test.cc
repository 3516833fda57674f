// Cancellation, progress and limits by weft.h.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "models/c_api/weft.h"
#include "tests/gguf_builder.h"
#include "tests/tiny_llama.h"

namespace weft::inline v0 {
namespace {

// Refuses at its nth call, from 1.
struct Refuser {
  int cancel_at = 0;
  int calls = 0;
  int64_t last = -1;
};
int Tell(void* user, int64_t done, int64_t total) {
  auto& refuser = *static_cast<Refuser*>(user);
  EXPECT_EQ(total, 1000);
  EXPECT_GE(done, refuser.last);
  refuser.last = done;
  return ++refuser.calls == refuser.cancel_at ? 7 : 0;
}

struct Source {
  std::string bytes;
  int reads = 0;
};
int ReadFrom(void* user, uint64_t offset, void* into, size_t size) {
  auto& source = *static_cast<Source*>(user);
  ++source.reads;
  if (offset + size > source.bytes.size()) return 1;
  std::memcpy(into, source.bytes.data() + offset, size);
  return 0;
}

class CLimitsTest : public testing::Test {
 protected:
  // As `kind` says: from a path, by a descriptor, a callback or memory.
  weft_code Load(const std::string& kind, const weft_model_options& o) {
    weft_model_free(model_);
    model_ = nullptr;
    if (kind == "memory")
      return weft_model_load_memory(source_.bytes.data(), source_.bytes.size(),
                                    nullptr, &o, &model_, &error_);
    if (kind == "callback")
      return weft_model_load_callback(ReadFrom, &source_, source_.bytes.size(),
                                      nullptr, &o, &model_, &error_);
    const std::string path =
        testing::TempDir() + "/c_limits." + std::to_string(getpid()) + ".gguf";
    const int fd = open(path.c_str(), O_RDWR | O_CREAT, 0600);
    EXPECT_EQ(write(fd, source_.bytes.data(), source_.bytes.size()),
              static_cast<ssize_t>(source_.bytes.size()));
    const weft_code code =
        kind == "descriptor"
            ? weft_model_load_descriptor(fd, nullptr, &o, &model_, &error_)
            : weft_model_load(path.c_str(), &o, &model_, &error_);
    close(fd);
    unlink(path.c_str());
    return code;
  }
  void TearDown() override { weft_model_free(model_); }

  static std::vector<std::string> Kinds() {
    return {"path", "descriptor", "callback", "memory"};
  }
  static weft_model_options Options(Refuser* refuser) {
    weft_model_options o = {};
    o.size = sizeof o;
    o.progress = refuser == nullptr ? nullptr : Tell;
    o.progress_user = refuser;
    return o;
  }

  // 20 MiB: five pieces.
  Source source_{TinyLlama().Tensor("unused", DType::kF32, {5 << 20}).Build()};
  weft_model* model_ = nullptr;
  weft_error error_;
};

TEST_F(CLimitsTest, ProgressEndsALoad) {
  for (const std::string& kind : Kinds())
    for (const int copy : {0, 1}) {
      SCOPED_TRACE(kind + (copy != 0 ? ", copied" : ""));
      Refuser refuser;
      weft_model_options o = Options(&refuser);
      o.read_into_memory = copy;
      ASSERT_EQ(Load(kind, o), WEFT_OK) << error_.message;
      EXPECT_EQ(refuser.last, 1000);
      EXPECT_GE(refuser.calls, 5);
      refuser = {.cancel_at = 2};
      source_.reads = 0;
      EXPECT_EQ(Load(kind, o), WEFT_CANCELLED);
      EXPECT_EQ(model_, nullptr);
      EXPECT_EQ(refuser.calls, 2);
      EXPECT_EQ(source_.reads, kind == "callback" ? 2 : 0);
    }
}

TEST_F(CLimitsTest, CopiesHaveALimit) {
  for (const std::string& kind : Kinds())
    for (const int copy : {0, 1}) {
      SCOPED_TRACE(kind + (copy != 0 ? ", copied" : ""));
      const bool is_copy =
          kind == "callback" || (copy != 0 && kind != "memory");
      weft_model_options o = Options(nullptr);
      o.read_into_memory = copy;
      o.max_bytes = static_cast<int64_t>(source_.bytes.size());
      EXPECT_EQ(Load(kind, o), WEFT_OK) << error_.message;
      --o.max_bytes;
      source_.reads = 0;
      EXPECT_EQ(Load(kind, o), is_copy ? WEFT_RESOURCE_EXHAUSTED : WEFT_OK);
      EXPECT_EQ(source_.reads, 0);
    }
}

TEST_F(CLimitsTest, ProgressEndsPacking) {
  ASSERT_EQ(Load("memory", Options(nullptr)), WEFT_OK) << error_.message;
  Refuser refuser{.cancel_at = 2};
  weft_session_options o = {};
  o.size = sizeof o;
  o.threads = 1;
  o.pack_weights = 1;
  o.packing_progress = Tell;
  o.packing_user = &refuser;
  weft_session* session = nullptr;
  EXPECT_EQ(weft_session_new(model_, &o, &session, &error_), WEFT_CANCELLED);
  EXPECT_EQ(session, nullptr);
  EXPECT_EQ(refuser.calls, 2);
  refuser = {};
  // What the estimate says is enough, and no less.
  ASSERT_EQ(weft_session_estimate(model_, &o, &o.max_bytes, &error_), WEFT_OK);
  --o.max_bytes;
  EXPECT_EQ(weft_session_new(model_, &o, &session, &error_),
            WEFT_RESOURCE_EXHAUSTED);
  EXPECT_EQ(refuser.calls, 0);
  ++o.max_bytes;
  EXPECT_EQ(weft_session_new(model_, &o, &session, &error_), WEFT_OK)
      << error_.message;
  EXPECT_EQ(refuser.last, 1000);
  weft_session_free(session);
}

TEST_F(CLimitsTest, CancelEndsAnEmbedding) {
  ASSERT_EQ(Load("memory", Options(nullptr)), WEFT_OK) << error_.message;
  weft_session_options o = {};
  o.size = sizeof o;
  o.embeddings = 1;
  weft_session* session = nullptr;
  ASSERT_EQ(weft_session_new(model_, &o, &session, &error_), WEFT_OK)
      << error_.message;
  const int32_t text[] = {1, 7, 3};
  const auto embed = [&](std::vector<float>& vector) {
    size_t size = 0;
    vector.assign(32, 0);
    return weft_embed(session, text, 3, vector.data(), vector.size(), &size,
                      &error_);
  };
  std::vector<float> want, again;
  ASSERT_EQ(embed(want), WEFT_OK) << error_.message;
  std::thread([&] { weft_session_cancel(session); }).join();
  EXPECT_EQ(embed(again), WEFT_CANCELLED);
  EXPECT_EQ(embed(again), WEFT_OK) << "a cancellation ends one call";
  EXPECT_EQ(again, want);
  weft_session_free(session);
}

}  // namespace
}  // namespace weft::inline v0
