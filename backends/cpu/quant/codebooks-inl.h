// Unpacking of formats whose nibbles index a codebook: iq4_nl, iq4_xs, mxfp4.
// Per-target code.
#if defined(WEFT_BACKENDS_CPU_QUANT_CODEBOOKS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_CODEBOOKS_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_CODEBOOKS_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_CODEBOOKS_INL_H_
#endif

#include "backends/cpu/quant/small_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// The 16 values of a codebook in each 128-bit block.
HWY_INLINE hn::Vec<DI8> LoadCodebook(const int8_t* values) {
  return hn::LoadDup128(DI8(), values);
}

// codebook[nibble] for every byte of `nibbles`.
HWY_INLINE VU LookUp(hn::Vec<DI8> codebook, VU nibbles) {
  return hn::BitCast(
      DU(), hn::TableLookupBytes(codebook, hn::BitCast(DI8(), nibbles)));
}

// PutNibbles with what the codebook has for them.
template <class R, class P>
HWY_INLINE void PutLookedUp(R rows, size_t to, hn::Vec<DI8> codebook, P& out) {
  PutNibbles(rows, to, out,
             [&](VU v, int) HWY_ATTR { return Signed(LookUp(codebook, v)); });
}

struct CodecIQ4_NL {
  using Block = BlockIQ4_NL;
  static constexpr int kSub = 32;
  static constexpr int kMaxCode = 128;
  static constexpr int kOffset = 0;
  static constexpr bool kSignedCodes = true;
  static constexpr Scales kScales = Scales::kFloat;
  static constexpr Mins kMins = Mins::kNone;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int blocks, P& out) {
    const auto codebook = LoadCodebook(kIq4Codebook);
    const BlockScales<CodecIQ4_NL, R> scales(rows, blocks);
    ForEachBlock<Block>(
        rows, blocks, scales, out,
        [&](auto block, size_t j) HWY_ATTR __attribute__((always_inline)) {
          PutLookedUp(block.At(offsetof(Block, q)), 8 * j, codebook, out);
        });
  }
};

struct CodecIQ4_XS {
  using Block = BlockIQ4_XS;
  static constexpr int kSub = 32;
  static constexpr int kMaxCode = 128;
  static constexpr int kOffset = 0;
  static constexpr bool kSignedCodes = true;
  static constexpr Scales kScales = Scales::kInteger;
  static constexpr Mins kMins = Mins::kNone;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int, P& out) {
    // d and scales_h, scales_l, and the first eight bytes of quants.
    VU dh, low, unused0, unused1;
    Load4(rows, dh, low, unused0, unused1);
    hn::Store(F16Of(dh), DF32(), out.d);
    const VU high = hn::ShiftRight<16>(dh);
    StoreScale(Scale<0>(low, high), out.scales[0]);
    StoreScale(Scale<1>(low, high), out.scales[1]);
    StoreScale(Scale<2>(low, high), out.scales[2]);
    StoreScale(Scale<3>(low, high), out.scales[3]);
    StoreScale(Scale<4>(low, high), out.scales[4]);
    StoreScale(Scale<5>(low, high), out.scales[5]);
    StoreScale(Scale<6>(low, high), out.scales[6]);
    StoreScale(Scale<7>(low, high), out.scales[7]);
    const auto codebook = LoadCodebook(kIq4Codebook);
    for (size_t j = 0; j < 8; ++j) {
      out.template Begin<1>(j, 0);
      PutLookedUp(rows.At(offsetof(Block, q) + 16 * j), 8 * j, codebook, out);
      out.template End<1>(j, 0);
    }
  }

 private:
  // Scale of sub-block kS: nibble kS of `low`, bits 2 kS of `high` above it.
  template <int kS>
  static HWY_INLINE VI Scale(VU low, VU high) {
    const DU du;
    const VU bits0 = hn::And(hn::ShiftRight<4 * kS>(low), hn::Set(du, 15u));
    const VU bits4 = hn::And(hn::ShiftRight<2 * kS>(high), hn::Set(du, 3u));
    return hn::Sub(hn::BitCast(DI(), hn::Or(bits0, hn::ShiftLeft<4>(bits4))),
                   hn::Set(DI(), Block::kScaleOffset));
  }
};

struct CodecMXFP4 {
  using Block = BlockMXFP4;
  static constexpr int kSub = 32;
  static constexpr int kMaxCode = 12;
  static constexpr int kOffset = 0;
  static constexpr bool kSignedCodes = true;
  static constexpr Scales kScales = Scales::kFloat;
  static constexpr Mins kMins = Mins::kNone;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int blocks, P& out) {
    const auto codebook = LoadCodebook(Block::kDoubled);
    const Exponents<R> scales(rows, blocks);
    ForEachBlock<Block>(
        rows, blocks, scales, out,
        [&](auto block, size_t j) HWY_ATTR __attribute__((always_inline)) {
          PutLookedUp(block.At(offsetof(Block, q)), 8 * j, codebook, out);
        });
  }

 private:
  template <class R>
  struct Exponents {
    Fields<Block, uint8_t, R> fields;

    HWY_INLINE Exponents(R rows, int blocks)
        : fields(rows, blocks, offsetof(Block, e)) {}
    template <class P>
    HWY_INLINE void Store(size_t j, P& out) const {
      StoreScale(fields.Get(j), out.scales[j]);
    }
  };
  // HalfE8M0ToF32 of each row's exponent.
  static HWY_INLINE void StoreScale(const uint8_t* exponents, float* to) {
    const DU d;
    const hn::Rebind<uint8_t, DU> d8;
    const VU e = hn::PromoteTo(d, hn::LoadU(d8, exponents));
    const VU normal = hn::ShiftLeft<23>(hn::Sub(e, hn::Set(d, 1u)));
    const VU denormal = hn::Shl(hn::Set(d, 0x00200000u), e);
    const VU bits = hn::IfThenElse(hn::Lt(e, hn::Set(d, 2u)), denormal, normal);
    hn::Store(hn::BitCast(DF32(), bits), DF32(), to);
  }
};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_CODEBOOKS_INL_H_
