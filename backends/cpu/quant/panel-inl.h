// Panels: rows of a stored weight, turned so that a vector's lanes are rows.
// Per-target code.
//
// A matmul on blocks wants one broadcast of four activations to meet as many
// rows as a vector has lanes: no sum across lanes is ever needed, and the sums
// of a row are added in the same order for one token and for many. Files store
// rows one after the other (packed.h: 16 together), so kLanes rows x 256
// columns (a group) are turned when they are read: 16 bytes of each row at a
// time become four vectors of dwords (Load4), at two shuffles a vector. What
// follows is the same arithmetic for all rows at once, for quants and for
// scales alike. Nothing is kept: a panel lives in L1 while the tokens pass by.
#if defined(WEFT_BACKENDS_CPU_QUANT_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_PANEL_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_PANEL_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_PANEL_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "backends/cpu/half-inl.h"
#include "backends/cpu/quant/rows-inl.h"
#include "backends/cpu/quant/traits.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// Whether unsigned x signed bytes are multiplied and summed by fours in one
// instruction (AVX-512 VNNI); 8-bit codes are then stored plus 128.
constexpr bool kVnni = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL;

// Whether bytes are multiplied by pairs into int16 first (x86 before VNNI). On
// the portable baseline that instruction does not exist either.
constexpr bool kPairwise = HWY_ARCH_X86 && !kVnni && HWY_TARGET <= HWY_SSSE3;

// What is taken off a stored code: value = scale * (code - kBias) - min.
template <class C>
constexpr int kBias = C::kSignedCodes ? (kVnni ? 128 : 0) : C::kOffset;

// What tiles depend on of a format, beside kPairRun where bytes are multiplied
// by pairs. Those that agree in it share their tiles. A codec has these members
// but for kBiased, as the format defines them.
template <int kSubOf, bool kBiasedOf, bool kSignedOf, Scales kScalesOf,
          Mins kMinsOf>
struct PanelForm {
  static constexpr int kSub = kSubOf;
  static constexpr bool kBiased = kBiasedOf;       // see kBias
  static constexpr bool kSignedCodes = kSignedOf;  // as they are stored
  static constexpr Scales kScales = kScalesOf;
  static constexpr Mins kMins = kMinsOf;
};
template <class C>
using Form = PanelForm<C::kSub, kBias<C> != 0, C::kSignedCodes && !kVnni,
                       C::kScales, C::kMins>;

// What multiplies bytes: the instruction set that is compiled for, or an
// instruction that some of its CPUs have besides (kDotTarget).
enum class Dots { kTarget, kExtension };
constexpr bool kHasDotExtension =
    HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_NEON_WITHOUT_AES;

template <Dots kDots>
constexpr bool kPairs = kPairwise && kDots == Dots::kTarget;

// Arm's signed dot product; part of NEON_BF16.
template <Dots kDots>
constexpr bool kSdot = HWY_TARGET == HWY_NEON_BF16 || kDots == Dots::kExtension;

// Whether 128 is added to codes on their way to the dot product: AVX-VNNI wants
// unsigned ones, which panels for AVX2 do not hold.
template <class F, Dots kDots>
constexpr bool kAdds128 =
    HWY_TARGET == HWY_AVX2 && kDots == Dots::kExtension && F::kSignedCodes;
// What is taken off a code that meets the dot product.
template <class C, Dots kDots>
constexpr int kDotBias = kAdds128<Form<C>, kDots> ? 128 : kBias<C>;

// How many tokens at once multiply signed codes where bytes are multiplied by
// pairs: |code| times the activation, complemented where the code is negative.
// ~x is -x - 1, so such a product lacks |code|; what a sub-block lacks depends
// on its codes alone and is summed when they are unpacked. (Negating takes one
// of the two ports that multiply, on Zen 4; complementing takes any of four.)
template <class F>
constexpr bool kFlips = kPairwise && F::kSignedCodes;

// The scales of one group of a panel of the form F, unpacked.
template <class F>
struct alignas(64) PanelScales {
  static constexpr int kSubs = kGroupSize / F::kSub;
  // kInteger: int32, or int16 twice (kPairwise).
  std::conditional_t<F::kScales == Scales::kFloat, float, int32_t>
      scales[kSubs][kLanes];
  // kInteger: what they are multiplied with.
  float d[kLanes];
  // kPaired: mins as pairs of int16, and what they are multiplied with.
  // kFloat: mins[0..kSubs).
  int32_t min_pairs[F::kMins == Mins::kPaired ? kSubs / 2 : 1][kLanes];
  float mins[F::kMins == Mins::kFloat ? kSubs : 1][kLanes];
};

// A sub-block's integer scale, as StoreScale() or StoreScales() left it.
HWY_INLINE VI IntScale(const int32_t* from) {
  const VI scale = hn::Load(DI(), from);
  return kPairwise ? hn::ShiftRight<16>(scale) : scale;
}

HWY_INLINE void StoreCodes(VU v, uint8_t* to) {
  hn::Store(hn::BitCast(DU8(), v), DU8(), to);
}

