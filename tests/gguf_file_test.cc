// Opening: real files, things that are no files, files that change.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "gtest/gtest.h"
#include "models/gguf.h"
#include "tests/gguf_builder.h"
#include "tests/unprivileged.h"

namespace weft::inline v0 {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;

class GgufFileTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/gguf_file_test_XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(Path(name), std::ios::binary) << bytes;
    return Path(name);
  }
  void ExpectNotRegular(const std::string& path) const {
    const absl::Status status = GgufFile::Open(path).status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
    EXPECT_PRED2(Says, status.message(), "expected a regular file");
    EXPECT_PRED2(Says, status.message(), path);
  }

  std::string dir_;
};

TEST_F(GgufFileTest, OpensAFile) {
  const std::string path = Write("m.gguf", SmallGguf().Build());
  for (const bool read : {false, true}) {
    const auto file = GgufFile::Open(path, {.read_into_memory = read});
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->source(), path);
    EXPECT_EQ(file->tensors().size(), 3u);
    // The mapping starts at a page, so data is aligned in memory too.
    const auto at = reinterpret_cast<uintptr_t>(file->tensors()[1].data.data());
    EXPECT_EQ(at % 32, 0u);
  }
}

TEST_F(GgufFileTest, EmptyFile) {
  const std::string path = Write("empty", "");
  for (const bool read : {false, true}) {
    const auto file = GgufFile::Open(path, {.read_into_memory = read});
    EXPECT_EQ(file.status().code(), StatusCode::kDataLoss);
    EXPECT_PRED2(Says, file.status().message(), "empty file");
  }
}

TEST_F(GgufFileTest, D8_NoFile) {
  const std::string path = Write("m.gguf", "x");
  for (const std::string& name :
       {Path("none"), Path("no/dir"), std::string(), path + "/below"}) {
    const absl::Status status = GgufFile::Open(name).status();
    EXPECT_EQ(status.code(), StatusCode::kNotFound) << status;
  }
  const absl::Status status =
      GgufFile::Open(path + std::string("\0x", 2)).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
}

TEST_F(GgufFileTest, D8_NotRegularFiles) {
  ExpectNotRegular(dir_);
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  ExpectNotRegular(Path("fifo"));
  ExpectNotRegular("/dev/null");
}

TEST_F(GgufFileTest, D8_Socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = Path("s");
  if (path.size() >= sizeof(address.sun_path)) GTEST_SKIP() << "long path";
  path.copy(address.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_GE(fd, 0);
  const absl::Cleanup close_socket = [fd] { close(fd); };
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
            0);
  ExpectNotRegular(path);
}

TEST_F(GgufFileTest, D8_NoPermission) {
  const std::string path = Write("m.gguf", SmallGguf().Build());
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  ASSERT_EQ(chmod(dir_.c_str(), 0755), 0);
  absl::Status status;
  {
    const Unprivileged user;
    if (!user.ok()) GTEST_SKIP() << "cannot give up root";
    status = GgufFile::Open(path).status();
  }
  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied) << status;
}

TEST_F(GgufFileTest, D10_ReadModeIsNotTouchedByTruncation) {
  const std::string path = Write("m.gguf", SmallGguf().Build());
  const auto file = GgufFile::Open(path, {.read_into_memory = true});
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(truncate(path.c_str(), 0), 0);
  const GgufTensor* const last = file->FindTensor("output.weight");
  ASSERT_NE(last, nullptr);
  const std::string data(reinterpret_cast<const char*>(last->data.data()),
                         last->data.size());
  EXPECT_EQ(data, SmallGguf().tensors[2].data);
}

TEST_F(GgufFileTest, D11_ReplacedFileKeepsItsOldContent) {
  const std::string path = Write("m.gguf", SmallGguf().Build());
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const std::string other = Write("other", std::string(5000, 'x'));
  ASSERT_EQ(rename(other.c_str(), path.c_str()), 0);
  EXPECT_EQ(*file->GetString("general.architecture"), "llama");
  EXPECT_EQ(static_cast<char>(file->tensors()[2].data[0]),
            SmallGguf().tensors[2].data[0]);
}

TEST_F(GgufFileTest, NoDescriptorIsLeftOpen) {
  const std::string path = Write("m.gguf", SmallGguf().Build());
  const int before = dup(0);
  close(before);
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(GgufFile::Open(path).ok());
    EXPECT_FALSE(GgufFile::Open(dir_).ok());
  }
  const int after = dup(0);
  close(after);
  EXPECT_EQ(before, after);
}

std::vector<std::string> FilesBelow(const std::string& dir) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(dir, error))
    if (entry.path().extension() == ".gguf") paths.push_back(entry.path());
  return paths;
}

TEST(GgufRealFilesTest, Stories) {
  const std::string path = WEFT_SHARED_DIR "/models/stories260K.gguf";
  if (!fs::exists(path)) GTEST_SKIP() << path << " is not here";
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*file->GetString("general.architecture"), "llama");
  EXPECT_EQ(*file->GetUint32("llama.block_count"), 5u);
  EXPECT_EQ(file->GetStrings("tokenizer.ggml.tokens")->size(), 512u);
  EXPECT_EQ(file->GetFloats("tokenizer.ggml.scores")->size(), 512u);
  const GgufTensor* const embedding = file->FindTensor("token_embd.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->dims, absl::Span<const int64_t>({512, 64}));
  EXPECT_EQ(embedding->data.size(), 512u * 64 * 4);
}

TEST(GgufRealFilesTest, EveryGoldenFileOpensWithoutAWarning) {
  const std::vector<std::string> paths = FilesBelow(WEFT_SHARED_DIR "/golden");
  if (paths.empty()) GTEST_SKIP() << WEFT_SHARED_DIR "/golden is not here";
  for (const std::string& path : paths) {
    const auto file = GgufFile::Open(path);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE(file->warnings().empty()) << path;
    EXPECT_TRUE(file->GetString("general.architecture").ok()) << path;
  }
}

}  // namespace
}  // namespace weft::inline v0
