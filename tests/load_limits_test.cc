// What ends or limits loading and packing, and that it ends there: counted in
// what is read, told or kept after it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/model_file.h"
#include "models/pack_cache.h"
#include "tests/gguf_builder.h"
#include "tests/hf_model.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

namespace fs = std::filesystem;

// The tiny model with a tensor that makes its file worth looking up in: 40 MiB.
std::string LargeFile() {
  return TinyLlama().Tensor("unused", DType::kF32, {10 << 20}).Build();
}
const std::string& LargePath() {
  static const std::string path = [] {
    std::string p = ScratchPath("large.gguf");
    WriteBytes(p, LargeFile());
    return p;
  }();
  return path;
}

// Cancels at its nth call, from 1, and keeps what it is told.
struct Teller {
  explicit Teller(size_t n) : cancel_at(n) {}
  std::function<void(double)> function() {
    return [this](double share) {
      told.push_back(share);
      if (told.size() == cancel_at) cancel.store(true);
    };
  }
  size_t cancel_at;
  std::vector<double> told;
  std::atomic<bool> cancel{false};
};

class LoadTest : public testing::TestWithParam<bool> {};

TEST_P(LoadTest, EndsAfterTheCallThatCancelsIt) {
  for (const size_t at : {1, 3, 1000}) {
    Teller teller(at);
    LoadOptions options;
    options.read_into_memory = GetParam();
    options.progress = teller.function();
    options.cancel = &teller.cancel;
    const absl::Status status = Model::Load(LargePath(), options).status();
    if (at == 1000) {
      EXPECT_TRUE(status.ok()) << status;
      ASSERT_GT(teller.told.size(), 9u);  // each 4 MiB
      EXPECT_TRUE(std::is_sorted(teller.told.begin(), teller.told.end()));
      EXPECT_EQ(teller.told.back(), 1);
    } else {
      EXPECT_TRUE(absl::IsCancelled(status)) << status;
      EXPECT_EQ(teller.told.size(), at);
    }
  }
}

TEST_P(LoadTest, CancelledBeforeItBegins) {
  const std::atomic<bool> cancel{true};
  LoadOptions options;
  options.read_into_memory = GetParam();
  options.cancel = &cancel;
  EXPECT_TRUE(absl::IsCancelled(Model::Load(LargePath(), options).status()));
}

INSTANTIATE_TEST_SUITE_P(HowItIsRead, LoadTest, testing::Bool(),
                         [](const auto& test) {
                           return test.param ? "Copied" : "Mapped";
                         });

TEST(LoadFromACallback, EndsAfterThePieceThatIsCancelledIn) {
  const std::string file = LargeFile();
  const auto bytes = AsBytes(file);
  int reads = 0;
  size_t largest = 0;
  const auto read = [&](uint64_t offset, absl::Span<std::byte> into) {
    ++reads;
    largest = std::max(largest, into.size());
    std::memcpy(into.data(), bytes.data() + offset, into.size());
    return absl::OkStatus();
  };
  Teller teller(2);
  CopyWatch watch({.cancel = &teller.cancel, .progress = teller.function()});
  const auto ended =
      GgufFile::Read(file.size(), read, "large", {.watch = &watch});
  EXPECT_TRUE(absl::IsCancelled(ended.status())) << ended.status();
  EXPECT_EQ(reads, 2);
  EXPECT_LE(largest, size_t{4} << 20);
  const auto whole = GgufFile::Read(file.size(), read, "large");
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->copied_bytes(), file.size());
  EXPECT_EQ(GgufFile::Open(LargePath())->copied_bytes(), 0u);
}

// ---- Limits of copies ----

absl::Status LoadWithin(const std::string& path, int64_t max_bytes,
                        bool copy = true) {
  LoadOptions options;
  options.read_into_memory = copy;
  options.max_bytes = max_bytes;
  return Model::Load(path, options).status();
}

TEST(LimitOfCopies, ComesBeforeTheRead) {
  const auto size = static_cast<int64_t>(fs::file_size(LargePath()));
  EXPECT_TRUE(LoadWithin(LargePath(), size).ok());
  const absl::Status refused = LoadWithin(LargePath(), size - 1);
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_PRED2(Says, refused.message(),
               absl::StrCat("large.gguf: FILE-10: its size is ", size,
                            "; expected at most the ", size - 1));
  EXPECT_TRUE(LoadWithin(LargePath(), 1, false).ok()) << "a mapping is no copy";
  int reads = 0;
  CopyWatch watch({.max_bytes = 99});
  const auto read = [&](uint64_t, absl::Span<std::byte>) {
    ++reads;
    return absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsResourceExhausted(
      GgufFile::Read(100, read, "x", {.watch = &watch}).status()));
  EXPECT_EQ(reads, 0);
}

// Each of two files fits; both do not.
TEST(LimitOfCopies, IsOfAllFilesTogether) {
  const std::string folder = SmallHfModel().Write("limits", 2);
  int64_t all = 0, largest = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    all += static_cast<int64_t>(entry.file_size());
    largest = std::max(largest, static_cast<int64_t>(entry.file_size()));
  }
  ASSERT_LT(largest, all);
  for (const int64_t limit : {largest, all - 1, all}) {
    CopyWatch watch({.max_bytes = limit});
    const auto file =
        OpenModelFile(folder, {.read_into_memory = true, .watch = &watch});
    if (limit == all) {
      ASSERT_TRUE(file.ok()) << file.status();
      EXPECT_EQ(file->copied_bytes(), static_cast<uint64_t>(all));
    } else {
      EXPECT_TRUE(absl::IsResourceExhausted(file.status())) << file.status();
    }
  }
}

// ---- Packing ----

