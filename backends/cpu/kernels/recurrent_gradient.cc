// causal_conv_gradient and selective_scan_gradient. A task is a run of channels
// for all tokens, which are taken forth and back; channels are independent, but
// for the gradients of a scan's b and c: tasks leave theirs side by side, and
// the second stage adds them in order.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/recurrent_gradient.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <cmath>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/kernels/recurrent-inl.h"
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

constexpr int64_t kChannels = kRecurrentChannels;

int64_t Tasks(const KernelArgs& a) {
  return (a.in[0].dim(1) + kChannels - 1) / kChannels;
}

// The token before each one in its sequence, -1 where one starts. False,
// reported, for what began before the step. `last` is by slot.
bool FindBefore(const KernelArgs& a, size_t slot_input, int64_t tokens,
                int32_t* before, int32_t* last) {
  const int32_t* slot = a.in[slot_input].As<const int32_t>();
  const int32_t* pos = a.in[slot_input + 1].As<const int32_t>();
  std::fill_n(last, tokens, -1);
  for (int64_t t = 0; t < tokens; ++t) {
    const bool known = slot[t] >= 0 && slot[t] < tokens;
    if (!known || (pos[t] != 0 && last[slot[t]] < 0)) {
      a.bad_index->store(known ? pos[t] : slot[t], std::memory_order_relaxed);
      return false;
    }
    before[t] = pos[t] == 0 ? -1 : last[slot[t]];
    last[slot[t]] = static_cast<int32_t>(t);
  }
  return true;
}

// ---- The convolution ----

// Scratch: before, last [T]; w and its gradient [K][kChannels].
int64_t ConvScratch(const KernelArgs& a) {
  return static_cast<int64_t>(sizeof(float)) *
         (2 * a.in[0].dim(0) + 2 * kChannels * a.in[1].dim(1));
}

// What token t's gradient g gives the token `from` that column k meets.
void ConvPair(int64_t n, const float* g, const float* x, const float* w,
              float* of_x, float* of_w) {
  ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    const auto grad = LoadPart(d, g + i, lanes);
    StorePart(hn::MulAdd(grad, LoadPart(d, w + i, lanes),
                         LoadPart(d, of_x + i, lanes)),
              d, of_x + i, lanes);
    StorePart(hn::MulAdd(grad, LoadPart(d, x + i, lanes),
                         LoadPart(d, of_w + i, lanes)),
              d, of_w + i, lanes);
  });
}

void Conv(const KernelArgs& a, int64_t begin, int64_t end) {
  const View &x = a.in[0], &w = a.in[1], &g = a.in[2];
  const int64_t tokens = x.dim(0), columns = w.dim(1);
  auto* before = reinterpret_cast<int32_t*>(a.scratch);
  auto* turned = reinterpret_cast<float*>(before + 2 * tokens);
  float* of_w = turned + columns * kChannels;
  if (!FindBefore(a, 3, tokens, before, before + tokens)) return;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t first = task * kChannels;
    const int64_t n = std::min(kChannels, x.dim(1) - first);
    std::fill_n(of_w, columns * kChannels, 0.0f);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t k = 0; k < columns; ++k)
        turned[k * kChannels + i] = w.RowAs<const float>(first + i)[k];
    for (int64_t t = 0; t < tokens; ++t)
      std::fill_n(a.out[0].RowAs<float>(t) + first, n, 0.0f);
    for (int64_t t = 0; t < tokens; ++t) {
      int64_t from = t;
      for (int64_t k = columns - 1; k >= 0 && from >= 0; --k) {
        ConvPair(n, g.RowAs<const float>(t) + first,
                 x.RowAs<const float>(from) + first, turned + k * kChannels,
                 a.out[0].RowAs<float>(from) + first, of_w + k * kChannels);
        from = before[from];
      }
    }
    for (int64_t i = 0; i < n; ++i)
      for (int64_t k = 0; k < columns; ++k)
        a.out[1].RowAs<float>(first + i)[k] = of_w[k * kChannels + i];
  }
}

