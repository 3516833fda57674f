// y = activation(x w^T + bias) for weights of integer codes: the loops around
// the tiles of dot-inl.h and exact-inl.h. Per-target code.
//
// A task is 32 rows of w. Its panels are unpacked, kGroups groups at a time,
// into scratch that stays in cache while all tokens pass by.
#if defined(WEFT_BACKENDS_CPU_QUANT_MATMUL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_MATMUL_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_MATMUL_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_MATMUL_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/kernel_name.h"
#include "backends/cpu/kernels/epilogue-inl.h"
#include "backends/cpu/quant/dot-inl.h"
#include "backends/cpu/quant/exact-inl.h"
#include "hwy/cache_control.h"
#include "ops/fused.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kTaskRows = 32;
static_assert(kTaskRows % kLanes == 0);

// Groups that are unpacked before tokens pass by. One token uses each code
// once, so its panels should not leave L1; many tokens want few passes over y.
// 4 groups of two 16-row panels are 40 KB.
constexpr int kGroupsForMany = 4;

// Panels of a tile and tokens of the largest one; smaller tiles take what is
// left. 32 registers: 2 panels x 6 tokens are 12 sums of integers and 12 of
// floats. 16 registers: one panel x 4 tokens.
#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
constexpr int kTilePanels = 1;
constexpr int kTileTokens = 1;
#elif HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr int kTilePanels = 2;
constexpr int kTileTokens = 6;
#else
constexpr int kTilePanels = 1;
constexpr int kTileTokens = 4;
#endif

template <class C>
constexpr size_t kGroupBytes =
    sizeof(typename C::Block) * (kGroupSize / C::Block::kCount);

// Scratch of one worker.
template <class C>
struct MatMulScratch {
  Panel<C> panels[kTilePanels * kGroupsForMany];
  // Where the last rows of a matrix, fewer than a panel has, find company.
  alignas(64) uint8_t rows[kLanes * kGroupBytes<C>];
  alignas(64) float y[8][kLanes];
};

// One call's operands.
struct MatMulArgs {
  const View* w;
  const View* x;
  const View* y;
  int64_t k() const { return w->dim(1); }
  int groups() const {
    return static_cast<int>((k() + kGroupSize - 1) / kGroupSize);
  }
};

// While the 32 rows of a task are unpacked, the next 32 are on their way: each
// of a task's panel-groups asks for its share, from kStreams places at once.
// One linear stream leaves most of a memory's parallelism unused (one thread on
// Sapphire Rapids, q4_k: none 7, one stream 8, two 11, four 16, eight 17 GB/s,
// sixteen 14; q8_0: 10, 7, 9, 10, 12, 11).
constexpr size_t kStreams = 8;

HWY_INLINE void PrefetchNextTask(const MatMulArgs& m, int64_t row, int g) {
  if (m.w->dim(0) - row < 2 * kTaskRows) return;
  constexpr int64_t kTileRows = kTilePanels * kLanes;
  const int64_t in_task = row % kTaskRows;
  const auto share =
      static_cast<size_t>((in_task / kTileRows * m.groups() + g) * kTilePanels +
                          in_task % kTileRows / kLanes);
  const auto shares = static_cast<size_t>(m.groups() * (kTaskRows / kLanes));
  const size_t stream =
      static_cast<size_t>(kTaskRows * m.w->stride(0)) / kStreams;
  const size_t bytes = (stream + shares - 1) / shares;
  const auto* next =
      reinterpret_cast<const uint8_t*>(m.w->Row(row - in_task + kTaskRows));
  for (size_t at = share * bytes; at < (share + 1) * bytes; at += 64)
    for (size_t s = 0; s < kStreams; ++s) hwy::Prefetch(next + s * stream + at);
}

// Unpacks group g of the panel that begins at row `row`.
template <class C>
HWY_NOINLINE void UnpackPanel(const MatMulArgs& m, int64_t row, int g,
                              MatMulScratch<C>& scratch, Panel<C>& out) {
  using Block = typename C::Block;
  constexpr int kBlocks = kGroupSize / Block::kCount;
  const auto stride = static_cast<size_t>(m.w->stride(0));
  const size_t offset = static_cast<size_t>(g) * kGroupBytes<C>;
  const int blocks = static_cast<int>(
      std::min<int64_t>(kBlocks, m.k() / Block::kCount - g * kBlocks));
  const auto* data = reinterpret_cast<const uint8_t*>(m.w->Row(row));
  const int64_t rows = m.w->dim(0) - row;
  PrefetchNextTask(m, row, g);
  if (rows >= kLanes) {
    C::Unpack({data + offset, stride}, blocks, out);
    return;
  }
  const size_t bytes = static_cast<size_t>(blocks) * sizeof(Block);
  std::memset(scratch.rows, 0, sizeof(scratch.rows));
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(scratch.rows + static_cast<size_t>(r) * kGroupBytes<C>,
                data + static_cast<size_t>(r) * stride + offset, bytes);
  C::Unpack({scratch.rows, kGroupBytes<C>}, blocks, out);
}

