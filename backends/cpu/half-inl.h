// f16 to f32 and f32 to bf16, exact for every input on every target. Per-target
// code.
#if defined(WEFT_BACKENDS_CPU_HALF_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_HALF_INL_H_
#undef WEFT_BACKENDS_CPU_HALF_INL_H_
#else
#define WEFT_BACKENDS_CPU_HALF_INL_H_
#endif

#include "backends/cpu/simd-inl.h"
#include "graph/blocks/plain.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Whether pairs of bf16 have a dot product into f32. On NEON Highway's macro
// speaks of the compiler, not of the target.
constexpr bool kHasBF16Dot =
    HWY_NATIVE_DOT_BF16 && (!HWY_TARGET_IS_NEON || HWY_TARGET == HWY_NEON_BF16);

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

// n values as bf16. In integers, as F32ToBF16: the instructions for it flush
// subnormals.
HWY_INLINE void StoreBF16(const float* x, int64_t n, BlockBF16* y) {
  const hn::ScalableTag<float> all;
  const hn::RebindToUnsigned<decltype(all)> d32;
  const hn::Rebind<uint16_t, decltype(all)> d16;
  uint16_t* to = reinterpret_cast<uint16_t*>(y);
  ForEachVector(all, n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    const auto v = LoadPart(d, x + i, lanes);
    const auto bits = hn::BitCast(d32, v);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1));
    const auto rounded =
        hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7FFF))));
    const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(d32, 0x40));
    const auto is_nan = hn::RebindMask(d32, hn::IsNaN(v));
    hn::StoreN(hn::TruncateTo(d16, hn::IfThenElse(is_nan, quiet, rounded)), d16,
               to + i, static_cast<size_t>(lanes));
  });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_HALF_INL_H_
