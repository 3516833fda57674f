// The file that keeps packed weights: what it does for a session, and that no
// state of it does harm.
#include "models/pack_cache.h"

#include <sys/stat.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "graph/packed.h"
#include "gtest/gtest.h"
#include "models/byte_reader.h"
#include "models/checksum.h"
#include "models/engine.h"
#include "tests/tiny_llama.h"

namespace weft::inline v0 {
namespace {

namespace fs = std::filesystem;

std::string Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void Write(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

ino_t FileNumber(const fs::path& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0);
  return info.st_ino;
}

class PackCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) /
              absl::StrCat("pack_cache.", getpid(), ".", test->name());
    fs::create_directories(folder_);
    model_ = folder_ / "model.gguf";
    fs::copy_file(TinyLlamaPath(), model_);
    cache_ = folder_ / "cache";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::shared_ptr<const Model> Load() const {
    auto model = Model::Load(model_.string());
    EXPECT_TRUE(model.ok()) << model.status();
    return *std::move(model);
  }

  // The file that a session makes.
  fs::path CachePath() const {
    const auto path = PackCache::PathIn(cache_.string(), Load()->file());
    EXPECT_TRUE(path.ok()) << path.status();
    return *path;
  }

  // Logits of a session of a model that has just been loaded.
  std::vector<float> Logits(absl::Status* status = nullptr) const {
    SessionOptions options;
    options.backend_options.threads = 2;
    options.pack_weights = true;
    options.pack_cache = cache_.string();
    const auto session = Load()->NewSession(options);
    EXPECT_TRUE(session.ok()) << session.status();
    if (status != nullptr) *status = (*session)->pack_cache_status();
    const auto row = (*session)->Prefill(0, {1, 4, 5, 6, 7});
    EXPECT_TRUE(row.ok()) << row.status();
    return {row->begin(), row->end()};
  }

  absl::Status Open() const {
    const auto model = Load();
    return PackCache::Open(CachePath().string(), model->file(), 2, nullptr)
        .status();
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(cache_))
      names.push_back(entry.path().filename().string());
    return names;
  }

  fs::path folder_, model_, cache_;
};

TEST_F(PackCacheTest, TheNextStartMapsIt) {
  absl::Status status;
  const auto first = Logits(&status);
  EXPECT_TRUE(status.ok()) << status;
  const fs::path path = CachePath();
  EXPECT_THAT(path.filename().string(),
              ::testing::MatchesRegex("model\\.gguf-[0-9a-f]{16}\\.weftpack"));
  const auto model = Load();
  const auto opened = PackCache::Open(path.string(), model->file(), 1, nullptr);
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_GT(opened->entries().size(), 10);
  for (const PackCache::Entry& e : opened->entries()) {
    std::vector<std::byte> rows(e.packed.size());
    const int64_t n = e.tensor->dims[0];
    UnpackRows(e.tensor->dtype, e.packed.data(), n,
               static_cast<int64_t>(rows.size()) / n, rows.data());
    EXPECT_EQ(std::memcmp(rows.data(), e.tensor->data.data(), rows.size()), 0)
        << e.tensor->name;
  }
  const ino_t number = FileNumber(path);
  EXPECT_EQ(Logits(&status), first);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(FileNumber(path), number) << "it was written again";
}

// What one session packs is not all that another needs.
TEST_F(PackCacheTest, GrowsWithWhatSessionsNeed) {
  const auto logits = Logits();
  const fs::path path = CachePath();
  const std::string whole = Read(path);
  const auto model = Load();
  const auto cache = PackCache::Open(path.string(), model->file(), 1, nullptr);
  ASSERT_TRUE(cache.ok()) << cache.status();
  ASSERT_TRUE(PackCache::Write(path.string(), model->file(),
                               cache->entries().subspan(2))
                  .ok());
  EXPECT_LT(fs::file_size(path), whole.size());
  EXPECT_EQ(Logits(), logits);
  EXPECT_EQ(Read(path), whole);
}

