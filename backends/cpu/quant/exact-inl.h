// f32 products of panels with f32 activations: codes are decoded in registers.
// Per-target code.
//
// Definition, for one row and one token: sub-blocks in order, in each
//   part = fma(value_k, x_k, part) over k in order, value = code * scale - min
//   y    = y + part
// The same for every tile.
#if defined(WEFT_BACKENDS_CPU_QUANT_EXACT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_EXACT_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_EXACT_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_EXACT_INL_H_
#endif

#include "backends/cpu/quant/panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// One panel of `groups` groups and kT tokens.
struct ExactArgs {
  const void* panel;  // Panel<C>[groups]
  int groups;
  int last_subs;    // sub-blocks of the last group that hold columns
  const float* x;   // first token, first column of the first group
  size_t x_stride;  // floats from token to token
  float* y;         // [kT][y_stride]
  size_t y_stride;  // floats
  bool first;       // y holds nothing yet
};

// Scale of sub-block j of each row.
template <class C>
HWY_INLINE VF32 ScaleOf(const Panel<C>& p, int j) {
  if constexpr (C::kScales == Scales::kFloat) {
    return hn::Load(DF32(), p.scales[j]);
  } else {
    return hn::Mul(FloatScale(p.scales[j]), hn::Load(DF32(), p.d));
  }
}

// Min of sub-block j of each row.
template <class C>
HWY_INLINE VF32 MinOf(const Panel<C>& p, int j) {
  const DF32 df;
  if constexpr (C::kMins == Mins::kFloat) return hn::Load(df, p.mins[j]);
  if constexpr (C::kMins == Mins::kPaired) {
    const DU du;
    const VU pair =
        hn::Load(du, reinterpret_cast<const uint32_t*>(p.min_pairs[j / 2]));
    const VU m = j % 2 == 0 ? hn::And(pair, hn::Set(du, 0xFFFFu))
                            : hn::ShiftRight<16>(pair);
    return hn::Mul(hn::ConvertTo(df, hn::BitCast(DI(), m)),
                   hn::Load(df, p.mins[0]));
  }
  return hn::Zero(df);
}

// Code kByte of each lane as a value.
template <class C, int kByte>
HWY_INLINE VF32 ValueOf(VU codes, VF32 scale, VF32 min) {
  constexpr bool kSignExtend = C::kSignedCodes && !kVnni;
  VI code = kSignExtend ? SignedByteOf<kByte>(codes) : ByteOf<kByte>(codes);
  if (kBias<C> != 0) code = hn::Sub(code, hn::Set(DI(), kBias<C>));
  const VF32 value = hn::ConvertTo(DF32(), code);
  return C::kMins == Mins::kNone ? hn::Mul(value, scale)
                                 : hn::MulSub(value, scale, min);
}

// Four columns: part<t> += value * x. Accumulators have names because SVE
// vectors cannot stand in arrays; with one token the others are not touched.
template <class C, int kT>
HWY_INLINE void AddColumns4(VU codes, VF32 scale, VF32 min, const float* x,
                            size_t x_stride, VF32& p0, VF32& p1, VF32& p2,
                            VF32& p3) {
  const DF32 df;
  const auto Column = [&](VF32 w, size_t k) HWY_ATTR {
    p0 = hn::MulAdd(w, hn::Set(df, x[k]), p0);
    if constexpr (kT == 4) {
      p1 = hn::MulAdd(w, hn::Set(df, x[k + x_stride]), p1);
      p2 = hn::MulAdd(w, hn::Set(df, x[k + 2 * x_stride]), p2);
      p3 = hn::MulAdd(w, hn::Set(df, x[k + 3 * x_stride]), p3);
    }
  };
  Column(ValueOf<C, 0>(codes, scale, min), 0);
  Column(ValueOf<C, 1>(codes, scale, min), 1);
  Column(ValueOf<C, 2>(codes, scale, min), 2);
  Column(ValueOf<C, 3>(codes, scale, min), 3);
}

template <class C, int kT>
HWY_NOINLINE void ExactTile(const ExactArgs& a) {
  static_assert(kT == 1 || kT == 4);
  const DF32 df;
  const DU du;
  using P = Panel<C>;
  const P* p = static_cast<const P*>(a.panel);
  const auto Before = [&](size_t t) HWY_ATTR {
    return a.first ? hn::Zero(df) : hn::LoadU(df, a.y + t * a.y_stride);
  };
  VF32 y0 = Before(0);
  VF32 y1 = kT == 4 ? Before(1) : y0;
  VF32 y2 = kT == 4 ? Before(2) : y0;
  VF32 y3 = kT == 4 ? Before(3) : y0;
  const float* x = a.x;
  for (int g = 0; g < a.groups; ++g, ++p) {
    const int subs = g + 1 == a.groups ? a.last_subs : P::kSubs;
    for (int j = 0; j < subs; ++j, x += C::kSub) {
      const VF32 scale = ScaleOf(*p, j);
      const VF32 min = MinOf(*p, j);
      VF32 p0 = hn::Zero(df), p1 = p0, p2 = p0, p3 = p0;
      for (int i = 0; i < C::kSub / 4; ++i) {
        const VU codes =
            hn::BitCast(du, hn::Load(DU8(), p->codes[j * (C::kSub / 4) + i]));
        AddColumns4<C, kT>(codes, scale, min, x + 4 * i, a.x_stride, p0, p1, p2,
                           p3);
      }
      y0 = hn::Add(y0, p0);
      if constexpr (kT == 4) {
        y1 = hn::Add(y1, p1);
        y2 = hn::Add(y2, p2);
        y3 = hn::Add(y3, p3);
      }
    }
  }
  hn::StoreU(y0, df, a.y);
  if constexpr (kT == 4) {
    hn::StoreU(y1, df, a.y + a.y_stride);
    hn::StoreU(y2, df, a.y + 2 * a.y_stride);
    hn::StoreU(y3, df, a.y + 3 * a.y_stride);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_EXACT_INL_H_
