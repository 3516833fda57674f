// Time and memory stay in proportion to the metadata, whatever it says.
#include <atomic>
#include <cstdlib>
#include <ctime>
#include <new>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/gguf.h"
#include "tests/gguf_builder.h"
#include "tests/gguf_malformed_cases.h"
#include "tests/sanitizer.h"

namespace {

// Bytes that operator new has handed out and not got back, and their peak.
// A header in front of each block holds its size.
std::atomic<size_t> live_bytes = 0, peak_bytes = 0;
constexpr size_t kHeader = alignof(std::max_align_t);

void* Allocate(size_t size) {
  void* const block = std::malloc(size + kHeader);
  if (block == nullptr) return nullptr;
  *static_cast<size_t*>(block) = size;
  const size_t now = live_bytes += size;
  if (now > peak_bytes) peak_bytes = now;
  return static_cast<char*>(block) + kHeader;
}

void Free(void* at) {
  if (at == nullptr) return;
  void* const block = static_cast<char*>(at) - kHeader;
  live_bytes -= *static_cast<size_t*>(block);
  std::free(block);
}

}  // namespace

void* operator new(size_t size) {
  void* const at = Allocate(size);
  if (at == nullptr) std::abort();
  return at;
}
void operator delete(void* at) noexcept { Free(at); }
void operator delete(void* at, size_t) noexcept { Free(at); }

namespace weft::inline v0 {
namespace {

// What Parse took at its peak, beyond what was taken before.
struct Cost {
  absl::StatusCode code;
  std::string message;
  size_t bytes;
  double seconds;
};

Cost MeasureParse(const std::string& file) {
  const size_t before = live_bytes;
  peak_bytes = before;
  // Time of this process alone: the machine may be busy.
  const std::clock_t start = std::clock();
  const absl::StatusOr<GgufFile> parsed =
      GgufFile::Parse(AsBytes(file), "m.gguf");
  const double seconds =
      static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  const size_t peak = peak_bytes;
  return {parsed.status().code(), std::string(parsed.status().message()),
          peak - before, seconds};
}

constexpr size_t kMiB = 1 << 20;

// The limits on time are for a machine as fast as its processor; a sanitizer or
// an emulator only has to show that time is not quadratic (minutes, here).
double Seconds(double limit) {
  bool is_slow = kSanitized;
#ifdef WEFT_EMULATOR
  is_slow |= sizeof(WEFT_EMULATOR) > 1;
#endif
  return is_slow ? 20 * limit : limit;
}

// Keys or tensors by number, of `width` characters.
std::string Numbered(absl::string_view prefix, size_t i, size_t width) {
  std::string digits = absl::StrCat(i);
  return absl::StrCat(
      prefix, std::string(width - prefix.size() - digits.size(), '0'), digits);
}

// K28
TEST(GgufLimitsTest, ManyKeys) {
  GgufSpec spec;
  for (size_t i = 0; i < 200000; ++i)
    spec.Scalar<uint16_t>(Numbered("key.", i, 20), GgufType::kUint16, 1);
  const std::string file = spec.Build();
  const Cost cost = MeasureParse(file);
  EXPECT_EQ(cost.code, absl::StatusCode::kOk) << cost.message;
  EXPECT_LT(cost.seconds, Seconds(0.5));
  EXPECT_LE(cost.bytes, 2 * file.size() + kMiB);
}

// The most keys per byte: three characters and a bool.
TEST(GgufLimitsTest, ManyTinyKeys) {
  GgufSpec spec;
  for (char a = ' '; a <= '~'; ++a)
    for (char b = ' '; b <= '~'; ++b)
      for (char c = 'a'; c <= 'z'; ++c)
        spec.Scalar<uint8_t>(std::string{a, b, c}, GgufType::kBool, 1);
  const std::string file = spec.Build();
  const Cost cost = MeasureParse(file);
  EXPECT_EQ(cost.code, absl::StatusCode::kOk) << cost.message;
  EXPECT_LE(cost.bytes, 2 * file.size() + kMiB);
}

// K29
TEST(GgufLimitsTest, ManyEqualKeys) {
  GgufSpec spec;
  for (size_t i = 0; i < 200000; ++i)
    spec.Scalar<uint16_t>(Numbered("key.", 0, 20), GgufType::kUint16, 1);
  const Cost cost = MeasureParse(spec.Build());
  EXPECT_EQ(cost.code, absl::StatusCode::kAlreadyExists) << cost.message;
  EXPECT_LT(cost.seconds, Seconds(0.5));
}

// T5
TEST(GgufLimitsTest, ManyTensors) {
  GgufSpec spec;
  for (size_t i = 0; i < 300000; ++i)
    spec.Tensor(Numbered("t", i, 7), DType::kF32, {1});
  const std::string file = spec.Build();
  const Cost cost = MeasureParse(file);
  EXPECT_EQ(cost.code, absl::StatusCode::kOk) << cost.message;
  EXPECT_LT(cost.seconds, Seconds(1.0));
  EXPECT_LE(cost.bytes, 2 * spec.Metadata().size() + kMiB);
}

// The same in the worst order for a sort by insertion, and of all shapes.
TEST(GgufLimitsTest, ManyTensorsBackwards) {
  constexpr size_t kCount = 300000;
  GgufSpec spec;
  for (size_t i = 0; i < kCount; ++i) {
    spec.Tensor(Numbered("blk.0.attn", i, 20), DType::kF32, {1 + i % 8});
    spec.tensors.back().offset = 32 * (kCount - 1 - i);
  }
  const std::string file = spec.Build();
  const Cost cost = MeasureParse(file);
  EXPECT_EQ(cost.code, absl::StatusCode::kOk) << cost.message;
  EXPECT_LT(cost.seconds, Seconds(1.0));
  EXPECT_LE(cost.bytes, 2 * spec.Metadata().size() + kMiB);
}

// A large file is no excuse: counts may promise what its data could hold.
TEST(GgufLimitsTest, CountsThatDataCouldHold) {
  GgufSpec spec = SmallGguf();
  spec.tail = std::string(64 * kMiB, '\x7f');
  for (const bool of_tensors : {false, true}) {
    (of_tensors ? spec.n_tensors : spec.n_kv) = kMiB;
    const Cost cost = MeasureParse(spec.Build());
    EXPECT_EQ(cost.code, absl::StatusCode::kDataLoss) << cost.message;
    EXPECT_LE(cost.bytes, kMiB);
    spec.n_kv = std::nullopt;
  }
}

TEST(GgufLimitsTest, BrokenFilesTakeLittle) {
  for (const MalformedGguf& c : AllMalformedGgufs()) {
    const Cost cost = MeasureParse(c.file);
    EXPECT_LE(cost.bytes, kMiB) << c.name;
    EXPECT_LT(cost.seconds, Seconds(0.5)) << c.name;
  }
}

}  // namespace
}  // namespace weft::inline v0