TEST_F(PackCacheTest, NoChangedByteIsUsed) {
  const auto logits = Logits();
  const fs::path path = CachePath();
  const std::string whole = Read(path);
  const auto model = Load();
  const auto opens = [&](const std::string& bytes) {
    Write(path, bytes);
    return PackCache::Open(path.string(), model->file(), 1, nullptr).ok();
  };
  ASSERT_TRUE(opens(whole));
  // All of the header, some of the entries, of the packed bytes a few.
  const auto* const at = reinterpret_cast<const std::byte*>(whole.data());
  const size_t head = 40 + 32 * size_t{LoadLittleEndian<uint32_t>(at + 12)};
  std::vector<size_t> places(40);
  std::iota(places.begin(), places.end(), size_t{0});
  for (size_t i = 40; i < head; i += 7) places.push_back(i);
  for (size_t entry = 40; entry < head; entry += 32) {
    const auto begin = LoadLittleEndian<uint64_t>(at + entry + 8);
    const auto size = LoadLittleEndian<uint64_t>(at + entry + 16);
    for (const size_t i : {size_t{0}, size / 3, size - 1})
      places.push_back(begin + i);
  }
  for (const size_t place : places) {
    std::string bad = whole;
    bad[place] = static_cast<char>(bad[place] ^ 0x10);
    EXPECT_FALSE(opens(bad)) << "byte " << place;
  }
  for (size_t size = 0; size < whole.size(); size += size < head ? 29 : 4999)
    EXPECT_FALSE(opens(whole.substr(0, size))) << size << " bytes";
  EXPECT_FALSE(opens(whole + " "));
  // A session goes on from what is left and writes it anew.
  EXPECT_EQ(Logits(), logits);
  EXPECT_EQ(Read(path), whole);
  Write(path, "something else");
  EXPECT_EQ(Logits(), logits);
  EXPECT_EQ(Read(path), whole);
}

TEST_F(PackCacheTest, RefusesOtherFiles) {
  Logits();
  const std::string first = Read(CachePath());
  // The same model, written again later.
  fs::last_write_time(model_,
                      fs::last_write_time(model_) + std::chrono::seconds(1));
  EXPECT_TRUE(absl::IsInvalidArgument(Open())) << Open();
  Logits();
  EXPECT_TRUE(Open().ok()) << Open();
  // Another model: other weights of the same shapes.
  const auto time = fs::last_write_time(model_);
  std::string bytes = Read(model_);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  Write(model_, bytes);
  fs::last_write_time(model_, time);
  EXPECT_TRUE(absl::IsNotFound(Open())) << Open();  // it has a name of its own
  Write(CachePath(), first);
  EXPECT_TRUE(absl::IsInvalidArgument(Open())) << Open();
}

TEST_F(PackCacheTest, GoesOnWhereItCannotWrite) {
  const auto logits = Logits();
  fs::remove_all(cache_);
  Write(cache_, "a file where the folder should be");
  absl::Status status;
  EXPECT_EQ(Logits(&status), logits);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr(cache_.string()));
  // A model that no path leads to has no cache.
  const std::string bytes = Read(model_);
  auto file = GgufFile::Parse(
      absl::MakeConstSpan(reinterpret_cast<const std::byte*>(bytes.data()),
                          bytes.size()),
      "memory");
  ASSERT_TRUE(file.ok()) << file.status();
  const auto model = Model::FromFile(*std::move(file));
  ASSERT_TRUE(model.ok()) << model.status();
  SessionOptions options;
  options.pack_weights = true;
  options.pack_cache = (folder_ / "other").string();
  const auto session = (*model)->NewSession(options);
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_TRUE(absl::IsFailedPrecondition((*session)->pack_cache_status()));
}

TEST_F(PackCacheTest, WritersMayMeet) {
  const auto logits = Logits();
  const fs::path path = CachePath();
  const std::string whole = Read(path);
  std::vector<std::jthread> starts;
  for (int i = 0; i < 4; ++i)
    starts.emplace_back([&, i] {
      for (int n = 0; n < 10; ++n) {
        if (i == 0) fs::remove(path);  // so that there is something to write
        absl::Status status;
        EXPECT_EQ(Logits(&status), logits);
        EXPECT_TRUE(status.ok()) << status;
      }
    });
  starts.clear();
  EXPECT_EQ(Read(path), whole);
  EXPECT_EQ(Names().size(), 1) << "temporary files are left";
}

// A change of a packed form makes caches of before wrong: raise kVersion in
// pack_cache.cc, then write the new number here. A form more makes none wrong.
TEST(PackCacheVersion, StandsForThesePackedForms) {
  uint64_t sum = 0;
  for (const DTypeInfo& format : AllDTypes()) {
    if (!CanPack(format.type)) continue;
    const int64_t row = RowBytes(format.type, 512).value_or(0);
    std::vector<std::byte> rows(static_cast<size_t>(kPackedRows * row));
    for (size_t i = 0; i < rows.size(); ++i)
      rows[i] = static_cast<std::byte>(i * 0x9e3779b97f4a7c15 >> 56);
    std::vector<std::byte> packed(rows.size());
    PackRows(format.type, rows.data(), kPackedRows, row, packed.data());
    sum =
        Checksum({reinterpret_cast<const char*>(packed.data()), packed.size()},
                 sum ^ static_cast<uint64_t>(PackedType(format.type)));
  }
  EXPECT_EQ(sum, 0xc477cf599bec3f3u) << std::hex << sum;
}

}  // namespace
}  // namespace weft::inline v0
