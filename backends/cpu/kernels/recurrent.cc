// causal_conv and selective_scan. A task is a run of channels for all tokens of
// the step, which follow each other; channels are independent.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/recurrent.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/kernels/recurrent-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/recurrent.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

constexpr int64_t kChannels = kRecurrentChannels;

int64_t Tasks(const KernelArgs& a) {
  return (a.in[1].dim(1) + kChannels - 1) / kChannels;
}

// The slot of token t, or -1, reported, when the state has none such.
int64_t SlotOf(const KernelArgs& a, size_t input, int64_t t) {
  const int64_t slot = a.in[input].As<const int32_t>()[t];
  if (slot >= 0 && slot < a.out[0].dim(0)) return slot;
  a.bad_index->store(slot, std::memory_order_relaxed);
  return -1;
}

float* StateRow(const View& state, int64_t slot, int64_t row) {
  return reinterpret_cast<float*>(state.data + slot * state.stride(0) +
                                  row * state.stride(1));
}

// Channels [first, first + n) of w f32[D, K] as [K][n].
void TurnKernel(const View& w, int64_t first, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < w.dim(1); ++k)
      out[k * n + i] = w.RowAs<const float>(first + i)[k];
}

// One token: y, then the past moves on by one row.
void ConvToken(const View& state, int64_t slot, int64_t first, int64_t n,
               const float* w, const float* bias, const float* x, float* y) {
  const int64_t rows = state.dim(1);
  ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    const auto now = LoadPart(d, x + i, lanes);
    auto sum = LoadPart(d, bias + i, lanes);
    for (int64_t k = 0; k < rows; ++k) {
      float* past = StateRow(state, slot, k) + first + i;
      sum = hn::MulAdd(LoadPart(d, w + k * n + i, lanes),
                       LoadPart(d, past, lanes), sum);
    }
    sum = hn::MulAdd(LoadPart(d, w + rows * n + i, lanes), now, sum);
    for (int64_t k = 0; k + 1 < rows; ++k)
      StorePart(LoadPart(d, StateRow(state, slot, k + 1) + first + i, lanes), d,
                StateRow(state, slot, k) + first + i, lanes);
    StorePart(now, d, StateRow(state, slot, rows - 1) + first + i, lanes);
    StorePart(sum, d, y + i, lanes);
  });
}

void Conv(const KernelArgs& a, int64_t begin, int64_t end) {
  const View &state = a.out[0], &x = a.in[1];
  const int32_t* pos = a.in[5].As<const int32_t>();
  auto* w = reinterpret_cast<float*>(a.scratch);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t first = task * kChannels;
    const int64_t n = std::min(kChannels, x.dim(1) - first);
    TurnKernel(a.in[2], first, n, w);
    const float* bias = a.in[3].As<const float>() + first;
    for (int64_t t = 0; t < x.dim(0); ++t) {
      const int64_t slot = SlotOf(a, 4, t);
      if (slot < 0) continue;
      for (int64_t k = 0; pos[t] == 0 && k < state.dim(1); ++k)
        std::fill_n(StateRow(state, slot, k) + first, n, 0.0f);
      ConvToken(state, slot, first, n, w, bias, x.RowAs<const float>(t) + first,
                a.out[1].RowAs<float>(t) + first);
    }
  }
}

int64_t ConvScratch(const KernelArgs& a) {
  return kChannels * a.in[2].dim(1) * static_cast<int64_t>(sizeof(float));
}

double ConvNs(const KernelArgs& a) {
  return 20 +
         static_cast<double>(a.in[1].dim(0) * kChannels * a.in[2].dim(1)) / 8;
}

// One channel of one token: its n states move on; returns y.
float ScanChannel(float* s, const float* a, const float* b, const float* c,
                  int64_t n, float step, float x) {
  return SumOf(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    const auto decay =
        ExpOf(d, hn::Mul(hn::Set(d, step), LoadPart(d, a + i, lanes)));
    const auto in = hn::Mul(hn::Set(d, step * x), LoadPart(d, b + i, lanes));
    const auto next = hn::MulAdd(decay, LoadPart(d, s + i, lanes), in);
    StorePart(next, d, s + i, lanes);
    return hn::Mul(next, LoadPart(d, c + i, lanes));
  });
}

void Scan(const KernelArgs& args, int64_t begin, int64_t end) {
  const View &state = args.out[0], &x = args.in[1], &a = args.in[3];
  const int32_t* pos = args.in[7].As<const int32_t>();
  const int64_t n = a.dim(1);
  const int64_t first = begin * kChannels;
  const int64_t last = std::min(x.dim(1), end * kChannels);
  for (int64_t t = 0; t < x.dim(0); ++t) {
    const int64_t slot = SlotOf(args, 6, t);
    if (slot < 0) continue;
    const float* delta = args.in[2].RowAs<const float>(t);
    const float* b = args.in[4].RowAs<const float>(t);
    const float* c = args.in[5].RowAs<const float>(t);
    for (int64_t i = first; i < last; ++i) {
      float* s = StateRow(state, slot, i);
      if (pos[t] == 0) std::fill_n(s, n, 0.0f);
      args.out[1].RowAs<float>(t)[i] =
          ScanChannel(s, a.RowAs<const float>(i), b, c, n, Softplus(delta[i]),
                      x.RowAs<const float>(t)[i]);
    }
  }
}

// An exponential and two multiply-adds a state.
double ScanNs(const KernelArgs& a) {
  const int64_t per_token = kChannels * (a.in[3].dim(1) + 20);
  return 20 + static_cast<double>(a.in[1].dim(0) * per_token) / 2;
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kCausalConv,
                 .name = "causal_conv",
                 .strided = 0b1111,
                 .tasks = Tasks,
                 .task_ns = ConvNs,
                 .scratch_bytes = ConvScratch,
                 .run = Conv});
  out.push_back({.op = &kSelectiveScan,
                 .name = "selective_scan",
                 .strided = 0b111111,
                 .tasks = Tasks,
                 .task_ns = ScanNs,
                 .run = Scan});
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
void AddRecurrentKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
