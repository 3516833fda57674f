// q4_0, q4_1, q5_0, q5_1. Without importance they are what ggml's definition
// says, from the largest value and the smallest alone; with it, scales are
// searched for.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "absl/types/span.h"
#include "backends/encode/block32.h"
#include "backends/encode/encoders.h"
#include "backends/encode/extreme.h"
#include "backends/encode/levels.h"
#include "graph/blocks/pack.h"
#include "graph/blocks/q4_0.h"
#include "graph/blocks/q4_1.h"
#include "graph/blocks/q5_0.h"
#include "graph/blocks/q5_1.h"
#include "graph/half.h"

namespace weft::inline v0 {
namespace encode {
namespace {

void PackCodes(const uint8_t* codes, BlockQ4_0& to) {
  PackNibbles(codes, 16, to.q);
}
void PackCodes(const uint8_t* codes, BlockQ4_1& to) {
  PackNibbles(codes, 16, to.q);
}
void PackCodes(const uint8_t* codes, BlockQ5_0& to) {
  PackNibbles(codes, 16, to.q);
  PackOrderedBits(codes, 32, 4, to.qh);
}
void PackCodes(const uint8_t* codes, BlockQ5_1& to) {
  PackNibbles(codes, 16, to.q);
  PackOrderedBits(codes, 32, 4, to.qh);
}

// 0 for a scale so small that its inverse would be infinite; f16 has long
// rounded it to zero.
float InverseOf(float d) {
  return std::fabs(d) >= std::numeric_limits<float>::min() ? 1.0f / d : 0;
}

// The whole part of a code plus one half: v >= 0.
template <int kTop>
uint8_t Whole(float v) {
  return static_cast<uint8_t>(std::min(static_cast<int>(v), kTop));
}

// The value of the largest magnitude, the first of equals, becomes -kOffset.
template <class Block>
void Define(const float* x, Block& to) {
  const float d = Extreme({x, 32}) / -Block::kOffset;
  const float inverse = InverseOf(d);
  to.d = F32ToF16(d);
  uint8_t codes[32];
  constexpr int kTop = 2 * Block::kOffset - 1;
  for (int i = 0; i < 32; ++i)
    codes[i] = Whole<kTop>(x[i] * inverse + (Block::kOffset + 0.5f));
  PackCodes(codes, to);
}

// The smallest value becomes code 0, the largest kTop.
template <int kTop, class Block>
void DefineMoved(const float* x, Block& to) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  const float d = (*high - *low) / kTop;
  const float inverse = InverseOf(d);
  to.d = F32ToF16(d);
  to.m = F32ToF16(*low);
  uint8_t codes[32];
  for (int i = 0; i < 32; ++i)
    codes[i] = Whole<kTop>((x[i] - *low) * inverse + 0.5f);
  PackCodes(codes, to);
}

template <class Block, class F>
void DefineEach(const EncodeArgs& args, const F& define) {
  std::byte* out = args.out;
  for (int64_t i = 0; i < args.count; i += 32, out += sizeof(Block)) {
    Block block;
    define(args.values + i, block);
    std::memcpy(out, &block, sizeof(block));
  }
}

// value = d * (code - kOffset)
template <class Block>
void EncodeSymmetric(const EncodeArgs& args,
                     absl::Span<const float> outermost) {
  if (args.importance == nullptr) return DefineEach<Block>(args, Define<Block>);
  using Levels = IntegerLevels<-Block::kOffset, Block::kOffset - 1>;
  EncodeScaled<Block, Levels>(args, outermost,
                              [](uint16_t d, const uint8_t* codes, Block& to) {
                                to.d = d;
                                PackCodes(codes, to);
                              });
}

// value = d * code + m
template <class Block, int kTop>
void EncodeMoved(const EncodeArgs& args, absl::Span<const float> highest) {
  if (args.importance == nullptr)
    return DefineEach<Block>(args, DefineMoved<kTop, Block>);
  EncodeScaledAndMoved<Block, kTop>(
      args, highest,
      [](uint16_t d, uint16_t m, const uint8_t* codes, Block& to) {
        to.d = d;
        to.m = m;
        PackCodes(codes, to);
      });
}

}  // namespace

void EncodeQ4_0(const EncodeArgs& args) {
  static constexpr float kOutermost[] = {-7.4f, -7.6f, -7.8f, -8,   -8.2f,
                                         -8.4f, -8.6f, 6.8f,  7.1f, 7.4f};
  EncodeSymmetric<BlockQ4_0>(args, kOutermost);
}

void EncodeQ4_1(const EncodeArgs& args) {
  static constexpr float kHighest[] = {14,    14.3f, 14.6f, 14.9f,
                                       15.2f, 15.5f, 15.8f, 16};
  EncodeMoved<BlockQ4_1, 15>(args, kHighest);
}

void EncodeQ5_0(const EncodeArgs& args) {
  static constexpr float kOutermost[] = {-16.5f, -16.2f, -16,    -15.8f,
                                         -15.5f, -15.2f, -15,    -14.7f,
                                         -14.3f, -14,    -13.5f, -13};
  EncodeSymmetric<BlockQ5_0>(args, kOutermost);
}

void EncodeQ5_1(const EncodeArgs& args) {
  static constexpr float kHighest[] = {28, 28.5f, 29, 29.5f,
                                       30, 30.5f, 31, 31.5f};
  EncodeMoved<BlockQ5_1, 31>(args, kHighest);
}

}  // namespace encode
}  // namespace weft::inline v0
