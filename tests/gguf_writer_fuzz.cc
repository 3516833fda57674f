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

// The file that is written, in memory where there is such a place: every one is
// synced. It goes when the process ends.
const std::string& CopyPath() {
  struct Copy {
    std::string path = absl::StrCat(
        std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp",
        "/gguf_writer_fuzz.", getpid());
    ~Copy() { unlink(path.c_str()); }
  };
  static const Copy copy;
  return copy.path;
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

}  // namespace
}  // namespace weft::inline v0

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::RoundTrip({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
