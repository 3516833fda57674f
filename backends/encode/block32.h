// Blocks of 32 values that stand alone, four at a time.
#ifndef WEFT_BACKENDS_ENCODE_BLOCK32_H_
#define WEFT_BACKENDS_ENCODE_BLOCK32_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backends/encode/affine.h"
#include "backends/encode/encoders.h"
#include "backends/encode/lanes.h"
#include "backends/encode/symmetric.h"

namespace weft::inline v0 {
namespace encode {

// Calls f(sub_blocks, blocks) for each four blocks and stores what it wrote to
// `blocks`; at the end fewer, where lanes beyond the last are zeros.
template <class Block, class F>
void ForEachFour(const EncodeArgs& args, const F& f) {
  static_assert(Block::kCount == 32);
  static constexpr float kZeros[32] = {};
  const int64_t n = args.count / 32;
  std::byte* out = args.out;
  for (int64_t first = 0; first < n; first += kLanes) {
    const float* x[kLanes];
    const float* w[kLanes];
    for (int k = 0; k < kLanes; ++k) {
      const bool there = first + k < n;
      x[k] = there ? args.values + (first + k) * 32 : kZeros;
      // Any weights do for zeros.
      w[k] = args.ImportanceAt(there ? (first + k) * 32 : 0);
    }
    SubBlocks<32> sub;
    Load<32>(x, w, sub);
    Block blocks[kLanes];
    f(sub, blocks);
    const size_t bytes = sizeof(Block) * static_cast<size_t>(std::min<int64_t>(
                                             kLanes, n - first));
    std::memcpy(out, blocks, bytes);
    out += bytes;
  }
}

// Each lane that has the smaller error.
inline void TakeBetter(LaneMask better, const HalfLanes& from, HalfLanes& to) {
  for (int k = 0; k < kLanes; ++k)
    if (better[k] != 0) to.Set(k, from[k]);
}

// value = d * level, with a search for d; see SearchScale(). pack(d, codes,
// block) writes a block.
template <class Block, class Levels, class Pack>
void EncodeScaled(const EncodeArgs& args, absl::Span<const float> outermost,
                  const Pack& pack) {
  ForEachFour<Block>(args, [&](const SubBlocks<32>& sub, Block* blocks) {
    const HalfLanes plain =
        HalfLanes::Of(Half::NotZero, PlainScale<Levels, 32>(sub));
    HalfLanes d =
        HalfLanes::Of(Half::NotZero, SearchScale<Levels, 32>(sub, outermost));
    TakeBetter(ErrorAt<Levels, 32>(sub, plain.value) <
                   ErrorAt<Levels, 32>(sub, d.value),
               plain, d);
    uint8_t codes[kLanes * 32];
    const Lanes inverse = Inverse(d.value);
    StoreCodes<32>([&](int j) { return Levels::Nearest(sub.x[j] * inverse); },
                   Levels::Code, codes);
    for (int k = 0; k < kLanes; ++k) pack(d.bits[k], codes + 32 * k, blocks[k]);
  });
}

// value = d * code + m, codes 0 .. kTop, with a search for both; see
// AffineSearch::Best(). pack(d, m, codes, block) writes a block.
template <class Block, int kTop, class Pack>
void EncodeScaledAndMoved(const EncodeArgs& args,
                          absl::Span<const float> highest, const Pack& pack) {
  ForEachFour<Block>(args, [&](const SubBlocks<32>& sub, Block* blocks) {
    const AffineSearch<32, kTop, Low::kAnySign> search(sub);
    const AffineFit best = search.Best(highest);
    const AffineFit plain = search.Plain();
    HalfLanes d = HalfLanes::Of(Half::NotZero, best.scale);
    HalfLanes m = HalfLanes::Of(Half::Nearest, best.low);
    const HalfLanes plain_d = HalfLanes::Of(Half::NotZero, plain.scale);
    const HalfLanes plain_m = HalfLanes::Of(Half::Nearest, plain.low);
    const LaneMask better =
        AffineErrorAt<32, kTop>(sub, plain_d.value, -plain_m.value) <
        AffineErrorAt<32, kTop>(sub, d.value, -m.value);
    TakeBetter(better, plain_d, d);
    TakeBetter(better, plain_m, m);
    uint8_t codes[kLanes * 32];
    const Lanes inverse = Inverse(d.value);
    StoreCodes<32>(
        [&](int j) {
          return Clamp(Round((sub.x[j] - m.value) * inverse), 0, kTop);
        },
        [](int code) { return static_cast<uint8_t>(code); }, codes);
    for (int k = 0; k < kLanes; ++k)
      pack(d.bits[k], m.bits[k], codes + 32 * k, blocks[k]);
  });
}

}  // namespace encode
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_ENCODE_BLOCK32_H_
