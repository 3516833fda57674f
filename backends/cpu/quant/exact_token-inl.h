// One token times packed rows in f32: codes go from registers straight into
// products, without a panel between. Per-target code.
//
// The definition and the bits of exact-inl.h, for the reason that
// token-inl.h gives.
#if defined(WEFT_BACKENDS_CPU_QUANT_EXACT_TOKEN_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_EXACT_TOKEN_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_EXACT_TOKEN_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_EXACT_TOKEN_INL_H_
#endif

#include "backends/cpu/quant/exact-inl.h"

// Vectors of SVE cannot stand in structs.
#if !HWY_HAVE_SCALABLE && !HWY_TARGET_IS_SVE

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// A group of a panel and one token: what a codec unpacks into.
template <class C>
struct ExactGroup : PanelScales<Form<C>> {
  static constexpr int kSubs = PanelScales<Form<C>>::kSubs;
  static constexpr bool kOneSlot = false;
  static constexpr bool kInRegisters = false;

  const float* x;    // of the group's columns
  VF32 open[2][4];   // the parts that are being added up, by slot
  VF32 dots[kSubs];  // the sums of parts

  explicit HWY_INLINE ExactGroup(const float* columns) : x(columns) {}

  template <int kSlot>
  HWY_INLINE void AddQuad(VU codes, const float* at) {
    const DF32 df;
    VF32(&p)[4] = open[kSlot];
    p[0] = hn::MulAdd(CodeOf<Form<C>, 0>(codes, kBias<C>), hn::Set(df, at[0]),
                      p[0]);
    p[1] = hn::MulAdd(CodeOf<Form<C>, 1>(codes, kBias<C>), hn::Set(df, at[1]),
                      p[1]);
    p[2] = hn::MulAdd(CodeOf<Form<C>, 2>(codes, kBias<C>), hn::Set(df, at[2]),
                      p[2]);
    p[3] = hn::MulAdd(CodeOf<Form<C>, 3>(codes, kBias<C>), hn::Set(df, at[3]),
                      p[3]);
  }

  template <int kSlot>
  HWY_INLINE void Put(size_t i, VU v0, VU v1, VU v2, VU v3) {
    AddQuad<kSlot>(v0, x + 4 * i);
    AddQuad<kSlot>(v1, x + 4 * i + 4);
    AddQuad<kSlot>(v2, x + 4 * i + 8);
    AddQuad<kSlot>(v3, x + 4 * i + 12);
  }

  template <int kSlots>
  HWY_INLINE void Begin(size_t, size_t) {
    HWY_UNROLL(2)
    for (int slot = 0; slot < kSlots; ++slot)
      HWY_UNROLL(4) for (VF32& part : open[slot]) part = hn::Zero(DF32());
  }

  template <int kSlots>
  HWY_INLINE void End(size_t j, size_t stride) {
    HWY_UNROLL(2)
    for (size_t slot = 0; slot < kSlots; ++slot)
      dots[j + slot * stride] = SumOfParts(open[slot]);
  }

  // y of the definition after this group, of which `subs` sub-blocks hold
  // columns.
  HWY_INLINE VF32 AddTo(VF32 y, int subs) const {
    for (int j = 0; j < subs; ++j)
      y = AddDot<Form<C>>(*this, j, x + j * C::kSub, dots[j], y);
    return y;
  }
};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // not SVE

#endif  // WEFT_BACKENDS_CPU_QUANT_EXACT_TOKEN_INL_H_
