// adamw: parameter and moments in one pass. A task is a piece of a row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/adamw.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <cmath>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/elementwise-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/optimizer.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

// The numbers of a step, the same for every value.
struct Step {
  float rate, factor, scale1, scale2, beta1, beta2, rest1, rest2, eps, decay;
  bool apply;

  explicit Step(const KernelArgs& a) {
    const Attrs& attrs = *a.params->attrs;
    const auto number = [&](size_t i) { return *a.in[i].As<const float>(); };
    // In double, as everything that one computes once: 1 - beta cancels.
    const double b1 = attrs.Float("beta1"), b2 = attrs.Float("beta2");
    const double step = number(6);
    rate = number(4);
    factor = number(5);
    apply = number(7) != 0;
    scale1 = static_cast<float>(1 / (1 - std::pow(b1, step)));
    scale2 = static_cast<float>(1 / (1 - std::pow(b2, step)));
    beta1 = static_cast<float>(b1);
    beta2 = static_cast<float>(b2);
    rest1 = static_cast<float>(1 - b1);
    rest2 = static_cast<float>(1 - b2);
    eps = a.params->eps;
    decay = static_cast<float>(attrs.Float("weight_decay"));
  }
};

// n values from those pointers on: p, m, v, g and what the first three become.
struct Rows {
  const float *p, *m, *v, *g;
  float *p1, *m1, *v1;
};

void UpdateRow(const Step& s, const Rows& rows, int64_t n) {
  ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    const auto number = [&](float x) HWY_ATTR { return hn::Set(d, x); };
    const auto g = hn::Mul(LoadPart(d, rows.g + i, lanes), number(s.factor));
    const auto m = hn::MulAdd(LoadPart(d, rows.m + i, lanes), number(s.beta1),
                              hn::Mul(g, number(s.rest1)));
    const auto v = hn::MulAdd(LoadPart(d, rows.v + i, lanes), number(s.beta2),
                              hn::Mul(hn::Mul(g, g), number(s.rest2)));
    const auto p = LoadPart(d, rows.p + i, lanes);
    const auto root = hn::Sqrt(hn::Mul(v, number(s.scale2)));
    const auto change =
        hn::Div(hn::Mul(m, number(s.scale1)), hn::Add(root, number(s.eps)));
    const auto whole = hn::MulAdd(p, number(s.decay), change);
    StorePart(hn::NegMulAdd(whole, number(s.rate), p), d, rows.p1 + i, lanes);
    StorePart(m, d, rows.m1 + i, lanes);
    StorePart(v, d, rows.v1 + i, lanes);
  });
}

void AdamW(const KernelArgs& a, int64_t begin, int64_t end) {
  const Step step(a);
  ForEachPiece(
      a, begin, end, [&](int64_t r, int64_t first, int64_t n) HWY_ATTR {
        const auto in = [&](size_t i) {
          return a.in[i].RowAs<const float>(r) + first;
        };
        const auto out = [&](size_t i) {
          return a.out[i].RowAs<float>(r) + first;
        };
        if (step.apply) {
          UpdateRow(step, {in(0), in(1), in(2), in(3), out(0), out(1), out(2)},
                    n);
          return;
        }
        for (size_t i = 0; i < 3; ++i) std::copy_n(in(i), n, out(i));
      });
}

// Bound by memory: seven values are read or written for each; and a division
// and a root.
double AdamWNs(const KernelArgs& a) { return PieceNs(a, 1); }

void AddKernels(KernelList& out) {
  out.push_back({.op = &kAdamW,
                 .name = "adamw",
                 .strided = 0b1111,
                 .tasks = PieceTasks,
                 .task_ns = AdamWNs,
                 .run = AdamW});
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
void AddAdamWKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