// One group of a panel, unpacked. Codecs write it by what stands here, and into
// a TokenGroup (token-inl.h) or an AmxPanel (amx_panel-inl.h) in the same way.
template <class F>
struct alignas(64) Panel : PanelScales<F> {
  // Whether one sub-block at a time is put, where codes of two share bytes.
  static constexpr bool kOneSlot = false;
  // Whether loops over blocks are unrolled.
  static constexpr bool kInRegisters = false;
  // codes[i]: columns 4i .. 4i + 3 of each row.
  alignas(64) uint8_t codes[kGroupSize / 4][4 * kLanes];
  // kFlips: |codes|. Tiles that took them from codes, for each few tokens
  // again, were slower: AVX2, q8_0, one thread, 107 GOP/s instead of 120.
  alignas(64) uint8_t magnitudes[kFlips<F> ? kGroupSize / 4 : 1][4 * kLanes];
  // kFlips: what each sub-block lacks; with integer scales what the group does.
  static constexpr int kLacks =
      kFlips<F> && F::kScales == Scales::kFloat ? PanelScales<F>::kSubs : 1;
  int32_t lacks[kLacks][kLanes];
  int32_t open[2][kLanes];  // of the sub-blocks that are being put, by slot

  // Quads of columns i .. i + 3 of each row. Codes of two sub-blocks may be put
  // by turns: kSlot says of which.
  template <int kSlot>
  HWY_INLINE void Put(size_t i, VU v0, VU v1, VU v2, VU v3) {
    StoreCodes(v0, codes[i]);
    StoreCodes(v1, codes[i + 1]);
    StoreCodes(v2, codes[i + 2]);
    StoreCodes(v3, codes[i + 3]);
    if constexpr (kFlips<F>) {
      StoreMagnitudes(v0, magnitudes[i]);
      StoreMagnitudes(v1, magnitudes[i + 1]);
      StoreMagnitudes(v2, magnitudes[i + 2]);
      StoreMagnitudes(v3, magnitudes[i + 3]);
      const auto sum = hn::Add(hn::Add(LackOf(v0), LackOf(v1)),
                               hn::Add(LackOf(v2), LackOf(v3)));
      const VI wide = hn::WidenMulPairwiseAdd(DI(), sum, hn::Set(DI16(), 1));
      hn::Store(hn::Add(hn::Load(DI(), open[kSlot]), wide), DI(), open[kSlot]);
    }
  }
  // Around all that is put of the sub-blocks j + slot * stride for kSlots
  // slots. Integer scales of sub-blocks are stored before they begin, floats
  // before they end.
  template <int kSlots>
  HWY_INLINE void Begin(size_t j, size_t) {
    if constexpr (kFlips<F>) {
      if (j == 0) hn::Store(hn::Zero(DI()), DI(), lacks[0]);
      for (int slot = 0; slot < kSlots; ++slot)
        hn::Store(hn::Zero(DI()), DI(), open[slot]);
    }
  }
  template <int kSlots>
  HWY_INLINE void End(size_t j, size_t stride) {
    if constexpr (kFlips<F>) {
      for (size_t slot = 0; slot < kSlots; ++slot) {
        const size_t ended = j + slot * stride;
        const VI lack = hn::Load(DI(), open[slot]);
        if constexpr (F::kScales == Scales::kFloat) {
          hn::Store(lack, DI(), lacks[ended]);
        } else {
          const VI scaled = hn::Mul(lack, IntScale(this->scales[ended]));
          hn::Store(hn::Add(hn::Load(DI(), lacks[0]), scaled), DI(), lacks[0]);
        }
      }
    }
  }

 private:
  static HWY_INLINE void StoreMagnitudes(VU v, uint8_t* to) {
    hn::Store(hn::BitCast(DU8(), hn::Abs(hn::BitCast(DI8(), v))), DU8(), to);
  }
  // |code| where it is negative, as sums of pairs.
  static HWY_INLINE hn::Vec<DI16> LackOf([[maybe_unused]] VU v) {
    const DI8 d8;
    const auto code = hn::BitCast(d8, v);
    const auto lack =
        hn::IfThenElseZero(hn::Lt(code, hn::Zero(d8)), hn::Neg(code));
    return hn::SatWidenMulPairwiseAdd(DI16(), hn::BitCast(DU8(), lack),
                                      hn::Set(d8, 1));
  }
};

// ---- Small arithmetic on lanes of bytes ----

HWY_INLINE VU Bytes(uint8_t byte) {
  return hn::BitCast(DU(), hn::Set(DU8(), byte));
}

// Byte kByte of each lane.
template <int kByte>
HWY_INLINE VI ByteOf(VU v) {
  const auto shifted = hn::ShiftRight<8 * kByte>(v);
  return hn::BitCast(
      DI(), kByte == 3 ? shifted : hn::And(shifted, hn::Set(DU(), 255u)));
}

// Signed byte kByte of each lane.
template <int kByte>
HWY_INLINE VI SignedByteOf(VU v) {
  return hn::ShiftRight<24>(
      hn::BitCast(DI(), hn::ShiftLeft<24 - 8 * kByte>(v)));
}

