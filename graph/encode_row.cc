#include "graph/encode_row.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/half.h"

namespace weft::inline v0 {
namespace {

constexpr uint16_t kNanF16 = 0x7E00;

bool AnyNan(const float* x) {
  return std::any_of(x, x + 32, [](float v) { return std::isnan(v); });
}

// 1 / d, or 0 where there is nothing to scale.
float Inverse(float d) { return d == 0 ? 0.0f : 1.0f / d; }

// Blocks of 32 values; the last one padded with zeros.
template <class Block>
void EncodeBlocks(Block (*encode)(const float*), const float* x, int64_t n,
                  std::byte* to) {
  for (; n > 0; n -= 32, x += 32, to += sizeof(Block)) {
    float padded[32] = {};
    std::copy_n(x, std::min<int64_t>(n, 32), padded);
    const Block block = encode(padded);
    std::memcpy(to, &block, sizeof(Block));
  }
}

void EncodeHalves(uint16_t (*encode)(float), const float* x, int64_t n,
                  std::byte* to) {
  for (int64_t i = 0; i < n; ++i) {
    const uint16_t bits = encode(x[i]);
    std::memcpy(to + 2 * i, &bits, 2);
  }
}

}  // namespace

BlockQ8_0 EncodeQ8_0(const float* x) {
  BlockQ8_0 block = {};
  if (AnyNan(x)) {
    block.d = kNanF16;
    return block;
  }
  float most = 0;
  for (int i = 0; i < 32; ++i) most = std::max(most, std::abs(x[i]));
  const float d = most / 127;
  const float inverse = Inverse(d);
  block.d = F32ToF16(d);
  for (int i = 0; i < 32; ++i) {
    const float y = x[i] * inverse;  // NaN for infinity times 0
    if (!std::isnan(y))
      block.q[i] =
          static_cast<int8_t>(std::clamp(std::round(y), -127.0f, 127.0f));
  }
  return block;
}

BlockQ4_0 EncodeQ4_0(const float* x) {
  BlockQ4_0 block = {};
  std::fill_n(block.q, 16, uint8_t{0x88});  // zeros
  if (AnyNan(x)) {
    block.d = kNanF16;
    return block;
  }
  float most = 0;
  for (int i = 0; i < 32; ++i)
    if (std::abs(x[i]) > std::abs(most)) most = x[i];
  const float d = most / -8;
  const float inverse = Inverse(d);
  block.d = F32ToF16(d);
  const auto nibble = [&](int i) {
    const float y = x[i] * inverse + 8.5f;
    return std::isnan(y) ? uint8_t{8}
                         : static_cast<uint8_t>(std::clamp(y, 0.0f, 15.0f));
  };
  for (int i = 0; i < 16; ++i)
    block.q[i] = static_cast<uint8_t>(nibble(i) | nibble(i + 16) << 4);
  return block;
}

bool CanEncodeRow(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 ||
         type == DType::kQ8_0 || type == DType::kQ4_0;
}

void EncodeRow(DType type, const float* x, int64_t n, std::byte* to) {
  switch (type) {
    case DType::kF32:
      std::memcpy(to, x, static_cast<size_t>(n) * sizeof(float));
      return;
    case DType::kF16:
      return EncodeHalves(F32ToF16, x, n, to);
    case DType::kBF16:
      return EncodeHalves(F32ToBF16, x, n, to);
    case DType::kQ8_0:
      return EncodeBlocks(EncodeQ8_0, x, n, to);
    case DType::kQ4_0:
      return EncodeBlocks(EncodeQ4_0, x, n, to);
    default:
      return;
  }
}

}  // namespace weft::inline v0
