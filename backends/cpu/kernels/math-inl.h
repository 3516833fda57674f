// Vector exp, tanh, the normal distribution, and the activations built on them.
// Per-target code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_MATH_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_MATH_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_MATH_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/simd-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ---- Functions ----

// e^x of any x: Highway's, which is undefined above 104 and gives 0 for NaN.
// e^104 is infinity, and so is everything above.
template <class DF>
HWY_INLINE hn::Vec<DF> ExpOf(DF d, hn::Vec<DF> x) {
  const auto y = hn::Exp(d, hn::Min(x, hn::Set(d, 104.0f)));
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

// 1 / (1 + e^-x).
template <class DF>
HWY_INLINE hn::Vec<DF> SigmoidOf(DF d, hn::Vec<DF> x) {
  const auto one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, ExpOf(d, hn::Neg(x))));
}

// x * sigmoid(s) as one division.
template <class DF>
HWY_INLINE hn::Vec<DF> TimesSigmoid(DF d, hn::Vec<DF> x, hn::Vec<DF> s) {
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), ExpOf(d, hn::Neg(s))));
}

template <class DF>
HWY_INLINE hn::Vec<DF> TanhOf(DF d, hn::Vec<DF> x) {
  return hn::Tanh(d, x);
}

// Phi(x) = (1 + erf(x / sqrt(2))) / 2, the normal distribution.
//
// The lower tail is e^(-x^2/2) t P(t) with t = 1 / (1 + 0.26 |x|), the form of
// Abramowitz & Stegun 7.1.26; the upper is 1 minus it, so that neither cancels.
// P is our own: the polynomial of degree 8 with the smallest relative error,
// found by Remez exchange in 50 digits, for |x| <= 14, where e^(-x^2/2) leaves
// the range of f32. Degree 8 and 0.26 give 2.5e-8, under half a unit in the
// last place; 0.26 was best of a scan and keeps all coefficients small.
template <class DF>
HWY_INLINE hn::Vec<DF> NormalCdf(DF d, hn::Vec<DF> x) {
  const auto one = hn::Set(d, 1.0f);
  const auto t = hn::Div(one, hn::MulAdd(hn::Set(d, 0.26f), hn::Abs(x), one));
  auto p = hn::Set(d, 0.03050479106605053f);
  p = hn::MulAdd(p, t, hn::Set(d, -0.1528284102678299f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.2514905035495758f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.150948166847229f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.16094736754894257f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.051027871668338776f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.10303021222352982f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.10301675647497177f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.10375905781984329f));
  const auto gauss = ExpOf(d, hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5f)));
  const auto tail = hn::Mul(gauss, hn::Mul(t, p));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(one, tail));
}

// y = exp(x - max) / sum of n values.
inline void SoftmaxRow(const float* x, int64_t n, float* y) {
  const float most = *std::max_element(x, x + n);
  const float sum = SumOf(
      hn::ScalableTag<float>(), n,
      [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
        const auto e =
            ExpOf(d, hn::Sub(LoadPart(d, x + i, lanes), hn::Set(d, most)));
        StorePart(e, d, y + i, lanes);
        return hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(lanes)), e);
      });
  for (int64_t i = 0; i < n; ++i) y[i] /= sum;
}

// ---- Activations: functors f(d, x) ----

struct IdentityFn {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF, hn::Vec<DF> x) const {
    return x;
  }
};

struct SiluFn {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    return TimesSigmoid(d, x, x);
  }
};

struct GeluFn {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    return hn::Mul(x, NormalCdf(d, x));
  }
};

// 0.5 x (1 + tanh(u)) = x sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3):
// the sigmoid is cheaper than tanh, and 1 + tanh cancels where u is negative.
struct GeluTanhFn {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    constexpr double kLinear = 1.5957691216057308;  // 2 sqrt(2/pi)
    const auto cubic = hn::Set(d, static_cast<float>(kLinear * 0.044715));
    const auto linear = hn::Set(d, static_cast<float>(kLinear));
    const auto slope = hn::MulAdd(hn::Mul(x, x), cubic, linear);
    return TimesSigmoid(d, x, hn::Mul(x, slope));
  }
};

struct GeluQuickFn {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    return TimesSigmoid(d, x, hn::Mul(x, hn::Set(d, 1.702f)));
  }
};

// Keeps NaN, as Max(x, 0) would not.
struct ReluFn {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
  }
};

struct SigmoidFn {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    return SigmoidOf(d, x);
  }
};

struct TanhFn {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    return TanhOf(d, x);
  }
};

struct ExpFn {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    return ExpOf(d, x);
  }
};

// Calls f with the activation's functor.
template <class F>
HWY_INLINE void WithActivation(Activation activation, const F& f) {
  switch (activation) {
    case Activation::kNone:
      return f(IdentityFn());
    case Activation::kSilu:
      return f(SiluFn());
    case Activation::kGelu:
      return f(GeluFn());
    case Activation::kGeluTanh:
      return f(GeluTanhFn());
    case Activation::kGeluQuick:
      return f(GeluQuickFn());
    case Activation::kRelu:
      return f(ReluFn());
    case Activation::kSigmoid:
      return f(SigmoidFn());
    case Activation::kTanh:
      return f(TanhFn());
  }
}

// y[i] = f(gate[i]) * up[i] for i < n; y may be either of them.
template <class F>
HWY_INLINE void GateRow(F f, const float* gate, const float* up, int64_t n,
                        float* y) {
  ForEachVector(hn::ScalableTag<float>(), n,
                [&](auto d, int64_t i, int64_t lanes) HWY_ATTR
                __attribute__((always_inline)) {
                  const auto activated = f(d, LoadPart(d, gate + i, lanes));
                  StorePart(hn::Mul(activated, LoadPart(d, up + i, lanes)), d,
                            y + i, lanes);
                });
}

// y[i] = activation(y[i]) for i < n.
inline void Activate(Activation activation, float* y, int64_t n) {
  if (activation == Activation::kNone) return;
  WithActivation(activation, [&](auto function) HWY_ATTR {
    ForEachVector(hn::ScalableTag<float>(), n,
                  [&](auto d, int64_t i, int64_t lanes) HWY_ATTR
                  __attribute__((always_inline)) {
                    StorePart(function(d, LoadPart(d, y + i, lanes)), d, y + i,
                              lanes);
                  });
  });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_MATH_INL_H_