// The f16 in bits 0..15 of each lane.
HWY_INLINE VF32 F16Of(VU bits) {
  const hn::Rebind<uint16_t, DU> d16;
  return PromoteHalf(DF32(), hn::TruncateTo(d16, bits));
}

// The f16 of each row.
template <class R>
struct F16Rows {
  Units<uint16_t, R> bits;

  explicit HWY_INLINE F16Rows(R rows) : bits(rows) {}
  HWY_INLINE VF32 Get() const { return LoadHalf(DF32(), bits.Get()); }
};

// The dword of each row.
template <class R>
struct DwordRows {
  Units<uint32_t, R> bits;

  explicit HWY_INLINE DwordRows(R rows) : bits(rows) {}
  HWY_INLINE VU Get() const { return hn::LoadU(DU(), bits.Get()); }
};

// Signed codes as the dot products want them.
HWY_INLINE VU Signed(VU codes) {
  return kVnni ? hn::Xor(codes, Bytes(128)) : codes;
}

// int16 in both halves of each lane.
HWY_INLINE VI Twice(VI v) {
  return hn::Or(hn::And(v, hn::Set(DI(), 0xFFFF)), hn::ShiftLeft<16>(v));
}

// A sub-block's integer scale of each row.
HWY_INLINE void StoreScale(VI scale, int32_t* to) {
  const DI d;
  hn::Store(kPairwise ? Twice(scale) : scale, d, to);
}

// A scale as a float.
HWY_INLINE VF32 FloatScale(const int32_t* from) {
  return hn::ConvertTo(DF32(), IntScale(from));
}

// Bytes of each lane by their numbers; kNoByte: 0.
constexpr uint8_t kNoByte = 128;
template <uint8_t k0, uint8_t k1, uint8_t k2, uint8_t k3>
HWY_INLINE VI PickBytes(VU v) {
  constexpr auto At = [](uint8_t k, int lane) {
    return k == kNoByte ? k : static_cast<uint8_t>(k + 4 * lane);
  };
  alignas(16) static constexpr uint8_t kNumbers[16] = {
      At(k0, 0), At(k1, 0), At(k2, 0), At(k3, 0), At(k0, 1), At(k1, 1),
      At(k2, 1), At(k3, 1), At(k0, 2), At(k1, 2), At(k2, 2), At(k3, 2),
      At(k0, 3), At(k1, 3), At(k2, 3), At(k3, 3)};
  const DU8 d8;
  return hn::BitCast(DI(),
                     hn::TableLookupBytesOr0(hn::BitCast(d8, v),
                                             hn::LoadDup128(d8, kNumbers)));
}

// Byte kByte of each lane, less kBase, as a scale. Where scales stand twice
// (kPairwise) one shuffle of bytes does what five shifts and masks would.
template <uint8_t kByte, int kBase, bool kSigned>
HWY_INLINE void StoreByteScale(VU bytes, int32_t* to) {
  if constexpr (kPairwise) {
    const DI16 d16;
    auto twice =
        kSigned ? hn::ShiftRight<8>(hn::BitCast(
                      d16, PickBytes<kNoByte, kByte, kNoByte, kByte>(bytes)))
                : hn::BitCast(d16,
                              PickBytes<kByte, kNoByte, kByte, kNoByte>(bytes));
    if (kBase != 0) twice = hn::Sub(twice, hn::Set(d16, kBase));
    hn::Store(hn::BitCast(DI(), twice), DI(), to);
  } else {
    const VI scale =
        kSigned ? SignedByteOf<kByte>(bytes) : ByteOf<kByte>(bytes);
    StoreScale(kBase != 0 ? hn::Sub(scale, hn::Set(DI(), kBase)) : scale, to);
  }
}

// Four scales, one in each byte of a lane, to four rows. kBase is taken off
// each.
template <int kBase, bool kSigned = false>
HWY_INLINE void StoreScales(VU bytes, int32_t (*to)[kLanes]) {
  StoreByteScale<0, kBase, kSigned>(bytes, to[0]);
  StoreByteScale<1, kBase, kSigned>(bytes, to[1]);
  StoreByteScale<2, kBase, kSigned>(bytes, to[2]);
  StoreByteScale<3, kBase, kSigned>(bytes, to[3]);
}

// Four mins, one in each byte of a lane, to two rows of pairs of int16.
HWY_INLINE void StoreMinPairs(VU bytes, int32_t (*to)[kLanes]) {
  const DI d;
  if constexpr (kPairwise) {
    hn::Store(PickBytes<0, kNoByte, 1, kNoByte>(bytes), d, to[0]);
    hn::Store(PickBytes<2, kNoByte, 3, kNoByte>(bytes), d, to[1]);
  } else {
    hn::Store(hn::Or(ByteOf<0>(bytes), hn::ShiftLeft<16>(ByteOf<1>(bytes))), d,
              to[0]);
    hn::Store(hn::Or(ByteOf<2>(bytes), hn::ShiftLeft<16>(ByteOf<3>(bytes))), d,
              to[1]);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_PANEL_INL_H_
