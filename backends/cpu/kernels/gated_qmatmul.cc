// gated_qmatmul: the qmatmul kernel of the weights' format computes a few rows
// of both products into scratch, where they are gated. So neither goes to
// memory and comes back, and both are one step.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/gated_qmatmul.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/elementwise-inl.h"
#include "backends/cpu/kernels/math-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/quant/quantize-inl.h"
#include "backends/cpu/simd-inl.h"
#include "graph/plan.h"
#include "ops/fused.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// The longest block of activations.
constexpr int64_t kBlock = 256;
static_assert(kBlock % BlockQ8_A::kCount == 0);
static_assert(kBlock % BlockQ8_A32::kCount == 0);

// Tokens whose values are in scratch at a time, as many as the products of
// blocks compute at a time. Of 32 rows they are 64 KB, which stay in L2 beside
// what the products read. (64 or 128 rows instead: prefill 6 and 7 % slower on
// Zen 5; 256 or 128 tokens: no difference. Tile registers compute 256 rows: 128
// or 64 instead 6 and 4 % slower on Emerald Rapids.)
constexpr int64_t kTokens = 512;

bool IsQuantized(const KernelArgs& a) { return a.out[0].dtype != DType::kF32; }

// So many, so that others can take the last of a thread that lost its core.
constexpr int64_t kTasksPerThread = 4;

// Whether tasks compute whole blocks of a quantised result, which then needs no
// other memory: where every thread gets enough, and none is idle for more than
// a tenth of the time. Elsewhere f32 values, which all threads share, are
// quantised in a second stage.
bool MakesBlocks(const KernelArgs& a) {
  if (!IsQuantized(a)) return false;
  const int64_t blocks = (a.in[1].dim(0) + kBlock - 1) / kBlock;
  const int64_t turns = (blocks + a.threads - 1) / a.threads;
  return a.threads == 1 || (blocks >= kTasksPerThread * a.threads &&
                            turns * a.threads * 10 <= blocks * 11);
}

// Rows of one product that are computed together: as many as its kernel would,
// where that leaves each thread enough tasks.
int64_t UnitRows(const KernelArgs& a) {
  const int64_t task = a.inner->rows_per_task(a);
  const int64_t together = std::max(task, a.inner->rows_together);
  if (MakesBlocks(a)) return together;
  const int64_t share = a.in[1].dim(0) / (kTasksPerThread * a.threads);
  return std::clamp(share / task * task, task, together);
}

int64_t RowsPerTask(const KernelArgs& a) {
  return MakesBlocks(a) ? std::max(kBlock, UnitRows(a)) : UnitRows(a);
}

// What is computed at a time: `part` rows of both products, of so many tokens,
// that go to the result when there are `rows` of them.
struct Steps {
  explicit Steps(const KernelArgs& a) : makes_blocks(MakesBlocks(a)) {
    const int64_t unit = UnitRows(a), task = RowsPerTask(a);
    tokens = std::min(a.in[0].rows(), kTokens);
    // Few tokens: long streams of weights.
    const int64_t turns = kTokens / tokens;
    rows = std::max(task, std::min(kBlock, turns * task) / task * task);
    part = std::min(turns * unit, rows);
  }
  bool makes_blocks;
  int64_t tokens, rows, part;
};

int64_t InnerScratch(const KernelArgs& a) {
  return a.inner->scratch_bytes == nullptr ? 0
                                           : AlignUp(a.inner->scratch_bytes(a));
}

// The inner kernel's, then `up` of a part, then what is gated.
int64_t ScratchBytes(const KernelArgs& a) {
  return InnerScratch(a) +
         kTokens * (UnitRows(a) + RowsPerTask(a)) * int64_t{sizeof(float)};
}

bool HasSecondStage(const KernelArgs& a) {
  return IsQuantized(a) && !MakesBlocks(a);
}

int64_t SharedBytes(const KernelArgs& a) {
  return HasSecondStage(a) ? a.out[0].elements() * int64_t{sizeof(float)} : 0;
}

// Row t of the f32 result.
float* FloatRow(const KernelArgs& a, int64_t t) {
  if (!IsQuantized(a)) return a.out[0].RowAs<float>(t);
  return reinterpret_cast<float*>(a.shared) + t * a.out[0].row_length();
}