double ConvNs(const KernelArgs& a) {
  return 20 +
         static_cast<double>(a.in[0].dim(0) * kChannels * a.in[1].dim(1)) / 4;
}

// ---- The scan ----

// One channel's tokens, in scratch: before, last [T]; states, decays and flows
// [T][N]. The state after token t has the gradient flows[t].
struct Channel {
  int64_t tokens, n;
  int32_t* before;
  float *states, *decays, *flows;

  explicit Channel(const KernelArgs& a)
      : tokens(a.in[0].dim(0)),
        n(a.in[2].dim(1)),
        before(reinterpret_cast<int32_t*>(a.scratch)),
        states(reinterpret_cast<float*>(before + 2 * tokens)),
        decays(states + tokens * n),
        flows(decays + tokens * n) {}
};

int64_t ScanScratch(const KernelArgs& a) {
  return static_cast<int64_t>(sizeof(float)) * a.in[0].dim(0) *
         (2 + 3 * a.in[2].dim(1));
}

// Gradients of b and c, [tasks][2][T][N].
int64_t ScanShared(const KernelArgs& a) {
  return static_cast<int64_t>(sizeof(float)) * Tasks(a) * 2 * a.in[0].dim(0) *
         a.in[2].dim(1);
}

void Forward(const KernelArgs& args, const Channel& c, int64_t i) {
  const float* a = args.in[2].RowAs<const float>(i);
  for (int64_t t = 0; t < c.tokens; ++t) {
    const float step = Softplus(args.in[1].RowAs<const float>(t)[i]);
    const float in = step * args.in[0].RowAs<const float>(t)[i];
    const float* b = args.in[3].RowAs<const float>(t);
    const float* past =
        c.before[t] < 0 ? nullptr : c.states + c.before[t] * c.n;
    ForEachVector(D(), c.n, [&](auto d, int64_t j, int64_t lanes) HWY_ATTR {
      const auto decay =
          ExpOf(d, hn::Mul(hn::Set(d, step), LoadPart(d, a + j, lanes)));
      StorePart(decay, d, c.decays + t * c.n + j, lanes);
      auto state = hn::Mul(hn::Set(d, in), LoadPart(d, b + j, lanes));
      if (past != nullptr)
        state = hn::MulAdd(decay, LoadPart(d, past + j, lanes), state);
      StorePart(state, d, c.states + t * c.n + j, lanes);
    });
  }
}

// Token t of channel i, after those that follow it. Adds to of_a, and to the
// rows of b's and c's gradients.
void BackwardToken(const KernelArgs& args, const Channel& c, int64_t i,
                   int64_t t, float* of_a, float* of_b, float* of_c) {
  const float* a = args.in[2].RowAs<const float>(i);
  const float* b = args.in[3].RowAs<const float>(t);
  const float* out = args.in[4].RowAs<const float>(t);
  const float x = args.in[0].RowAs<const float>(t)[i];
  const float delta = args.in[1].RowAs<const float>(t)[i];
  const float step = Softplus(delta);
  const float g = args.in[5].RowAs<const float>(t)[i];
  const int64_t before = c.before[t];
  float* flows = c.flows + t * c.n;
  float of_step = 0;
  const float of_in =  // of step * x
      SumOf(D(), c.n, [&](auto d, int64_t j, int64_t lanes) HWY_ATTR {
        const auto grad = hn::Set(d, g);
        const auto state = LoadPart(d, c.states + t * c.n + j, lanes);
        StorePart(hn::MulAdd(grad, state, LoadPart(d, of_c + j, lanes)), d,
                  of_c + j, lanes);
        const auto flow = hn::MulAdd(grad, LoadPart(d, out + j, lanes),
                                     LoadPart(d, flows + j, lanes));
        StorePart(flow, d, flows + j, lanes);
        StorePart(hn::MulAdd(flow, hn::Set(d, step * x),
                             LoadPart(d, of_b + j, lanes)),
                  d, of_b + j, lanes);
        return hn::Mul(flow, LoadPart(d, b + j, lanes));
      });
  if (before >= 0) {
    of_step = SumOf(D(), c.n, [&](auto d, int64_t j, int64_t lanes) HWY_ATTR {
      const auto flow = hn::Mul(LoadPart(d, flows + j, lanes),
                                LoadPart(d, c.decays + t * c.n + j, lanes));
      StorePart(flow, d, c.flows + before * c.n + j, lanes);
      const auto kept =
          hn::Mul(flow, LoadPart(d, c.states + before * c.n + j, lanes));
      StorePart(
          hn::MulAdd(kept, hn::Set(d, step), LoadPart(d, of_a + j, lanes)), d,
          of_a + j, lanes);
      return hn::Mul(kept, LoadPart(d, a + j, lanes));
    });
  }
  args.out[0].RowAs<float>(t)[i] = step * of_in;
  // The slope of softplus is the logistic function.
  args.out[1].RowAs<float>(t)[i] =
      (of_step + x * of_in) / (1 + std::exp(-delta));
}