// What one kind of activations does with unpacked panels.
template <class C>
struct FastTiles {
  static constexpr int kTokens = kTileTokens;

  // kT tokens from t on times kR panels of groups [g, g + groups).
  template <int kR, int kT>
  static HWY_INLINE void Run(const MatMulArgs& m, const Panel<C>* panels, int g,
                             int groups, int last_subs, int64_t t, float* y,
                             size_t y_stride) {
    TileArgs a;
    a.panels = panels;
    a.panel_stride = kGroupsForMany;
    a.groups = groups;
    a.last_subs = last_subs;
    a.x = m.x->template RowAs<const BlockQ8_A>(t) + g;
    a.x_stride =
        static_cast<size_t>(kT > 1 ? m.x->Row(t + 1) - m.x->Row(t) : 0);
    a.y = y;
    a.y_stride = y_stride;
    a.first = g == 0;
    DotTile<C, kR, kT>(a);
  }

  // At most `left` tokens; returns how many.
  template <int kR>
  static HWY_INLINE int RunSome(const MatMulArgs& m, const Panel<C>* panels,
                                int g, int groups, int last_subs, int64_t t,
                                int64_t left, float* y, size_t y_stride) {
    if constexpr (kTileTokens >= 6 && kR == kTilePanels) {
      if (left >= 6) {
        Run<kR, 6>(m, panels, g, groups, last_subs, t, y, y_stride);
        return 6;
      }
    }
    if constexpr (kTileTokens >= 4) {
      if (left >= 4) {
        Run<kR, 4>(m, panels, g, groups, last_subs, t, y, y_stride);
        return 4;
      }
      if (left >= 2 && kR == kTilePanels) {
        Run<kR, kR == kTilePanels ? 2 : 1>(m, panels, g, groups, last_subs, t,
                                           y, y_stride);
        return 2;
      }
    }
    Run<kR, 1>(m, panels, g, groups, last_subs, t, y, y_stride);
    return 1;
  }
};

template <class C>
struct ExactTiles {
  static constexpr int kTokens = 4;

  template <int kT>
  static HWY_INLINE void Run(const MatMulArgs& m, const Panel<C>* panel, int g,
                             int groups, int last_subs, int64_t t, float* y,
                             size_t y_stride) {
    ExactArgs a;
    a.panel = panel;
    a.groups = groups;
    a.last_subs = last_subs;
    a.x = m.x->template RowAs<const float>(t) + g * kGroupSize;
    a.x_stride =
        kT > 1 ? static_cast<size_t>(m.x->template RowAs<const float>(t + 1) -
                                     m.x->template RowAs<const float>(t))
               : 0;
    a.y = y;
    a.y_stride = y_stride;
    a.first = g == 0;
    ExactTile<C, kT>(a);
  }

  template <int kR>
  static HWY_INLINE int RunSome(const MatMulArgs& m, const Panel<C>* panels,
                                int g, int groups, int last_subs, int64_t t,
                                int64_t left, float* y, size_t y_stride) {
    const int tokens = left >= 4 ? 4 : 1;
    for (int r = 0; r < kR; ++r) {
      const Panel<C>* panel = panels + r * kGroupsForMany;
      float* to = y + r * kLanes;
      if (tokens == 4) {
        Run<4>(m, panel, g, groups, last_subs, t, to, y_stride);
      } else {
        Run<1>(m, panel, g, groups, last_subs, t, to, y_stride);
      }
    }
    return tokens;
  }
};

