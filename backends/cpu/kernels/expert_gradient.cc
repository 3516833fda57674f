// route_gradient, a task per token; outer_by_id, a task per matrix and block of
// its rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/expert_gradient.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <cmath>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/experts.h"
#include "ops/gradient_ops.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

// ---- route_gradient ----

// g becomes the gradient of the weights w as they were before they were divided
// by their sum and scaled.
void UndoNorm(const Attrs& attrs, const float* w, int64_t n, float* g) {
  const auto scale = static_cast<float>(attrs.Float("scale", 1));
  float sum = 0, product = 0;
  for (int64_t j = 0; j < n; ++j) {
    sum += w[j];
    product += w[j] * g[j];
  }
  constexpr float kSmallest = 0x1p-14f;
  if (attrs.Int("normalize") == 0) {
    sum = 1;
    product = 0;
  } else if (sum < kSmallest) {
    sum = kSmallest;
    product = 0;
  }
  for (int64_t j = 0; j < n; ++j) g[j] = scale / sum * (g[j] - product / sum);
}

// One token; `scores` has room for its experts, w and g for its picks.
struct Token {
  const float* logits;
  const int32_t* ids;
  float* y;
  float *scores, *w, *g;
  int64_t experts, used;
};

void BackOfPicked(const Token& t, const Attrs& attrs) {
  for (int64_t j = 0; j < t.used; ++j) t.scores[j] = t.logits[t.ids[j]];
  SoftmaxRow(t.scores, t.used, t.w);
  UndoNorm(attrs, t.w, t.used, t.g);
  float sum = 0;
  for (int64_t j = 0; j < t.used; ++j) sum += t.g[j] * t.w[j];
  for (int64_t j = 0; j < t.used; ++j) t.y[t.ids[j]] = t.w[j] * (t.g[j] - sum);
}

void BackOfAll(const Token& t, const Attrs& attrs) {
  SoftmaxRow(t.logits, t.experts, t.scores);
  for (int64_t j = 0; j < t.used; ++j) t.w[j] = t.scores[t.ids[j]];
  UndoNorm(attrs, t.w, t.used, t.g);
  float sum = 0;
  for (int64_t j = 0; j < t.used; ++j) sum += t.g[j] * t.w[j];
  for (int64_t i = 0; i < t.experts; ++i) t.y[i] = -t.scores[i] * sum;
  for (int64_t j = 0; j < t.used; ++j) t.y[t.ids[j]] += t.w[j] * t.g[j];
}

void BackOfLogistic(const Token& t, const Attrs& attrs) {
  for (int64_t j = 0; j < t.used; ++j)
    t.w[j] = 1 / (1 + std::exp(-t.logits[t.ids[j]]));
  UndoNorm(attrs, t.w, t.used, t.g);
  for (int64_t j = 0; j < t.used; ++j)
    t.y[t.ids[j]] = t.g[j] * t.w[j] * (1 - t.w[j]);
}

void RouteGradient(const KernelArgs& a, int64_t begin, int64_t end) {
  const Attrs& attrs = *a.params->attrs;
  const auto kind = static_cast<RouterScores>(attrs.Int("scores"));
  Token t;
  t.experts = a.in[0].dim(1);
  t.used = a.in[1].dim(1);
  t.scores = reinterpret_cast<float*>(a.scratch);
  t.w = t.scores + std::max(t.experts, t.used);
  t.g = t.w + t.used;
  for (int64_t row = begin; row < end; ++row) {
    t.logits = a.in[0].RowAs<const float>(row);
    t.ids = a.in[1].RowAs<const int32_t>(row);
    t.y = a.out[0].RowAs<float>(row);
    std::fill_n(t.y, t.experts, 0.0f);
    const int32_t* wrong = std::find_if(t.ids, t.ids + t.used, [&](int32_t id) {
      return id < 0 || id >= t.experts;
    });
    if (wrong != t.ids + t.used) {
      a.bad_index->store(*wrong, std::memory_order_relaxed);
      continue;
    }
    std::copy_n(a.in[2].RowAs<const float>(row), t.used, t.g);
    switch (kind) {
      case RouterScores::kSoftmaxOfPicked:
        BackOfPicked(t, attrs);
        break;
      case RouterScores::kSoftmaxOfAll:
        BackOfAll(t, attrs);
        break;
      case RouterScores::kLogistic:
        BackOfLogistic(t, attrs);
        break;
    }
  }
}

int64_t RouteScratch(const KernelArgs& a) {
  const int64_t experts = a.in[0].dim(1), used = a.in[1].dim(1);
  return (std::max(experts, used) + 2 * used) *
         static_cast<int64_t>(sizeof(float));
}

// An exponential for each expert.
double RouteNs(const KernelArgs& a) {
  return 20 + 10 * static_cast<double>(a.in[0].dim(1));
}

// ---- outer_by_id ----

// Rows of a matrix that are summed together: 16 rows of 2048 values are 128 KB,
// which stay in L2 while the tokens pass by.
constexpr int64_t kRows = 16;

int64_t RowBlocks(const KernelArgs& a) {
  return (a.out[0].dim(1) + kRows - 1) / kRows;
}

int64_t OuterTasks(const KernelArgs& a) {
  return a.out[0].dim(0) * RowBlocks(a);
}

// y += g x.
void AddScaled(float g, const float* x, int64_t n, float* y) {
  ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    StorePart(hn::MulAdd(hn::Set(d, g), LoadPart(d, x + i, lanes),
                         LoadPart(d, y + i, lanes)),
              d, y + i, lanes);
  });
}

void OuterById(const KernelArgs& a, int64_t begin, int64_t end) {
  const View &g = a.in[0], &x = a.in[1], &y = a.out[0];
  const int32_t* ids = a.in[2].As<const int32_t>();
  const int64_t picks = g.dim(1), n = g.dim(2), k = x.dim(-1);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t matrix = task / RowBlocks(a);
    const int64_t first = task % RowBlocks(a) * kRows;
    const int64_t rows = std::min(kRows, n - first);
    float* out = y.As<float>() + (matrix * n + first) * k;
    std::fill_n(out, rows * k, 0.0f);
    for (int64_t p = 0; p < g.dim(0) * picks; ++p) {
      if (ids[p] < 0 || ids[p] >= y.dim(0))
        a.bad_index->store(ids[p], std::memory_order_relaxed);
      if (ids[p] != matrix) continue;
      const float* row = x.RowAs<const float>(x.rank == 2 ? p / picks : p);
      const float* of = g.RowAs<const float>(p) + first;
      for (int64_t r = 0; r < rows; ++r) AddScaled(of[r], row, k, out + r * k);
    }
  }
}

// Each task looks at every id; its share of the products is what the tokens
// have of it on average.
double OuterNs(const KernelArgs& a) {
  const auto picks = static_cast<double>(a.in[2].elements());
  const auto matrices = static_cast<double>(a.out[0].dim(0));
  return 10 + picks +
         picks / matrices * kRows * static_cast<double>(a.in[1].dim(-1)) / 8;
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kRouteGradient,
                 .name = "route_gradient",
                 .strided = 0b111,
                 .tasks = RowTasks,
                 .task_ns = RouteNs,
                 .scratch_bytes = RouteScratch,
                 .run = RouteGradient});
  out.push_back({.op = &kOuterById,
                 .name = "outer_by_id",
                 .strided = 0b11,
                 .tasks = OuterTasks,
                 .task_ns = OuterNs,
                 .run = OuterById});
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
void AddExpertGradientKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
