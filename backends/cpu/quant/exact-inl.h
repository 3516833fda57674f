// f32 products of panels with f32 activations: codes are decoded in registers.
// Per-target code.
//
// Definition, for one row and one token: sub-blocks j in order, in each
//   part_b = fma(code_k, x_k, part_b) over k in order, for k = b modulo 4
//   y      = fma(((part_0 + part_1) + (part_2 + part_3)), scale_j, y)
//   y      = fma(-min_j, sum_j, y), where the format has mins; sum_j of x like
//            the parts
// Codes are taken without their bias. Four parts, because each is a chain of
// dependent operations, and one token has no other work to fill their latency.
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
template <class F>
struct ExactArgs {
  const Panel<F>* panel;  // of each group
  int groups;
  int last_subs;    // sub-blocks of the last group that hold columns
  int bias;         // kBias of the codes
  const float* x;   // first token, first column of the first group
  size_t x_stride;  // floats from token to token
  float* y;         // [kT][y_stride]
  size_t y_stride;  // floats
  bool first;       // y holds nothing yet
};

// Scale of sub-block j of each row.
template <class F>
HWY_INLINE VF32 ScaleOf(const PanelScales<F>& p, int j) {
  if constexpr (F::kScales == Scales::kFloat) {
    return hn::Load(DF32(), p.scales[j]);
  } else {
    return hn::Mul(FloatScale(p.scales[j]), hn::Load(DF32(), p.d));
  }
}

