// Decoding of stored formats in registers. Per-target code.
//
// Every format works through the generic codec, which decodes a block by its
// definition; a specialisation is written where speed matters. All give the
// same bits: blocks.h says why no order or fusing of products changes one.
#if defined(WEFT_BACKENDS_CPU_DECODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_DECODE_INL_H_
#undef WEFT_BACKENDS_CPU_DECODE_INL_H_
#else
#define WEFT_BACKENDS_CPU_DECODE_INL_H_
#endif

#include "backends/cpu/half-inl.h"
#include "backends/cpu/simd-inl.h"
#include "graph/blocks/blocks.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Vectors of at most 16 floats, so that they divide every block.
using DF = hn::CappedTag<float, 16>;
using VF = hn::Vec<DF>;

// An f16 in every lane. Through a vector of one: one instruction where the CPU
// converts halves, instead of a dozen for scalars.
HWY_INLINE VF BroadcastF16(DF d, const uint16_t* bits) {
  return hn::Set(d, hn::GetLane(LoadHalf(hn::CappedTag<float, 1>(), bits)));
}

// ---- Formats of one value per block ----

HWY_INLINE VF LoadValues(DF d, const BlockF32* p, int64_t lanes) {
  return LoadPart(d, &p->value, lanes);
}

HWY_INLINE bool IsWhole(DF d, int64_t lanes) {
  return lanes >= static_cast<int64_t>(hn::Lanes(d));
}

HWY_INLINE VF LoadValues(DF d, const BlockF16* p, int64_t lanes) {
  return IsWhole(d, lanes) ? LoadHalf(d, &p->bits)
                           : LoadHalfN(d, &p->bits, static_cast<size_t>(lanes));
}

HWY_INLINE VF LoadValues(DF d, const BlockBF16* p, int64_t lanes) {
  const hn::Rebind<hwy::bfloat16_t, DF> dn;
  const auto* from = reinterpret_cast<const hwy::bfloat16_t*>(p);
  return hn::PromoteTo(
      d, IsWhole(d, lanes) ? hn::LoadU(dn, from)
                           : hn::LoadN(dn, from, static_cast<size_t>(lanes)));
}

// ---- Block formats ----

// `Unpacked` is what a block needs ahead of its values; `Values` are those of
// lanes j .. j + Lanes(d) - 1 of the block.
template <class Block>
struct Codec {
  struct Unpacked {
    float values[Block::kCount];
  };
  static HWY_INLINE Unpacked Unpack(DF, const Block* block) {
    Unpacked u;
    for (int i = 0; i < Block::kCount; ++i) u.values[i] = block->At(i);
    return u;
  }
  static HWY_INLINE VF Scale(DF d, const Block*) { return hn::Zero(d); }
  static HWY_INLINE VF Values(DF d, const Block*, const Unpacked& u, VF,
                              int j) {
    return hn::LoadU(d, u.values + j);
  }
};

template <>
struct Codec<BlockQ8_0> {
  struct Unpacked {};
  static HWY_INLINE Unpacked Unpack(DF, const BlockQ8_0*) { return {}; }
  static HWY_INLINE VF Scale(DF d, const BlockQ8_0* block) {
    return BroadcastF16(d, &block->d);
  }
  static HWY_INLINE VF Values(DF d, const BlockQ8_0* block, Unpacked, VF scale,
                              int j) {
    const hn::Rebind<int8_t, DF> d8;
    const hn::RebindToSigned<DF> d32;
    const auto q = hn::PromoteTo(d32, hn::LoadU(d8, block->q + j));
    return hn::Mul(scale, hn::ConvertTo(d, q));
  }
};

template <>
struct Codec<BlockQ4_0> {
  struct Unpacked {};
  static HWY_INLINE Unpacked Unpack(DF, const BlockQ4_0*) { return {}; }
  static HWY_INLINE VF Scale(DF d, const BlockQ4_0* block) {
    return BroadcastF16(d, &block->d);
  }
  // Lanes 0..15 are low nibbles, 16..31 high ones; a vector has at most 16.
  static HWY_INLINE VF Values(DF d, const BlockQ4_0* block, Unpacked, VF scale,
                              int j) {
    const hn::Rebind<uint8_t, DF> d8;
    const hn::RebindToSigned<DF> d32;
    const auto bytes = hn::LoadU(d8, block->q + j % 16);
    const auto nibbles =
        j < 16 ? hn::And(bytes, hn::Set(d8, 15)) : hn::ShiftRight<4>(bytes);
    const auto q =
        hn::Sub(hn::PromoteTo(d32, nibbles), hn::Set(d32, BlockQ4_0::kOffset));
    return hn::Mul(scale, hn::ConvertTo(d, q));
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_DECODE_INL_H_
