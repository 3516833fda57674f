// Panels as tile registers (AMX) want them. Per-target code, for targets with
// 16 lanes of 32 bits.
#if defined(WEFT_BACKENDS_CPU_QUANT_AMX_PANEL_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_AMX_PANEL_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_AMX_PANEL_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_AMX_PANEL_INL_H_
#endif

#include "backends/cpu/quant/panel-inl.h"

#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3_DL

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

template <class C>
constexpr bool kPlanes = C::kScales == Scales::kInteger;

// One group of a panel as tiles want it: codecs write it by what stands here,
// as they do a Panel (panel-inl.h).
//
// Formats with integer scales: codes times scales, low and high bytes. Codes
// alone are not kept: what is written leaves L1, and takes its time (32 tokens,
// kept in one place for all panels instead of in each: q4_k 1.11 to 1.2 times
// as fast, q6_k 1.01 to 1.18; not at all: 1.01 to 1.19 on top).
template <class C>
struct alignas(64) AmxPanel : PanelScales<Form<C>> {
  static constexpr bool kOneSlot = false;
  static constexpr bool kInRegisters = false;

  uint8_t low[kGroupSize / 4][4 * kLanes];
  uint8_t high[kGroupSize / 4][4 * kLanes];
  int16_t open[2][2 * kLanes];  // scales, twice in each lane, by slot

  template <int kSlots>
  HWY_INLINE void Begin(size_t j, size_t stride) {
    const DI di;
    for (size_t slot = 0; slot < kSlots; ++slot) {
      const VI scale = hn::Load(di, this->scales[j + slot * stride]);
      hn::Store(hn::BitCast(DI16(), Twice(scale)), DI16(), open[slot]);
    }
  }
  template <int kSlots>
  HWY_INLINE void End(size_t, size_t) {}

  template <int kSlot>
  HWY_INLINE void Put(size_t i, VU v0, VU v1, VU v2, VU v3) {
    const auto scale = hn::Load(DI16(), open[kSlot]);
    Multiply(v0, scale, i);
    Multiply(v1, scale, i + 1);
    Multiply(v2, scale, i + 2);
    Multiply(v3, scale, i + 3);
  }

 private:
  HWY_INLINE void Multiply(VU v, hn::Vec<DI16> scale, size_t i) {
    const DI8 d8;
    const DU8 du8;
    const DI16 d16;
    const auto codes = hn::BitCast(du8, v);
    // A product of pairs of which one is zero: at most 255 * 128.
    const auto of_even = hn::And(scale, hn::Set(d16, 0xFF));
    const auto of_odd = hn::ShiftLeft<8>(scale);
    auto evens =
        hn::SatWidenMulPairwiseAdd(d16, codes, hn::BitCast(d8, of_even));
    auto odds = hn::SatWidenMulPairwiseAdd(d16, codes, hn::BitCast(d8, of_odd));
    if constexpr (kBias<C> != 0) {
      const auto bias =
          hn::Mul(scale, hn::Set(d16, static_cast<int16_t>(kBias<C>)));
      evens = hn::Sub(evens, bias), odds = hn::Sub(odds, bias);
    }
    hn::Store(hn::OddEven(hn::BitCast(du8, hn::ShiftLeft<8>(odds)),
                          hn::BitCast(du8, evens)),
              du8, low[i]);
    hn::Store(hn::OddEven(hn::BitCast(du8, odds),
                          hn::BitCast(du8, hn::ShiftRight<8>(evens))),
              du8, high[i]);
  }
};

// Formats with floats as scales: codes as signed bytes, without their bias.
template <class C>
  requires(C::kScales == Scales::kFloat)
struct alignas(64) AmxPanel<C> : PanelScales<Form<C>> {
  static constexpr bool kOneSlot = false;
  static constexpr bool kInRegisters = false;

  uint8_t codes[kGroupSize / 4][4 * kLanes];

  template <int kSlots>
  HWY_INLINE void Begin(size_t, size_t) {}
  template <int kSlots>
  HWY_INLINE void End(size_t, size_t) {}

  template <int kSlot>
  HWY_INLINE void Put(size_t i, VU v0, VU v1, VU v2, VU v3) {
    StoreCodes(Unbiased(v0), codes[i]);
    StoreCodes(Unbiased(v1), codes[i + 1]);
    StoreCodes(Unbiased(v2), codes[i + 2]);
    StoreCodes(Unbiased(v3), codes[i + 3]);
  }

 private:
  static HWY_INLINE VU Unbiased(VU v) {
    const auto bias = hn::Set(DU8(), static_cast<uint8_t>(kBias<C>));
    return hn::BitCast(DU(), hn::Sub(hn::BitCast(DU8(), v), bias));
  }
};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // AVX3_DL

#endif  // WEFT_BACKENDS_CPU_QUANT_AMX_PANEL_INL_H_
