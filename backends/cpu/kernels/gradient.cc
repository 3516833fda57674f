// The gradients of activations, norms and softmax. One task per piece of a row
// or per row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/gradient.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <cmath>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/elementwise-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/gradient_ops.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

// ---- Activations: f'(x) ----

// d/dx x sigmoid(u(x)), s being the sigmoid and `inner` x u'(x).
template <class DF>
HWY_INLINE hn::Vec<DF> GateSlope(DF d, hn::Vec<DF> s, hn::Vec<DF> inner) {
  const auto falling = hn::Sub(hn::Set(d, 1.0f), s);
  return hn::MulAdd(hn::Mul(inner, s), falling, s);
}

struct SiluSlope {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    return GateSlope(d, SigmoidOf(d, x), x);
  }
};

struct GeluQuickSlope {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    const auto u = hn::Mul(x, hn::Set(d, 1.702f));
    return GateSlope(d, SigmoidOf(d, u), u);
  }
};

// As x sigmoid(u), u = 2 sqrt(2/pi) (x + 0.044715 x^3).
struct GeluTanhSlope {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    constexpr double kLinear = 1.5957691216057308;  // 2 sqrt(2/pi)
    const auto cubic = hn::Set(d, static_cast<float>(kLinear * 0.044715));
    const auto linear = hn::Set(d, static_cast<float>(kLinear));
    const auto square = hn::Mul(x, x);
    const auto u = hn::Mul(x, hn::MulAdd(square, cubic, linear));
    const auto slope =
        hn::MulAdd(square, hn::Mul(cubic, hn::Set(d, 3.0f)), linear);
    return GateSlope(d, SigmoidOf(d, u), hn::Mul(x, slope));
  }
};

// Phi(x) + x phi(x).
struct GeluSlope {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    const auto half = hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5f));
    const auto density =
        hn::Mul(ExpOf(d, half), hn::Set(d, 0.3989422804014327f));
    return hn::MulAdd(x, density, NormalCdf(d, x));
  }
};

struct ReluSlope {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    return hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), hn::Set(d, 1.0f));
  }
};

struct SigmoidSlope {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    const auto s = SigmoidOf(d, x);
    return hn::Mul(s, hn::Sub(hn::Set(d, 1.0f), s));
  }
};

struct TanhSlope {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF d, hn::Vec<DF> x) const {
    const auto t = TanhOf(d, x);
    return hn::NegMulAdd(t, t, hn::Set(d, 1.0f));
  }
};

template <class F>
void SlopeTimes(const KernelArgs& a, int64_t begin, int64_t end) {
  ForEachPiece(
      a, begin, end, [&](int64_t r, int64_t first, int64_t n) HWY_ATTR {
        const float* x = a.in[0].RowAs<const float>(r) + first;
        const float* g = a.in[1].RowAs<const float>(r) + first;
        float* y = a.out[0].RowAs<float>(r) + first;
        ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
          const auto slope = F()(d, LoadPart(d, x + i, lanes));
          StorePart(hn::Mul(slope, LoadPart(d, g + i, lanes)), d, y + i, lanes);
        });
      });
}

void ActivationGradient(const KernelArgs& a, int64_t begin, int64_t end) {
  switch (a.params->activation) {
    case Activation::kNone:
      return;
    case Activation::kSilu:
      return SlopeTimes<SiluSlope>(a, begin, end);
    case Activation::kGelu:
      return SlopeTimes<GeluSlope>(a, begin, end);
    case Activation::kGeluTanh:
      return SlopeTimes<GeluTanhSlope>(a, begin, end);
    case Activation::kGeluQuick:
      return SlopeTimes<GeluQuickSlope>(a, begin, end);
    case Activation::kRelu:
      return SlopeTimes<ReluSlope>(a, begin, end);
    case Activation::kSigmoid:
      return SlopeTimes<SigmoidSlope>(a, begin, end);
    case Activation::kTanh:
      return SlopeTimes<TanhSlope>(a, begin, end);
  }
}

