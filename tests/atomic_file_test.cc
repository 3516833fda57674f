#include "models/atomic_file.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/golden.h"
#include "tests/tool_runner.h"
#include "tests/unprivileged.h"

namespace weft::inline v0 {
namespace {

namespace fs = std::filesystem;

std::string NewFolder(const std::string& name) {
  const std::string folder = ScratchPath(name);
  fs::create_directory(folder);
  return folder;
}

size_t CountFiles(const std::string& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), {}));
}

absl::Status WriteFile(const std::string& path, absl::string_view text) {
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  if (absl::Status status = file->Write(text); !status.ok()) return status;
  return file->Commit();
}

TEST(AtomicFile, AppearsAtCommit) {
  const std::string folder = NewFolder("commit");
  const std::string path = folder + "/x";
  {
    absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
    ASSERT_TRUE(file.ok()) << file.status();
    const std::string big(1 << 20, 'x');
    ASSERT_TRUE(file->Write(big).ok());
    EXPECT_FALSE(fs::exists(path));
    ASSERT_TRUE(file->WriteFloats({1.0f}).ok());
    ASSERT_TRUE(file->Commit().ok());
    EXPECT_EQ(fs::file_size(path), (1u << 20) + 4);
  }
  EXPECT_EQ(CountFiles(folder), 1u);
}

TEST(AtomicFile, WithoutCommitNothingChanges) {
  const std::string folder = NewFolder("discard");
  const std::string path = folder + "/x";
  ASSERT_TRUE(WriteFile(path, "old").ok());
  {
    absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Write("new").ok());
    const AtomicFile moved = *std::move(file);
  }
  EXPECT_EQ(ReadText(path), "old");
  EXPECT_EQ(CountFiles(folder), 1u);
}

TEST(AtomicFile, KeepsModeAndLinks) {
  const std::string folder = NewFolder("links");
  const std::string path = folder + "/x", link = folder + "/link";
  ASSERT_TRUE(WriteFile(path, "old").ok());
  fs::permissions(path, fs::perms(0640));
  fs::create_symlink("x", link);
  ASSERT_TRUE(WriteFile(link, "new").ok());
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(ReadText(path), "new");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms(0640));
}

TEST(AtomicFile, DevicesAreWrittenToDirectly) {
  EXPECT_TRUE(WriteFile("/dev/null", "x").ok());
  struct stat info;
  ASSERT_EQ(stat("/dev/null", &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode));
}

TEST(AtomicFile, ErrorsNameThePathAndTheKind) {
  const std::string folder = NewFolder("errors");
  ASSERT_TRUE(WriteFile(folder + "/file", "x").ok());
  const struct {
    std::string path;
    absl::StatusCode code;
  } cases[] = {
      {folder + "/no/x", absl::StatusCode::kNotFound},
      {folder + "/file/x", absl::StatusCode::kNotFound},
      {folder, absl::StatusCode::kFailedPrecondition},
      {"/dev/full", absl::StatusCode::kResourceExhausted},
      {"", absl::StatusCode::kInvalidArgument},
  };
  for (const auto& c : cases) {
    const absl::Status status = WriteFile(c.path, "x");
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), c.path)) << status;
  }
}

TEST(AtomicFile, ErrorsStick) {
  absl::StatusOr<AtomicFile> file = AtomicFile::Create("/dev/full");
  ASSERT_TRUE(file.ok());
  const std::string big(1 << 20, 'x');
  EXPECT_FALSE(file->Write(big).ok());
  EXPECT_FALSE(file->Write("").ok());
  EXPECT_FALSE(file->Commit().ok());
}

TEST(AtomicFile, ReadOnlyFilesStay) {
  const std::string folder = NewFolder("read-only"), path = folder + "/x";
  ASSERT_TRUE(WriteFile(path, "old").ok());
  fs::permissions(path, fs::perms(0444));
  Unprivileged::Own(path);
  Unprivileged::Own(folder);
  fs::permissions(fs::path(folder).parent_path(), fs::perms(0755));
  absl::Status status;
  {
    const Unprivileged user;
    if (!user.ok()) GTEST_SKIP() << "cannot give up root";
    status = WriteFile(path, "new");
    // It is not the folder that refuses.
    EXPECT_TRUE(WriteFile(folder + "/y", "new").ok());
  }
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), path)) << status;
  EXPECT_EQ(ReadText(path), "old");
  EXPECT_EQ(CountFiles(folder), 2u);
}

TEST(AtomicFile, ReadOnlyFoldersStay) {
  const std::string folder = NewFolder("read-only-folder");
  const std::string old = folder + "/old", fresh = folder + "/new";
  ASSERT_TRUE(WriteFile(old, "old").ok());
  Unprivileged::Own(old);
  fs::permissions(folder, fs::perms(0555));
  Unprivileged::Own(folder);
  fs::permissions(fs::path(folder).parent_path(), fs::perms(0755));
  for (const std::string& path : {old, fresh}) {
    absl::Status status;
    {
      const Unprivileged user;
      if (!user.ok()) GTEST_SKIP() << "cannot give up root";
      status = WriteFile(path, "new");
    }
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), path)) << status;
  }
  EXPECT_EQ(ReadText(old), "old");
  EXPECT_EQ(CountFiles(folder), 1u);
  fs::permissions(folder, fs::perms(0755));  // so that it can be deleted
}

TEST(AtomicFile, ZerosAreZeros) {
  const std::string path = NewFolder("zeros") + "/x";
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->Write("a").ok());
  ASSERT_TRUE(file->WriteZeros(200000).ok());
  ASSERT_TRUE(file->Write("b").ok());
  ASSERT_TRUE(file->WriteZeros(3).ok());
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_TRUE(ReadText(path) ==
              "a" + std::string(200000, '\0') + "b" + std::string(3, '\0'));
  absl::StatusOr<AtomicFile> direct = AtomicFile::Create("/dev/null");
  ASSERT_TRUE(direct.ok());
  EXPECT_TRUE(direct->WriteZeros(200000).ok());
  EXPECT_FALSE(AtomicFile::Create(path)->WriteZeros(UINT64_MAX).ok());
}

TEST(AtomicFile, ReservesSpace) {
  const std::string folder = NewFolder("reserve");
  const std::string path = folder + "/x";
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->Reserve(1 << 20).ok());
  ASSERT_TRUE(file->Write("short").ok());
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(ReadText(path), "short");
  EXPECT_TRUE(AtomicFile::Create("/dev/null")->Reserve(1 << 20).ok());
  // More than any disk has.
  const absl::Status status = AtomicFile::Create(path)->Reserve(1ULL << 60);
  EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(CountFiles(folder), 1u);
}

TEST(AtomicFile, KnowsOneFileByAllItsNames) {
  const std::string folder = NewFolder("same");
  const std::string file = folder + "/a", link = folder + "/b",
                    hard = folder + "/c", other = folder + "/d";
  ASSERT_TRUE(WriteFile(file, "x").ok());
  ASSERT_TRUE(WriteFile(other, "x").ok());
  fs::create_symlink("a", link);
  fs::create_hard_link(file, hard);
  for (const std::string& name :
       {file, link, hard, folder + "/./a", folder + "/../same/a"}) {
    const absl::Status status = CheckNotSameFile(file, name);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << name;
    EXPECT_TRUE(absl::StrContains(status.message(), name)) << status;
    EXPECT_FALSE(CheckNotSameFile(name, file).ok());
  }
  EXPECT_TRUE(CheckNotSameFile(file, other).ok());
  EXPECT_TRUE(CheckNotSameFile(file, folder + "/none").ok());
}

}  // namespace
}  // namespace weft::inline v0
