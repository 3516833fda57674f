// route: the experts of each token. One task per token.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/route.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <limits>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "graph/plan.h"
#include "ops/experts.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

constexpr float kNever = -std::numeric_limits<float>::infinity();

struct Options {
  explicit Options(const KernelArgs& a)
      : attrs(*a.params->attrs),
        scores(static_cast<RouterScores>(attrs.Int("scores"))),
        groups(attrs.Int("groups", 1)),
        groups_used(attrs.Int("groups_used", 1)),
        bias(a.in.size() > 1 ? a.in[1].As<const float>() : nullptr) {}
  const Attrs& attrs;
  RouterScores scores;
  int64_t groups, groups_used;
  const float* bias;
};

void ScoreRow(RouterScores scores, const float* x, int64_t n, float* y) {
  switch (scores) {
    case RouterScores::kSoftmaxOfAll:
      return SoftmaxRow(x, n, y);
    case RouterScores::kSoftmaxOfPicked:
      std::copy_n(x, n, y);
      return;
    case RouterScores::kLogistic:
      ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
        StorePart(SigmoidOf(d, LoadPart(d, x + i, lanes)), d, y + i, lanes);
      });
      return;
  }
}

// The index of the largest of x, which is then struck out; the lowest one of
// equals, and of what is struck out or NaN only when nothing else is left.
int64_t TakeLargest(float* x, bool* taken, int64_t n) {
  int64_t best = -1;
  for (int64_t i = 0; i < n; ++i)
    if (!taken[i] && (best < 0 || x[i] > x[best])) best = i;
  taken[best] = true;
  return best;
}

// Sum of the two largest of a group.
float SumOfTwo(const float* x, int64_t n) {
  if (n == 1) return x[0];
  float most = std::max(x[0], x[1]), second = std::min(x[0], x[1]);
  for (int64_t i = 2; i < n; ++i) {
    second = std::max(second, std::min(most, x[i]));
    most = std::max(most, x[i]);
  }
  return most + second;
}

// Experts outside the best groups become -inf.
void KeepGroups(const Options& o, int64_t experts, float* order, float* sums,
                bool* taken) {
  const int64_t size = experts / o.groups;
  for (int64_t g = 0; g < o.groups; ++g)
    sums[g] = SumOfTwo(order + g * size, size);
  std::fill_n(taken, o.groups, false);
  for (int64_t j = 0; j < o.groups_used; ++j)
    TakeLargest(sums, taken, o.groups);
  for (int64_t i = 0; i < experts; ++i)
    if (!taken[i / size]) order[i] = kNever;
}

void RunRoute(const KernelArgs& a, int64_t begin, int64_t end) {
  const Options o(a);
  const int64_t experts = a.in[0].dim(1), used = a.out[0].dim(1);
  auto* scores = reinterpret_cast<float*>(a.scratch);
  float* order = scores + experts;
  float* sums = order + experts;
  auto* taken = reinterpret_cast<bool*>(sums + experts);
  for (int64_t t = begin; t < end; ++t) {
    const float* logits = a.in[0].RowAs<const float>(t);
    int32_t* ids = a.out[0].RowAs<int32_t>(t);
    float* weights = a.out[1].RowAs<float>(t);
    ScoreRow(o.scores, logits, experts, scores);
    std::copy_n(o.bias == nullptr && o.groups == 1 ? logits : scores, experts,
                order);
    for (int64_t i = 0; o.bias != nullptr && i < experts; ++i)
      order[i] += o.bias[i];
    if (o.groups > 1) KeepGroups(o, experts, order, sums, taken);
    std::fill_n(taken, experts, false);
    for (int64_t j = 0; j < used; ++j) {
      const int64_t id = TakeLargest(order, taken, experts);
      ids[j] = static_cast<int32_t>(id);
      weights[j] = scores[id];
    }
    if (o.scores == RouterScores::kSoftmaxOfPicked)
      SoftmaxRow(weights, used, weights);
    float sum = 0;
    for (int64_t j = 0; j < used; ++j) sum += weights[j];
    auto factor = static_cast<float>(o.attrs.Float("scale", 1));
    if (o.attrs.Int("normalize") != 0) factor /= std::max(sum, 0x1p-14f);
    for (int64_t j = 0; j < used; ++j) weights[j] *= factor;
  }
}

int64_t ScratchBytes(const KernelArgs& a) {
  return a.in[0].dim(1) * static_cast<int64_t>(3 * sizeof(float) + 1);
}

// A pass for each expert that is taken.
double RouteNs(const KernelArgs& a) {
  return 20 + static_cast<double>(a.in[0].dim(1) * (2 + a.out[0].dim(1)));
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kRoute,
                 .name = "route",
                 .strided = 0b1,
                 .tasks = RowTasks,
                 .task_ns = RouteNs,
                 .scratch_bytes = ScratchBytes,
                 .run = RunRoute});
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
void AddRouteKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