// Panels kR from row `row` on, all columns, all tokens.
template <class C, class Tiles, int kR>
void MultiplyPanels(const MatMulArgs& m, int64_t row,
                    MatMulScratch<C>& scratch) {
  const int64_t tokens = m.x->rows();
  const int64_t valid = std::min<int64_t>(kR * kLanes, m.w->dim(0) - row);
  const bool whole = valid == kR * kLanes;
  // A tile wants tokens at one distance: so they are in a dense tensor and in a
  // slice of a matrix, not in a permuted one of higher rank.
  const bool even = m.x->dense || m.x->rank <= 2;
  const int groups = m.groups();
  const int step = tokens == 1 ? 1 : kGroupsForMany;
  const auto y_stride = static_cast<size_t>(m.w->dim(0));
  for (int g = 0; g < groups; g += step) {
    const int n = std::min(step, groups - g);
    for (int r = 0; r < kR; ++r)
      for (int i = 0; i < n; ++i)
        UnpackPanel<C>(m, row + r * kLanes, g + i, scratch,
                       scratch.panels[r * kGroupsForMany + i]);
    const int64_t columns = std::min<int64_t>(
        kGroupSize, m.k() - static_cast<int64_t>(g + n - 1) * kGroupSize);
    const int last_subs = static_cast<int>(columns / C::kSub);
    for (int64_t t = 0; t < tokens;) {
      float* y = m.y->template RowAs<float>(t) + row;
      const int64_t left = even ? tokens - t : 1;
      if (whole) {
        t += Tiles::template RunSome<kR>(m, scratch.panels, g, n, last_subs, t,
                                         left, y, y_stride);
        continue;
      }
      // Lanes beyond the matrix must not be written: through a copy.
      const int64_t some = std::min<int64_t>(left, 4);
      if (g > 0)
        for (int64_t i = 0; i < some; ++i)
          std::copy_n(y + static_cast<size_t>(i) * y_stride, valid,
                      scratch.y[i]);
      const int done = Tiles::template RunSome<kR>(
          m, scratch.panels, g, n, last_subs, t, some, scratch.y[0], kLanes);
      for (int i = 0; i < done; ++i)
        std::copy_n(scratch.y[i], valid, y + static_cast<size_t>(i) * y_stride);
      t += done;
    }
  }
}

template <class C, class Tiles>
void QMatMulBlocks(const KernelArgs& a, int64_t begin, int64_t end) {
  const MatMulArgs m = {&a.in[1], &a.in[0], &a.out[0]};
  auto& scratch = *reinterpret_cast<MatMulScratch<C>*>(a.scratch);
  const int64_t first = begin * kTaskRows;
  const int64_t last = std::min(m.w->dim(0), end * kTaskRows);
  int64_t row = first;
  for (; row + kTilePanels * kLanes <= last; row += kTilePanels * kLanes)
    MultiplyPanels<C, Tiles, kTilePanels>(m, row, scratch);
  for (; row < last; row += kLanes)
    MultiplyPanels<C, Tiles, 1>(m, row, scratch);
  AddBiasAndActivate(a, first, last);
}

HWY_INLINE int64_t BlockTasks(const KernelArgs& a) {
  return (a.in[1].dim(0) + kTaskRows - 1) / kTaskRows;
}

// One token is bound by memory, about 15 bytes a nanosecond and core; many by
// arithmetic, about 50 multiply-adds a nanosecond exact and 200 fast.
template <class C, bool kFast>
double BlockTaskNs(const KernelArgs& a) {
  const double values = static_cast<double>(kTaskRows * a.in[0].row_length());
  const double bytes = values * sizeof(typename C::Block) / C::Block::kCount;
  const double tokens = static_cast<double>(a.in[0].rows());
  return 20 + std::max(bytes / 15, values * tokens / (kFast ? 200 : 50));
}

template <class C>
bool SupportsBlocks(const Graph& graph, const Node& node, DType x) {
  return graph.value(node.inputs[1]).type.dtype == C::Block::kType &&
         graph.value(node.inputs[0]).type.dtype == x;
}

template <class C>
void AddQMatMul(KernelList& out) {
  const auto Scratch = [](const KernelArgs&) {
    return static_cast<int64_t>(sizeof(MatMulScratch<C>));
  };
  out.push_back({.op = &kQMatMul,
                 .name = KernelName<"qmatmul.q8_a.", typename C::Block>(),
                 .supports =
                     [](const Graph& graph, const Node& node) {
                       return SupportsBlocks<C>(graph, node, DType::kQ8_A);
                     },
                 .strided = 1,
                 .tasks = BlockTasks,
                 .task_ns = BlockTaskNs<C, true>,
                 .scratch_bytes = Scratch,
                 .run = QMatMulBlocks<C, FastTiles<C>>});
  out.push_back({.op = &kQMatMul,
                 .name = KernelName<"qmatmul.", typename C::Block>(),
                 .supports =
                     [](const Graph& graph, const Node& node) {
                       return SupportsBlocks<C>(graph, node, DType::kF32);
                     },
                 .strided = 1,
                 .tasks = BlockTasks,
                 .task_ns = BlockTaskNs<C, false>,
                 .scratch_bytes = Scratch,
                 .run = QMatMulBlocks<C, ExactTiles<C>>});
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_MATMUL_INL_H_
