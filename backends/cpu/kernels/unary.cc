// Activations, exp, the fused gated activation and quantize. One task per piece
// of a row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/unary.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/elementwise-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/quant/quantize-inl.h"
#include "backends/cpu/simd-inl.h"
#include "ops/elementwise.h"
#include "ops/fused.h"
#include "ops/quantize.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

struct SqrtFn {
  template <class DF>
  HWY_INLINE hn::Vec<DF> operator()(DF, hn::Vec<DF> x) const {
    return hn::Sqrt(x);
  }
};

template <class F>
void Unary(const KernelArgs& a, int64_t begin, int64_t end) {
  ForEachPiece(a, begin, end,
               [&](int64_t r, int64_t first, int64_t n) HWY_ATTR {
                 const float* x = a.in[0].RowAs<const float>(r) + first;
                 float* y = a.out[0].RowAs<float>(r) + first;
                 ForEachVector(D(), n,
                               [&](auto d, int64_t i, int64_t lanes) HWY_ATTR
                               __attribute__((always_inline)) {
                                 StorePart(F()(d, LoadPart(d, x + i, lanes)), d,
                                           y + i, lanes);
                               });
               });
}

// y = f(gate) * up, as f32, 8-bit blocks or bf16.
template <class F>
void GatedBy(const KernelArgs& a, int64_t begin, int64_t end) {
  const bool quantized = a.out[0].dtype != DType::kF32;
  static_assert(kPiece % BlockQ8_A::kCount == 0);
  static_assert(kPiece % BlockQ8_A32::kCount == 0);
  alignas(64) float values[kPiece];
  ForEachPiece(
      a, begin, end, [&](int64_t r, int64_t first, int64_t n) HWY_ATTR {
        const float* gate = a.in[0].RowAs<const float>(r) + first;
        const float* up = a.in[1].RowAs<const float>(r) + first;
        float* y = quantized ? values : a.out[0].RowAs<float>(r) + first;
        GateRow(F(), gate, up, n, y);
        if (quantized) QuantizeRow(values, n, a.out[0], r, first);
      });
}

void Quantize(const KernelArgs& a, int64_t begin, int64_t end) {
  ForEachPiece(a, begin, end,
               [&](int64_t r, int64_t first, int64_t n) HWY_ATTR {
                 QuantizeRow(a.in[0].RowAs<const float>(r) + first, n, a.out[0],
                             r, first);
               });
}

void Gated(const KernelArgs& a, int64_t begin, int64_t end) {
  WithActivation(a.params->activation, [&](auto function) HWY_ATTR {
    GatedBy<decltype(function)>(a, begin, end);
  });
}

// Two polynomials and a division: about two values a nanosecond with 256-bit
// vectors.
double TaskNs(const KernelArgs& a) { return PieceNs(a, 1.0 / 2); }

template <class F>
void AddUnary(const OpDef& op, KernelList& out) {
  out.push_back({.op = &op,
                 .name = op.name,
                 .strided = 0b1,
                 .tasks = PieceTasks,
                 .task_ns = TaskNs,
                 .run = Unary<F>});
}

void AddKernels(KernelList& out) {
  AddUnary<SiluFn>(kSilu, out);
  AddUnary<SqrtFn>(kSqrt, out);
  AddUnary<GeluFn>(kGelu, out);
  AddUnary<GeluTanhFn>(kGeluTanh, out);
  AddUnary<GeluQuickFn>(kGeluQuick, out);
  AddUnary<ReluFn>(kRelu, out);
  AddUnary<SigmoidFn>(kSigmoid, out);
  AddUnary<TanhFn>(kTanh, out);
  AddUnary<ExpFn>(kExp, out);
  out.push_back({.op = &kQuantize,
                 .name = "quantize",
                 .strided = 0b1,
                 .tasks = PieceTasks,
                 .task_ns = TaskNs,
                 .run = Quantize});
  out.push_back({.op = &kGated,
                 .name = "gated",
                 .strided = 0b11,
                 .tasks = PieceTasks,
                 .task_ns = TaskNs,
                 .run = Gated});
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
void AddUnaryKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
