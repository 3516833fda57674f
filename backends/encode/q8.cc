// 8-bit codes of one scale: the largest value in magnitude gets the outermost
// code, and 127 steps to a side are too fine for a search to matter.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "backends/encode/encoders.h"
#include "backends/encode/extreme.h"
#include "graph/blocks/q8_0.h"
#include "graph/blocks/q8_k.h"
#include "graph/half.h"

namespace weft::inline v0 {
namespace encode {
namespace {

constexpr float kTop = 127;

// std::round() for |v| < 2^31, in operations that compilers vectorise.
int RoundAwayFromZero(float v) {
  const int whole = static_cast<int>(v);
  const float rest = v - static_cast<float>(whole);
  return whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0);
}

void Encode(const float* x, BlockQ8_0& to) {
  // Integers compare as the magnitudes do; compilers vectorise their maximum.
  uint32_t bits[BlockQ8_0::kCount];
  std::memcpy(bits, x, sizeof(bits));
  uint32_t top = 0;
  for (const uint32_t b : bits) top = std::max(top, b & 0x7FFFFFFFu);
  const float d = std::bit_cast<float>(top) / kTop;
  // Far below what f16 can hold, the inverse would be infinite.
  const float inverse = d >= std::numeric_limits<float>::min() ? 1.0f / d : 0;
  to.d = F32ToF16(d);
  for (int i = 0; i < BlockQ8_0::kCount; ++i)
    to.q[i] = static_cast<int8_t>(RoundAwayFromZero(x[i] * inverse));
}

// Ties to even.
int RoundToEven(float v) {
  return static_cast<int>((v + 12582912.0f) - 12582912.0f);
}

void Encode(const float* x, BlockQ8_K& to) {
  // The extreme becomes -127.
  const float inverse = -kTop / Extreme({x, BlockQ8_K::kCount});
  const bool zero = !std::isfinite(inverse);
  to.d = zero ? 0 : 1.0f / inverse;
  for (int i = 0; i < BlockQ8_K::kCount; ++i)
    to.q[i] = static_cast<int8_t>(zero ? 0 : RoundToEven(x[i] * inverse));
  for (int g = 0; g < 16; ++g) {
    int sum = 0;
    for (int i = 0; i < 16; ++i) sum += to.q[g * 16 + i];
    to.sums[g] = static_cast<int16_t>(sum);
  }
}

template <class Block>
void EncodeAll(const EncodeArgs& args) {
  std::byte* out = args.out;
  for (int64_t i = 0; i < args.count;
       i += Block::kCount, out += sizeof(Block)) {
    Block block;
    Encode(args.values + i, block);
    std::memcpy(out, &block, sizeof(block));
  }
}

}  // namespace

void EncodeQ8_0(const EncodeArgs& args) { EncodeAll<BlockQ8_0>(args); }
void EncodeQ8_K(const EncodeArgs& args) { EncodeAll<BlockQ8_K>(args); }

}  // namespace encode
}  // namespace weft::inline v0