// Two polynomials and a division, as the activations themselves.
double ActivationNs(const KernelArgs& a) { return PieceNs(a, 1.0 / 2); }

// ---- Rows ----

// The sum of f(i, lanes) over a row; lanes beyond it are cut off.
template <class F>
HWY_INLINE float RowSum(int64_t n, const F& f) {
  return SumOf(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    const auto v = f(d, i, lanes);
    if (lanes >= static_cast<int64_t>(hn::Lanes(d))) return v;
    return hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(lanes)), v);
  });
}

// dx = r (g - mean(g)) - r^3 (x - mean) mean((x - mean) g).
void NormGradient(const KernelArgs& a, int64_t begin, int64_t end) {
  const int64_t n = a.in[0].row_length();
  const float share = 1.0f / static_cast<float>(n);
  const bool centered = a.params->attrs->Int("centered") != 0;
  for (int64_t row = begin; row < end; ++row) {
    const float* x = a.in[0].RowAs<const float>(row);
    const float* g = a.in[1].RowAs<const float>(row);
    float* y = a.out[0].RowAs<float>(row);
    float mean = 0, mean_g = 0;
    if (centered) {
      mean = share * RowSum(n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
               return LoadPart(d, x + i, lanes);
             });
      mean_g =
          share * RowSum(n, [&](auto d, int64_t i, int64_t lanes)
                                HWY_ATTR { return LoadPart(d, g + i, lanes); });
    }
    const float squares =
        RowSum(n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
          const auto v = hn::Sub(LoadPart(d, x + i, lanes), hn::Set(d, mean));
          return hn::Mul(v, v);
        });
    const float product =
        RowSum(n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
          const auto v = hn::Sub(LoadPart(d, x + i, lanes), hn::Set(d, mean));
          return hn::Mul(v, LoadPart(d, g + i, lanes));
        });
    const float r = 1.0f / std::sqrt(squares * share + a.params->eps);
    const float slope = r * r * product * share;
    ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
      const auto v = hn::Sub(LoadPart(d, x + i, lanes), hn::Set(d, mean));
      const auto w = hn::Sub(LoadPart(d, g + i, lanes), hn::Set(d, mean_g));
      StorePart(hn::Mul(hn::NegMulAdd(v, hn::Set(d, slope), w), hn::Set(d, r)),
                d, y + i, lanes);
    });
  }
}

void SoftmaxGradient(const KernelArgs& a, int64_t begin, int64_t end) {
  const int64_t n = a.in[0].row_length();
  for (int64_t row = begin; row < end; ++row) {
    const float* p = a.in[0].RowAs<const float>(row);
    const float* g = a.in[1].RowAs<const float>(row);
    float* y = a.out[0].RowAs<float>(row);
    const float sum =
        SumOf(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
          return hn::Mul(LoadPart(d, p + i, lanes), LoadPart(d, g + i, lanes));
        });
    ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
      const auto v = hn::Sub(LoadPart(d, g + i, lanes), hn::Set(d, sum));
      StorePart(hn::Mul(v, LoadPart(d, p + i, lanes)), d, y + i, lanes);
    });
  }
}

// Two or three passes over a row that stays in L1.
double GradientNs(const KernelArgs& a) {
  return 10 + static_cast<double>(a.out[0].row_length()) / 4;
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kActivationGradient,
                 .name = "activation_gradient",
                 .strided = 0b11,
                 .tasks = PieceTasks,
                 .task_ns = ActivationNs,
                 .run = ActivationGradient});
  out.push_back({.op = &kNormGradient,
                 .name = "norm_gradient",
                 .strided = 0b11,
                 .tasks = RowTasks,
                 .task_ns = GradientNs,
                 .run = NormGradient});
  out.push_back({.op = &kSoftmaxGradient,
                 .name = "softmax_gradient",
                 .strided = 0b11,
                 .tasks = RowTasks,
                 .task_ns = GradientNs,
                 .run = SoftmaxGradient});
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::inline v0 {
namespace cpu {
HWY_EXPORT(AddKernels);
void AddGradientKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
