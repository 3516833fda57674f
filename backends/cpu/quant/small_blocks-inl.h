// Unpacking of formats with blocks of 32: q4_0 .. q8_0; and of q8_k. Per-target
// code. `blocks` is what is left of the group: rows need not be multiples of
// 256.
#if defined(WEFT_BACKENDS_CPU_QUANT_SMALL_BLOCKS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_SMALL_BLOCKS_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_SMALL_BLOCKS_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_SMALL_BLOCKS_INL_H_
#endif

#include <type_traits>

#include "backends/cpu/half-inl.h"
#include "backends/cpu/quant/panel-inl.h"
#include "graph/blocks/blocks.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// Calls f(block's rows, j) for the blocks of a group; `out` takes what it puts,
// and their scales. Where that is to stay in registers, j is a constant. f is
// always_inline: `out` holds sums, which a call would write and read again (g++
// 12, q8_0 from memory: 8 tokens 0.86, AVX2 4 tokens 0.84 times as fast).
template <class Block, class R, class S, class P, class F>
HWY_INLINE void ForEachBlock(R rows, int blocks, const S& scales, P& out,
                             const F& f) {
  const auto Run = [&](size_t j) HWY_ATTR __attribute__((always_inline)) {
    out.template Begin<1>(j, 0);
    f(rows.At(j * sizeof(Block)), j);
    scales.Store(j, out);
    out.template End<1>(j, 0);
  };
  const auto count = static_cast<size_t>(blocks);
  if constexpr (P::kInRegisters) {
    constexpr size_t kMost = kGroupSize / Block::kCount;
    HWY_UNROLL(8) for (size_t j = 0; j < kMost && j < count; ++j) Run(j);
  } else {
    for (size_t j = 0; j < count; ++j) Run(j);
  }
}

// A T at `offset` of each block of a group: Units of all blocks.
template <class Block, class T, class R>
class Fields {
 public:
  HWY_INLINE Fields(R rows, int blocks, size_t offset) {
    for (size_t j = 0; j < static_cast<size_t>(blocks); ++j)
      GatherRows(rows.At(j * sizeof(Block) + offset), values_[j]);
  }
  HWY_INLINE const T* Get(size_t j) const { return values_[j]; }

 private:
  alignas(64) T values_[kGroupSize / Block::kCount][kLanes];
};
template <class Block, class T, Ask kAsk>
class Fields<Block, T, PackedRows<kAsk>> {
 public:
  HWY_INLINE Fields(PackedRows<kAsk> rows, int, size_t offset)
      : rows_(rows.At(offset)) {}
  HWY_INLINE const T* Get(size_t j) const {
    return Units<T, PackedRows<kAsk>>(rows_.At(j * sizeof(Block))).Get();
  }

 private:
  PackedRows<kAsk> rows_;
};

// d, or d and m, of a group's blocks.
template <class C, class R>
struct BlockScales {
  using Block = typename C::Block;
  static constexpr bool kHasMins = C::kMins == Mins::kFloat;
  Fields<Block, std::conditional_t<kHasMins, uint32_t, uint16_t>, R> fields;

  HWY_INLINE BlockScales(R rows, int blocks) : fields(rows, blocks, 0) {}

  HWY_INLINE void Store(size_t j, PanelScales<Form<C>>& out) const {
    const DF32 df;
    if constexpr (kHasMins) {
      const VU both = hn::LoadU(DU(), fields.Get(j));
      hn::Store(F16Of(both), df, out.scales[j]);
      // value = d * code + m: a panel's mins are subtracted.
      hn::Store(hn::Neg(F16Of(hn::ShiftRight<16>(both))), df, out.mins[j]);
    } else {
      hn::Store(LoadHalf(df, fields.Get(j)), df, out.scales[j]);
    }
  }
};

// Puts 16 bytes of nibbles: columns 4i .. 4i + 3 from quad `to` + i on are
// code(nibbles, i) for i = 0..7.
template <class R, class P, class F>
HWY_INLINE void PutNibbles(R rows, size_t to, P& out, const F& code) {
  const VU low4 = Bytes(15);
  VU v0, v1, v2, v3;
  Load4(rows, v0, v1, v2, v3);
  const auto Low = [&](VU v) HWY_ATTR { return hn::And(v, low4); };
  const auto High = [&](VU v) HWY_ATTR { return Low(hn::ShiftRight<4>(v)); };
  out.template Put<0>(to, code(Low(v0), 0), code(Low(v1), 1), code(Low(v2), 2),
                      code(Low(v3), 3));
  out.template Put<0>(to + 4, code(High(v0), 4), code(High(v1), 5),
                      code(High(v2), 6), code(High(v3), 7));
}