// Rows `first` and on of w, as many as are in a piece, times the tokens of x,
// to `products` [token][row of the piece].
void Multiply(const KernelArgs& a, const View& x, const View& w, int64_t first,
              int64_t last, int64_t stride, float* products) {
  const View in[] = {x, w};
  View out;
  // The kernel finds row `first` where row 0 of a whole product would have it.
  out.data = reinterpret_cast<std::byte*>(
      reinterpret_cast<uintptr_t>(products) -
      static_cast<uintptr_t>(first) * sizeof(float));
  out.rank = 2;
  out.dims = {x.dim(0), stride};
  out.strides = {stride * int64_t{sizeof(float)}, sizeof(float)};
  const KernelParams params;
  KernelArgs inner;
  inner.in = in;
  inner.out = absl::MakeConstSpan(&out, 1);
  inner.params = &params;
  inner.scratch = a.scratch;
  inner.ask_order = a.ask_order;
  const int64_t per_task = a.inner->rows_per_task(inner);
  a.inner->run(inner, first / per_task, (last + per_task - 1) / per_task);
}

// Rows [row, row + rows) of tokens [t, t + x.dim(0)), whose rows are x.
void RunRows(const KernelArgs& a, const Steps& steps, const View& x, int64_t t,
             int64_t row, int64_t rows) {
  auto* const up = reinterpret_cast<float*>(a.scratch + InnerScratch(a));
  float* const gate = up + steps.tokens * steps.part;
  for (int64_t at = 0; at < rows; at += steps.part) {
    const int64_t n = std::min(steps.part, rows - at);
    const int64_t first = row + at;
    Multiply(a, x, a.in[1], first, first + n, rows, gate + at);
    Multiply(a, x, a.in[2], first, first + n, n, up);
    WithActivation(a.params->activation, [&](auto f) HWY_ATTR {
      for (int64_t i = 0; i < x.dim(0); ++i) {
        float* y = gate + i * rows + at;
        GateRow(f, y, up + i * n, n, y);
      }
    });
  }
  for (int64_t i = 0; i < x.dim(0); ++i) {
    const float* from = gate + i * rows;
    if (steps.makes_blocks)
      QuantizeRow(from, rows, a.out[0], t + i, row);
    else
      std::copy_n(from, rows, FloatRow(a, t + i) + row);
  }
}

void GatedQMatMul(const KernelArgs& a, int64_t begin, int64_t end) {
  const Steps steps(a);
  const View& x = a.in[0];
  const int64_t tokens = x.rows();
  const int64_t last = std::min(a.in[1].dim(0), end * RowsPerTask(a));
  for (int64_t row = begin * RowsPerTask(a); row < last; row += steps.rows) {
    for (int64_t t = 0; t < tokens; t += steps.tokens) {
      View some;  // x is dense: its leading dims are one
      some.data = x.Row(t);
      some.dtype = x.dtype;
      some.rank = 2;
      some.dims = {std::min(steps.tokens, tokens - t), x.row_length()};
      some.strides = {x.rank < 2 ? 0 : x.stride(-2), x.stride(-1)};
      RunRows(a, steps, some, t, row, std::min(steps.rows, last - row));
    }
  }
}

void Finish(const KernelArgs& a, int64_t begin, int64_t end) {
  ForEachPiece(a, begin, end,
               [&](int64_t r, int64_t first, int64_t n) HWY_ATTR {
                 QuantizeRow(FloatRow(a, r) + first, n, a.out[0], r, first);
               });
}

int64_t FinishTasks(const KernelArgs& a) {
  return HasSecondStage(a) ? PieceTasks(a) : 0;
}

double FinishNs(const KernelArgs& a) { return PieceNs(a, 1.0 / 8); }

int64_t Tasks(const KernelArgs& a) {
  return (a.in[1].dim(0) + RowsPerTask(a) - 1) / RowsPerTask(a);
}

double TaskNs(const KernelArgs& a) {
  const int64_t inner = a.inner->rows_per_task(a);
  return static_cast<double>(2 * RowsPerTask(a) / inner) * a.inner->task_ns(a);
}

// Matrices of one type whose rows are known when memory is planned.
bool SameMatrices(const Graph& graph, const Node& node) {
  const TensorType& gate = graph.value(node.inputs[1]).type;
  const TensorType& up = graph.value(node.inputs[2]).type;
  return gate.dtype == up.dtype && gate.shape == up.shape &&
         gate.shape.rank() == 2 && gate.shape.dim(0).is_constant();
}

void AddKernels(KernelList& out) {
  KernelList more;
  for (const Kernel& kernel : out) {
    if (kernel.op != &kQMatMul || kernel.rows_per_task == nullptr) continue;
    more.push_back({.op = &kGatedQMatMul,
                    .name = kernel.name,
                    .supports = SameMatrices,
                    .tasks = Tasks,
                    .task_ns = TaskNs,
                    .scratch_bytes = ScratchBytes,
                    .shared_bytes = SharedBytes,
                    .run = GatedQMatMul,
                    .finish_tasks = FinishTasks,
                    .finish_ns = FinishNs,
                    .finish = Finish,
                    .inner = std::make_shared<const Kernel>(kernel)});
  }
  out.insert(out.end(), more.begin(), more.end());
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
void AddGatedQMatMulKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
