// add, sub, mul with broadcasting, and scale. One task per piece of a row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/binary.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/elementwise-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/elementwise.h"
#include "ops/experts.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

struct AddFn {
  template <class V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::Add(a, b);
  }
};

struct SubFn {
  template <class V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::Sub(a, b);
  }
};

struct MulFn {
  template <class V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::Mul(a, b);
  }
};

struct DivFn {
  template <class V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::Div(a, b);
  }
};

// g sigmoid(1.702 g) (u + 1), both bounded.
struct ClampedSwiGluFn {
  float limit;
  template <class V>
  HWY_INLINE V operator()(V gate, V up) const {
    const hn::DFromV<V> d;
    const V most = hn::Set(d, limit);
    const V g = hn::Min(gate, most);
    const V u = hn::Max(hn::Min(up, most), hn::Neg(most));
    const V s = SigmoidOf(d, hn::Mul(g, hn::Set(d, 1.702f)));
    return hn::Mul(hn::Mul(g, s), hn::Add(u, hn::Set(d, 1.0f)));
  }
};

// One of the operands is a vector and the other may be one value.
enum class Splat { kNone, kLeft, kRight };

// Each vector of y is stored after those of a and b at its place were read, so
// y may be the memory of either.
template <Splat kSplat, class F>
HWY_INLINE void Combine(F f, const float* a, const float* b, int64_t n,
                        float* y) {
  const auto a0 = hn::Set(D(), kSplat == Splat::kLeft ? *a : 0.0f);
  const auto b0 = hn::Set(D(), kSplat == Splat::kRight ? *b : 0.0f);
  ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    const auto va = kSplat == Splat::kLeft ? a0 : LoadPart(d, a + i, lanes);
    const auto vb = kSplat == Splat::kRight ? b0 : LoadPart(d, b + i, lanes);
    StorePart(f(va, vb), d, y + i, lanes);
  });
}

template <class F>
void Binary(const KernelArgs& args, int64_t begin, int64_t end) {
  const View& out = args.out[0];
  const BroadcastRows a(args.in[0], out);
  const BroadcastRows b(args.in[1], out);
  ForEachPiece(args, begin, end,
               [&](int64_t r, int64_t first, int64_t n) HWY_ATTR {
                 const float* pa = a.Row(r) + (a.splat() ? 0 : first);
                 const float* pb = b.Row(r) + (b.splat() ? 0 : first);
                 float* y = out.RowAs<float>(r) + first;
                 if (a.splat()) {
                   Combine<Splat::kLeft>(F(), pa, pb, n, y);
                 } else if (b.splat()) {
                   Combine<Splat::kRight>(F(), pa, pb, n, y);
                 } else {
                   Combine<Splat::kNone>(F(), pa, pb, n, y);
                 }
               });
}

void Scale(const KernelArgs& a, int64_t begin, int64_t end) {
  const float factor = a.params->factor;
  ForEachPiece(
      a, begin, end, [&](int64_t r, int64_t first, int64_t n) HWY_ATTR {
        Combine<Splat::kRight>(MulFn(), a.in[0].RowAs<const float>(r) + first,
                               &factor, n, a.out[0].RowAs<float>(r) + first);
      });
}

void ClampedSwiGlu(const KernelArgs& a, int64_t begin, int64_t end) {
  const ClampedSwiGluFn f = {
      static_cast<float>(a.params->attrs->Float("limit"))};
  ForEachPiece(a, begin, end,
               [&](int64_t r, int64_t first, int64_t n) HWY_ATTR {
                 Combine<Splat::kNone>(f, a.in[0].RowAs<const float>(r) + first,
                                       a.in[1].RowAs<const float>(r) + first, n,
                                       a.out[0].RowAs<float>(r) + first);
               });
}

// An exponential and a division a value.
double ClampedSwiGluNs(const KernelArgs& a) { return PieceNs(a, 0.75); }

// Bound by memory: about 8 values a nanosecond from L2.
double TaskNs(const KernelArgs& a) { return PieceNs(a, 1.0 / 8); }

template <class F>
void AddBinary(const OpDef& op, KernelList& out) {
  out.push_back({.op = &op,
                 .name = op.name,
                 .strided = 0b11,
                 .tasks = PieceTasks,
                 .task_ns = TaskNs,
                 .run = Binary<F>});
}

void AddKernels(KernelList& out) {
  AddBinary<AddFn>(kAdd, out);
  AddBinary<SubFn>(kSub, out);
  AddBinary<MulFn>(kMul, out);
  AddBinary<DivFn>(kDiv, out);
  out.push_back({.op = &kScale,
                 .name = "scale",
                 .strided = 0b1,
                 .tasks = PieceTasks,
                 .task_ns = TaskNs,
                 .run = Scale});
  out.push_back({.op = &kClampedSwiGlu,
                 .name = "clamped_swiglu",
                 .strided = 0b11,
                 .tasks = PieceTasks,
                 .task_ns = ClampedSwiGluNs,
                 .run = ClampedSwiGlu});
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
void AddBinaryKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