class PackingTest : public testing::Test {
 protected:
  void SetUp() override {
    auto model = Model::Load(TinyLlamaPath());
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
    options_.pack_weights = true;
    options_.backend_options.threads = 1;
    const auto needs = model_->Estimate(options_);
    ASSERT_TRUE(needs.ok()) << needs.status();
    session_ = needs->session.total();
    packed_ = needs->packed;
    ASSERT_GT(packed_, 0);
  }
  absl::Status NewSession() const {
    return model_->NewSession(options_).status();
  }
  // A session that has no room for a copy of the weights of its own can be
  // made only if there is one.
  bool IsPacked() {
    SessionOptions o = options_;
    o.packing_progress = nullptr;
    o.cancel = nullptr;
    o.backend_options.max_bytes = session_;
    return model_->NewSession(o).ok();
  }

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  int64_t session_ = 0, packed_ = 0;
};

TEST_F(PackingTest, TheLimitIsOfTheSessionAndItsCopy) {
  int64_t& limit = options_.backend_options.max_bytes;
  for (const int64_t too_small : {session_, session_ + packed_ - 1}) {
    limit = too_small;
    const absl::Status refused = NewSession();
    EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
    for (const int64_t number : {session_, packed_, limit})
      EXPECT_PRED2(Says, refused.message(), absl::StrCat(number));
    EXPECT_FALSE(IsPacked());
  }
  limit = session_ + packed_;
  EXPECT_TRUE(NewSession().ok());
  // Another one takes its caches alone.
  limit = session_;
  EXPECT_TRUE(NewSession().ok());
  limit = session_ - 1;
  EXPECT_TRUE(absl::IsResourceExhausted(NewSession()));
}

// Neither does a copy that is a file's count.
TEST_F(PackingTest, TheLimitIsNotOfACache) {
  const fs::path folder = ScratchPath("limit_cache");
  options_.pack_cache = folder.string();
  ASSERT_TRUE(NewSession().ok());
  model_ = *Model::Load(TinyLlamaPath());
  EXPECT_TRUE(IsPacked());
  fs::remove_all(folder);
  model_ = *Model::Load(TinyLlamaPath());
  EXPECT_FALSE(IsPacked());
}

TEST_F(PackingTest, EndsAfterThePieceThatIsCancelledIn) {
  const fs::path folder = ScratchPath("cancelled_cache");
  options_.pack_cache = folder.string();
  Teller teller(3);
  options_.packing_progress = teller.function();
  options_.cancel = &teller.cancel;
  const absl::Status status = NewSession();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(teller.told.size(), 3u);
  options_.pack_cache.clear();
  EXPECT_FALSE(IsPacked());
  EXPECT_FALSE(fs::exists(folder));
  // And then as if nothing had been.
  Teller whole(1000);
  options_.packing_progress = whole.function();
  options_.cancel = &whole.cancel;
  options_.pack_cache = folder.string();
  EXPECT_TRUE(NewSession().ok());
  ASSERT_GT(whole.told.size(), 10u);
  EXPECT_EQ(whole.told.back(), 1);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
}

// While the file of the cache is written: no part of it stays, and the next
// session writes it.
TEST_F(PackingTest, NoPartOfACacheIsLeft) {
  const fs::path folder = ScratchPath("part_of_a_cache");
  options_.pack_cache = folder.string();
  // The last call: all is packed, nothing is written.
  Teller count(1000);
  options_.packing_progress = count.function();
  ASSERT_TRUE(NewSession().ok());
  fs::remove_all(folder);
  model_ = *Model::Load(TinyLlamaPath());
  Teller teller(count.told.size());
  options_.packing_progress = teller.function();
  options_.cancel = &teller.cancel;
  EXPECT_TRUE(absl::IsCancelled(NewSession()));
  EXPECT_TRUE(!fs::exists(folder) || fs::is_empty(folder));
  options_.packing_progress = nullptr;
  options_.cancel = nullptr;
  EXPECT_TRUE(NewSession().ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
}

// Whenever it is cancelled: a whole file or none.
TEST_F(PackingTest, NoPartOfACacheIsLeftAtAnyMoment) {
  const fs::path folder = ScratchPath("any_moment_cache");
  options_.pack_cache = folder.string();
  for (int i = 0; i < 40; ++i) {
    fs::remove_all(folder);
    model_ = *Model::Load(TinyLlamaPath());
    std::atomic<bool> cancel{false};
    options_.cancel = &cancel;
    std::jthread other([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(100 * i));
      cancel.store(true);
    });
    const absl::Status status = NewSession();
    if (!status.ok()) {
      EXPECT_TRUE(absl::IsCancelled(status)) << status;
      EXPECT_TRUE(!fs::exists(folder) || fs::is_empty(folder));
      continue;
    }
    const auto path = PackCache::PathIn(folder.string(), model_->file());
    ASSERT_TRUE(path.ok()) << path.status();
    EXPECT_TRUE(PackCache::Open(*path, model_->file(), 1, nullptr).ok());
  }
}

// The check of a cache that is found.
TEST_F(PackingTest, ACacheThatWasCancelledInIsOpenedAnew) {
  const fs::path folder = ScratchPath("checked_cache");
  options_.pack_cache = folder.string();
  ASSERT_TRUE(NewSession().ok());
  model_ = *Model::Load(TinyLlamaPath());
  Teller teller(2);
  options_.packing_progress = teller.function();
  options_.cancel = &teller.cancel;
  EXPECT_TRUE(absl::IsCancelled(NewSession()));
  EXPECT_EQ(teller.told.size(), 2u);
  options_.packing_progress = nullptr;
  options_.cancel = nullptr;
  EXPECT_TRUE(IsPacked());
}

}  // namespace
}  // namespace weft::inline v0