// Min of sub-block j of each row.
template <class F>
HWY_INLINE VF32 MinOf(const PanelScales<F>& p, int j) {
  const DF32 df;
  if constexpr (F::kMins == Mins::kFloat) return hn::Load(df, p.mins[j]);
  if constexpr (F::kMins == Mins::kPaired) {
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

// Code kByte of each lane, without its bias.
template <class F, int kByte>
HWY_INLINE VF32 CodeOf(VU codes, int bias) {
  VI code = F::kSignedCodes ? SignedByteOf<kByte>(codes) : ByteOf<kByte>(codes);
  if (F::kBiased) code = hn::Sub(code, hn::Set(DI(), bias));
  return hn::ConvertTo(DF32(), code);
}

// The sum of the kSub values from x on, as the definition adds them.
template <class F>
HWY_INLINE float SumOfX(const float* x) {
  const hn::FixedTag<float, 4> d;
  auto parts = hn::LoadU(d, x);
  for (size_t k = 4; k < F::kSub; k += 4)
    parts = hn::Add(parts, hn::LoadU(d, x + k));
  const auto pairs = hn::Add(parts, hn::Shuffle2301(parts));
  return hn::GetLane(hn::Add(pairs, hn::Shuffle1032(pairs)));
}

// Tokens of a tile: each has four parts and y in registers.
#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
constexpr int kExactTokens = 1;  // vectors cannot stand in arrays
#elif HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr int kExactTokens = 4;
#else
constexpr int kExactTokens = 2;
#endif

// y of one token after sub-block j, from the sum of its parts.
template <class F>
HWY_INLINE VF32 AddDot(const PanelScales<F>& p, int j, const float* x, VF32 dot,
                       VF32 y) {
  y = hn::MulAdd(dot, ScaleOf<F>(p, j), y);
  if constexpr (F::kMins != Mins::kNone)
    y = hn::NegMulAdd(MinOf<F>(p, j), hn::Set(DF32(), SumOfX<F>(x)), y);
  return y;
}

#if !HWY_HAVE_SCALABLE && !HWY_TARGET_IS_SVE

HWY_INLINE VF32 SumOfParts(const VF32 (&parts)[4]) {
  return hn::Add(hn::Add(parts[0], parts[1]), hn::Add(parts[2], parts[3]));
}

// y[t] of the definition after sub-block j.
template <class F, int kT>
HWY_INLINE void AddSubBlock(const Panel<F>& p, int j, int bias, const float* x,
                            size_t x_stride, VF32 (&y)[kT]) {
  const DF32 df;
  const auto* codes = p.codes + j * (F::kSub / 4);
  VF32 parts[kT][4];
  HWY_UNROLL(4)
  for (int t = 0; t < kT; ++t)
    HWY_UNROLL(4) for (int b = 0; b < 4; ++b) parts[t][b] = hn::Zero(df);
  HWY_UNROLL(8) for (int i = 0; i < F::kSub / 4; ++i) {
    const VU four = hn::BitCast(DU(), hn::Load(DU8(), codes[i]));
    const VF32 values[4] = {CodeOf<F, 0>(four, bias), CodeOf<F, 1>(four, bias),
                            CodeOf<F, 2>(four, bias), CodeOf<F, 3>(four, bias)};
    HWY_UNROLL(4) for (int t = 0; t < kT; ++t) {
      const float* at = x + static_cast<size_t>(t) * x_stride + 4 * i;
      HWY_UNROLL(4)
      for (int b = 0; b < 4; ++b)
        parts[t][b] = hn::MulAdd(values[b], hn::Set(df, at[b]), parts[t][b]);
    }
  }
  HWY_UNROLL(4)
  for (int t = 0; t < kT; ++t)
    y[t] = AddDot<F>(p, j, x + static_cast<size_t>(t) * x_stride,
                     SumOfParts(parts[t]), y[t]);
}

template <class F, int kT>
HWY_NOINLINE void ExactTile(const ExactArgs<F>& a) {
  const DF32 df;
  using P = Panel<F>;
  const P* p = a.panel;
  VF32 y[kT];
  HWY_UNROLL(4)
  for (int t = 0; t < kT; ++t)
    y[t] = a.first ? hn::Zero(df)
                   : hn::LoadU(df, a.y + static_cast<size_t>(t) * a.y_stride);
  const float* x = a.x;
  for (int g = 0; g < a.groups; ++g, ++p) {
    const int subs = g + 1 == a.groups ? a.last_subs : P::kSubs;
    for (int j = 0; j < subs; ++j, x += F::kSub)
      AddSubBlock(*p, j, a.bias, x, a.x_stride, y);
  }
  HWY_UNROLL(4)
  for (int t = 0; t < kT; ++t)
    hn::StoreU(y[t], df, a.y + static_cast<size_t>(t) * a.y_stride);
}

#else  // SVE

template <class F, int kT>
HWY_NOINLINE void ExactTile(const ExactArgs<F>& a) {
  static_assert(kT == 1);
  const DF32 df;
  using P = Panel<F>;
  const P* p = a.panel;
  auto y = a.first ? hn::Zero(df) : hn::LoadU(df, a.y);
  const float* x = a.x;
  for (int g = 0; g < a.groups; ++g, ++p) {
    const int subs = g + 1 == a.groups ? a.last_subs : P::kSubs;
    for (int j = 0; j < subs; ++j, x += F::kSub) {
      auto p0 = hn::Zero(df), p1 = p0, p2 = p0, p3 = p0;
      for (int i = 0; i < F::kSub / 4; ++i) {
        const auto four =
            hn::BitCast(DU(), hn::Load(DU8(), p->codes[j * (F::kSub / 4) + i]));
        const float* at = x + 4 * i;
        p0 = hn::MulAdd(CodeOf<F, 0>(four, a.bias), hn::Set(df, at[0]), p0);
        p1 = hn::MulAdd(CodeOf<F, 1>(four, a.bias), hn::Set(df, at[1]), p1);
        p2 = hn::MulAdd(CodeOf<F, 2>(four, a.bias), hn::Set(df, at[2]), p2);
        p3 = hn::MulAdd(CodeOf<F, 3>(four, a.bias), hn::Set(df, at[3]), p3);
      }
      y = AddDot<F>(*p, j, x, hn::Add(hn::Add(p0, p1), hn::Add(p2, p3)), y);
    }
  }
  hn::StoreU(y, df, a.y);
}

#endif  // SVE

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_EXACT_INL_H_
