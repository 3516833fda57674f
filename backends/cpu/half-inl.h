// f16 to f32 that is exact for every input on every target. Per-target code.
#if defined(WEFT_BACKENDS_CPU_HALF_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_HALF_INL_H_
#undef WEFT_BACKENDS_CPU_HALF_INL_H_
#else
#define WEFT_BACKENDS_CPU_HALF_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The f32 of f16 bits. Where x86 has no instruction for it (before AVX2),
// Highway's PromoteTo makes large numbers of infinities and NaNs; there it is
// done in integers and one exact product.
template <class DF>
HWY_INLINE hn::Vec<DF> PromoteHalf(DF d,
                                   hn::Vec<hn::Rebind<uint16_t, DF>> bits) {
#if HWY_ARCH_X86 && HWY_TARGET > HWY_AVX2
  const hn::RebindToUnsigned<DF> du;
  const hn::RebindToSigned<DF> di;
  const auto wide = hn::PromoteTo(du, bits);
  const auto sign = hn::ShiftLeft<16>(hn::And(wide, hn::Set(du, 0x8000)));
  const auto magnitude = hn::ShiftLeft<13>(hn::And(wide, hn::Set(du, 0x7FFF)));
  // Exponent and fraction now stand where f32 has them, with a bias of 15
  // instead of 127: 2^112 corrects that, for subnormals too.
  const auto value = hn::Mul(hn::BitCast(d, magnitude), hn::Set(d, 0x1p112f));
  // An exponent of all ones stays one.
  const auto special = hn::RebindMask(
      du, hn::Gt(hn::BitCast(di, magnitude), hn::Set(di, (0x1F << 23) - 1)));
  const auto ones = hn::Or(magnitude, hn::Set(du, 0x7F800000));
  const auto finite = hn::BitCast(du, value);
  return hn::BitCast(d, hn::Or(sign, hn::IfThenElse(special, ones, finite)));
#else
  const hn::Rebind<hwy::float16_t, DF> dh;
  return hn::PromoteTo(d, hn::BitCast(dh, bits));
#endif
}

// The f32 of Lanes(d) f16 values at `bits`.
template <class DF>
HWY_INLINE hn::Vec<DF> LoadHalf(DF d, const uint16_t* bits) {
  return PromoteHalf(d, hn::LoadU(hn::Rebind<uint16_t, DF>(), bits));
}

// The same of the first `lanes`, zero beyond.
template <class DF>
HWY_INLINE hn::Vec<DF> LoadHalfN(DF d, const uint16_t* bits, size_t lanes) {
  return PromoteHalf(d, hn::LoadN(hn::Rebind<uint16_t, DF>(), bits, lanes));
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_HALF_INL_H_