void Scan(const KernelArgs& args, int64_t begin, int64_t end) {
  const Channel c(args);
  if (!FindBefore(args, 6, c.tokens, c.before, c.before + c.tokens)) return;
  const int64_t size = c.tokens * c.n;
  for (int64_t task = begin; task < end; ++task) {
    float* of_b = reinterpret_cast<float*>(args.shared) + task * 2 * size;
    float* of_c = of_b + size;
    std::fill_n(of_b, 2 * size, 0.0f);
    const int64_t last = std::min(args.in[0].dim(1), (task + 1) * kChannels);
    for (int64_t i = task * kChannels; i < last; ++i) {
      float* of_a = args.out[2].RowAs<float>(i);
      std::fill_n(of_a, c.n, 0.0f);
      std::fill_n(c.flows, size, 0.0f);
      Forward(args, c, i);
      for (int64_t t = c.tokens - 1; t >= 0; --t)
        BackwardToken(args, c, i, t, of_a, of_b + t * c.n, of_c + t * c.n);
    }
  }
}

// Two exponentials' worth and ten multiply-adds a state.
double ScanNs(const KernelArgs& a) {
  const int64_t per_token = kChannels * (a.in[2].dim(1) + 20);
  return 20 + 2 * static_cast<double>(a.in[0].dim(0) * per_token);
}

int64_t SumTasks(const KernelArgs& a) { return a.in[0].dim(0); }

double SumNs(const KernelArgs& a) {
  return 10 + static_cast<double>(Tasks(a) * a.in[2].dim(1)) / 4;
}

// Rows of b's and c's gradients: the tasks' parts, in order.
void SumParts(const KernelArgs& args, int64_t begin, int64_t end) {
  const int64_t n = args.in[2].dim(1), size = args.in[0].dim(0) * n;
  const auto* parts = reinterpret_cast<const float*>(args.shared);
  for (int64_t t = begin; t < end; ++t)
    for (const int64_t which : {0, 1}) {
      float* to = args.out[static_cast<size_t>(3 + which)].RowAs<float>(t);
      std::fill_n(to, n, 0.0f);
      for (int64_t task = 0; task < Tasks(args); ++task) {
        const float* part = parts + (2 * task + which) * size + t * n;
        for (int64_t j = 0; j < n; ++j) to[j] += part[j];
      }
    }
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kCausalConvGradient,
                 .name = "causal_conv_gradient",
                 .strided = 0b111,
                 .tasks = Tasks,
                 .task_ns = ConvNs,
                 .scratch_bytes = ConvScratch,
                 .run = Conv});
  out.push_back({.op = &kSelectiveScanGradient,
                 .name = "selective_scan_gradient",
                 .strided = 0b111111,
                 .tasks = Tasks,
                 .task_ns = ScanNs,
                 .scratch_bytes = ScanScratch,
                 .shared_bytes = ScanShared,
                 .run = Scan,
                 .finish_tasks = SumTasks,
                 .finish_ns = SumNs,
                 .finish = SumParts});
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
void AddRecurrentGradientKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
