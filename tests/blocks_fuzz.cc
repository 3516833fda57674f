// libFuzzer target: any bytes as blocks of every format, and any floats through
// every encoder and back.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "backends/encode.h"
#include "graph/dtype.h"

namespace weft::inline v0 {
namespace {

void Require(bool ok) {
  if (!ok) std::abort();
}

// From memory of exactly this size, so that AddressSanitizer sees a read
// beyond it; at an odd address.
void Decode(const DTypeInfo& info, absl::Span<const uint8_t> bytes) {
  const size_t blocks = bytes.size() / static_cast<size_t>(info.block_bytes);
  const size_t size = blocks * static_cast<size_t>(info.block_bytes);
  const std::unique_ptr<uint8_t[]> memory(new uint8_t[size + 1]);
  if (size > 0) std::memcpy(memory.get() + 1, bytes.data(), size);
  std::vector<float> out(blocks * static_cast<size_t>(info.block_values));
  info.decode(memory.get() + 1, static_cast<int64_t>(blocks), out.data());
}

void EncodeAndDecode(const DTypeInfo& info, absl::Span<const float> floats,
                     absl::Span<const float> importance) {
  const auto n = static_cast<size_t>(info.block_values);
  const size_t blocks = floats.size() / n;
  if (blocks == 0) return;
  std::vector<std::byte> out(blocks * static_cast<size_t>(info.block_bytes));
  const auto length = static_cast<int64_t>(n);
  const absl::Status status =
      EncodeRows(info.type, floats.first(blocks * n), length, importance,
                 {out.data(), out.size()});
  Require(status.ok() || absl::IsInvalidArgument(status));
  if (!status.ok()) return;
  std::vector<float> values(blocks * n);
  info.decode(out.data(), static_cast<int64_t>(blocks), values.data());
  for (const float v : values) Require(std::isfinite(v));
}

// Two values of 16 bits each become floats of moderate exponent, which no
// format refuses; `raw` takes four bytes as they are.
std::vector<float> Floats(absl::Span<const uint8_t> bytes, bool raw) {
  std::vector<float> floats(bytes.size() / 4);
  if (floats.empty()) return floats;
  std::memcpy(floats.data(), bytes.data(), floats.size() * 4);
  if (raw) return floats;
  for (float& f : floats) {
    uint32_t bits;
    std::memcpy(&bits, &f, 4);
    f = std::ldexp(static_cast<float>(static_cast<int16_t>(bits & 0xFFFF)),
                   static_cast<int>(bits >> 16) % 40 - 40);
  }
  return floats;
}

void All(absl::Span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  const uint8_t mode = bytes.front();
  bytes.remove_prefix(1);
  const std::vector<float> floats = Floats(bytes, mode & 1);
  for (const DTypeInfo& info : AllDTypes()) {
    if (info.decode == nullptr) continue;
    Decode(info, bytes);
    std::vector<float> importance;
    if (mode & 2)
      for (int i = 0; i < info.block_values; ++i)
        importance.push_back(std::fabs(
            floats.empty() ? 1
                           : floats[static_cast<size_t>(i) % floats.size()]));
    EncodeAndDecode(info, floats, importance);
  }
}

}  // namespace
}  // namespace weft::inline v0

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::All({data, size});
  return 0;
}
