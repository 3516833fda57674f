// libFuzzer target: whatever GgufFile accepts, GgufWriter writes, and it is
// read again as it was.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "models/gguf.h"
#include "tests/gguf_round_trip.h"

namespace weft::inline v0 {
namespace {

// Padding to a large alignment is only slow.
constexpr uint32_t kMaxAlignment = 1024;

// In memory where there is such a place: every file is synced.
std::string CopyPath() {
  static const std::string path = absl::StrCat(
      std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp",
      "/gguf_writer_fuzz.", getpid());
  return path;
}

void Require(bool ok, const std::string& what) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

void RoundTrip(absl::Span<const std::byte> bytes) {
  const auto file = GgufFile::Parse(bytes, "fuzz");
  if (!file.ok() || file->alignment() > kMaxAlignment) return;
  const absl::Status status = WriteCopy(*file, CopyPath());
  Require(status.ok(), status.ToString());
  const auto copy = GgufFile::Open(CopyPath());
  Require(copy.ok(), copy.status().ToString());
  const std::string difference = DifferenceOf(*file, *copy);
  Require(difference.empty(), difference);
}

void RemoveCopy() { unlink(CopyPath().c_str()); }

}  // namespace
}  // namespace weft::inline v0

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int registered = std::atexit(weft::RemoveCopy);
  static_cast<void>(registered);
  weft::RoundTrip({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