template <class B, Mins kMinsOf>
struct CodecNibbles {
  using Block = B;
  using Self = CodecNibbles;
  static constexpr int kSub = 32;
  static constexpr int kMaxCode = 15;
  static constexpr int kOffset = kMinsOf == Mins::kNone ? 8 : 0;
  static constexpr bool kSignedCodes = false;
  static constexpr Scales kScales = Scales::kFloat;
  static constexpr Mins kMins = kMinsOf;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int blocks, P& out) {
    const BlockScales<Self, R> scales(rows, blocks);
    ForEachBlock<Block>(rows, blocks, scales, out,
                        [&](auto block, size_t j) HWY_ATTR
                        __attribute__((always_inline)) {
                          PutNibbles(block.At(offsetof(Block, q)), 8 * j, out,
                                     [](VU v, int) HWY_ATTR { return v; });
                        });
  }
};
using CodecQ4_0 = CodecNibbles<BlockQ4_0, Mins::kNone>;
using CodecQ4_1 = CodecNibbles<BlockQ4_1, Mins::kFloat>;

template <class B, Mins kMinsOf>
struct CodecFiveBits {
  using Block = B;
  using Self = CodecFiveBits;
  static constexpr int kSub = 32;
  static constexpr int kMaxCode = 31;
  static constexpr int kOffset = kMinsOf == Mins::kNone ? 16 : 0;
  static constexpr bool kSignedCodes = false;
  static constexpr Scales kScales = Scales::kFloat;
  static constexpr Mins kMins = kMinsOf;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int blocks, P& out) {
    const DU d;
    // Four bits to bit 4 of four bytes: the factor puts copies of them 7 bits
    // apart, so that bit b of the four comes to stand at 8b, then 4 further.
    const VU spread = hn::Set(d, 0x00204081u << 4);
    const VU bit4 = Bytes(16);
    const BlockScales<Self, R> scales(rows, blocks);
    const Fields<Block, uint32_t, R> high(rows, blocks, offsetof(Block, qh));
    ForEachBlock<Block>(
        rows, blocks, scales, out,
        [&](auto block, size_t j) HWY_ATTR __attribute__((always_inline)) {
          const VU h = hn::LoadU(d, high.Get(j));
          PutNibbles(block.At(offsetof(Block, q)), 8 * j, out,
                     [&](VU v, int i) HWY_ATTR {
                       const VU bits = hn::And(hn::ShiftRightSame(h, 4 * i),
                                               hn::Set(d, 15u));
                       return hn::Or(v, hn::And(hn::Mul(bits, spread), bit4));
                     });
        });
  }
};
using CodecQ5_0 = CodecFiveBits<BlockQ5_0, Mins::kNone>;
using CodecQ5_1 = CodecFiveBits<BlockQ5_1, Mins::kFloat>;

// 16 bytes of signed codes, as quads `to` and on.
template <class R, class P>
HWY_INLINE void PutSigned(R rows, size_t to, P& out) {
  VU v0, v1, v2, v3;
  Load4(rows, v0, v1, v2, v3);
  out.template Put<0>(to, Signed(v0), Signed(v1), Signed(v2), Signed(v3));
}

struct CodecQ8_0 {
  using Block = BlockQ8_0;
  using Self = CodecQ8_0;
  static constexpr int kSub = 32;
  static constexpr int kMaxCode = 128;
  static constexpr int kOffset = 0;
  static constexpr bool kSignedCodes = true;
  static constexpr Scales kScales = Scales::kFloat;
  static constexpr Mins kMins = Mins::kNone;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int blocks, P& out) {
    const BlockScales<Self, R> scales(rows, blocks);
    ForEachBlock<Block>(
        rows, blocks, scales, out,
        [&](auto block, size_t j) HWY_ATTR __attribute__((always_inline)) {
          PutSigned(block.At(offsetof(Block, q)), 8 * j, out);
          PutSigned(block.At(offsetof(Block, q) + 16), 8 * j + 4, out);
        });
  }
};

// d alone, for 256 values: the scales of sub-blocks are 1.
struct CodecQ8_K {
  using Block = BlockQ8_K;
  static constexpr int kSub = 32;
  static constexpr int kMaxCode = 128;
  static constexpr int kOffset = 0;
  static constexpr bool kSignedCodes = true;
  static constexpr Scales kScales = Scales::kInteger;
  static constexpr Mins kMins = Mins::kNone;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int, P& out) {
    hn::Store(hn::BitCast(DF32(), DwordRows(rows.At(offsetof(Block, d))).Get()),
              DF32(), out.d);
    for (auto& row : out.scales) StoreScale(hn::Set(DI(), 1), row);
    for (size_t j = 0; j < 8; ++j) {
      out.template Begin<1>(j, 0);
      PutSigned(rows.At(offsetof(Block, q) + 32 * j), 8 * j, out);
      PutSigned(rows.At(offsetof(Block, q) + 32 * j + 16), 8 * j + 4, out);
      out.template End<1>(j, 0);
    }
  }
};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_SMALL_BLOCKS_INL_H_
