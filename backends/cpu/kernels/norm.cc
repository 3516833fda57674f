// Row normalisation: rms_norm, rms_norm_mul, add_rms_norm, layer_norm,
// layer_norm_mul_add. One task per row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/norm.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <cmath>

#include "backends/cpu/kernels.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/quant/quantize-inl.h"
#include "backends/cpu/simd-inl.h"
#include "ops/fused.h"
#include "ops/norm.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {  // each kernel file has its own AddKernels
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

// 1 / sqrt(mean(x^2) + eps).
float InverseRms(const float* x, int64_t n, float eps) {
  const float sum =
      SumOf(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
        const auto v = LoadPart(d, x + i, lanes);
        return hn::Mul(v, v);
      });
  return 1.0f / std::sqrt(sum / static_cast<float>(n) + eps);
}

// Where a kernel writes row r of `out`: the row itself, or scratch when it is
// to be quantised.
float* RowFor(const KernelArgs& a, const View& out, int64_t r) {
  return out.dtype == DType::kF32 ? out.RowAs<float>(r)
                                  : reinterpret_cast<float*>(a.scratch);
}

void FinishRow(const float* y, const View& out, int64_t r) {
  if (out.dtype != DType::kF32) QuantizeRow(y, out.row_length(), out, r);
}

int64_t ScratchBytes(const KernelArgs& a) {
  return a.out.back().dtype == DType::kF32
             ? 0
             : a.in[0].row_length() * static_cast<int64_t>(sizeof(float));
}

void RmsNorm(const KernelArgs& a, int64_t begin, int64_t end) {
  const int64_t n = a.in[0].row_length();
  const float* w = a.in.size() > 1 ? a.in[1].As<float>() : nullptr;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = a.in[0].RowAs<float>(r);
    float* y = RowFor(a, a.out[0], r);
    const float scale = InverseRms(x, n, a.params->eps);
    ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
      const auto v = hn::Mul(LoadPart(d, x + i, lanes), hn::Set(d, scale));
      const auto scaled =
          w == nullptr ? v : hn::Mul(v, LoadPart(d, w + i, lanes));
      StorePart(scaled, d, y + i, lanes);
    });
    FinishRow(y, a.out[0], r);
  }
}

void AddRmsNorm(const KernelArgs& a, int64_t begin, int64_t end) {
  const int64_t n = a.in[0].row_length();
  const float* w = a.in[2].As<float>();
  for (int64_t r = begin; r < end; ++r) {
    const float* x0 = a.in[0].RowAs<float>(r);
    const float* x1 = a.in[1].RowAs<float>(r);
    float* sum = a.out[0].RowAs<float>(r);
    float* y = RowFor(a, a.out[1], r);
    ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
      StorePart(hn::Add(LoadPart(d, x0 + i, lanes), LoadPart(d, x1 + i, lanes)),
                d, sum + i, lanes);
    });
    const float scale = InverseRms(sum, n, a.params->eps);
    ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
      const auto v = hn::Mul(LoadPart(d, sum + i, lanes), hn::Set(d, scale));
      StorePart(hn::Mul(v, LoadPart(d, w + i, lanes)), d, y + i, lanes);
    });
    FinishRow(y, a.out[1], r);
  }
}

void LayerNorm(const KernelArgs& a, int64_t begin, int64_t end) {
  const int64_t n = a.in[0].row_length();
  const float* w = a.in.size() > 1 ? a.in[1].As<float>() : nullptr;
  const float* b = a.in.size() > 2 ? a.in[2].As<float>() : nullptr;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = a.in[0].RowAs<float>(r);
    float* y = RowFor(a, a.out[0], r);
    const float total =
        SumOf(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
          return LoadPart(d, x + i, lanes);
        });
    const float mean = total / static_cast<float>(n);
    // Two passes: the mean is taken off before squaring, as the definition
    // does, so that a large mean costs no digits.
    const float squares =
        SumOf(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
          const auto v = hn::Sub(LoadPart(d, x + i, lanes), hn::Set(d, mean));
          // Lanes beyond the row are 0 - mean: cut them off.
          return hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(lanes)),
                                    hn::Mul(v, v));
        });
    const float scale =
        1.0f / std::sqrt(squares / static_cast<float>(n) + a.params->eps);
    ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
      auto v = hn::Mul(hn::Sub(LoadPart(d, x + i, lanes), hn::Set(d, mean)),
                       hn::Set(d, scale));
      if (w != nullptr) v = hn::Mul(v, LoadPart(d, w + i, lanes));
      if (b != nullptr) v = hn::Add(v, LoadPart(d, b + i, lanes));
      StorePart(v, d, y + i, lanes);
    });
    FinishRow(y, a.out[0], r);
  }
}

// Rows that another core has written: 1 to 2 ns a value (Zen 4, add_rms_norm).
double NormNs(const KernelArgs& a) {
  return 5 + static_cast<double>(a.out[0].row_length()) * 0.75;
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kRmsNorm,
                 .name = "rms_norm",
                 .strided = 1,
                 .tasks = RowTasks,
                 .task_ns = NormNs,
                 .scratch_bytes = ScratchBytes,
                 .run = RmsNorm});
  out.push_back({.op = &kRmsNormMul,
                 .name = "rms_norm_mul",
                 .strided = 1,
                 .tasks = RowTasks,
                 .task_ns = NormNs,
                 .scratch_bytes = ScratchBytes,
                 .run = RmsNorm});
  out.push_back({.op = &kAddRmsNorm,
                 .name = "add_rms_norm",
                 .strided = 3,
                 .tasks = RowTasks,
                 .task_ns = NormNs,
                 .scratch_bytes = ScratchBytes,
                 .run = AddRmsNorm});
  out.push_back({.op = &kLayerNorm,
                 .name = "layer_norm",
                 .strided = 1,
                 .tasks = RowTasks,
                 .task_ns = NormNs,
                 .scratch_bytes = ScratchBytes,
                 .run = LayerNorm});
  out.push_back({.op = &kLayerNormMulAdd,
                 .name = "layer_norm_mul_add",
                 .strided = 1,
                 .tasks = RowTasks,
                 .task_ns = NormNs,
                 .scratch_bytes = ScratchBytes,
                 .run = LayerNorm});
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
void AddNormKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
