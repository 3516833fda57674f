// y = activation(x w^T + bias) for weights of integer codes: the loops around
// the tiles of dot_tile-inl.h and exact-inl.h. Per-target code.
//
// A task is 32 rows of w. Its panels are unpacked, a few groups at a time,
// into scratch that stays in cache while all tokens pass by.
#if defined(WEFT_BACKENDS_CPU_QUANT_MATMUL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_MATMUL_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_MATMUL_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_MATMUL_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/kernels/epilogue-inl.h"
#include "backends/cpu/quant/dot_tile-inl.h"
#include "backends/cpu/quant/exact-inl.h"
#include "backends/cpu/quant/few_tokens-inl.h"
#include "backends/cpu/quant/operands-inl.h"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// Groups that are unpacked before tokens pass by. Many tokens want few passes
// over y and few calls: 8 groups of two 16-row panels are 80 KB, in L2, from
// where tiles are no slower than from L1 (Zen 4, 2 x 6, q4_k, one thread,
// GOP/s: 8 groups 357, 6 351, 4 351, 2 326, 1 329). Unpacking is, and few
// tokens feel it: Emerald Rapids without tile registers, two threads, 32 tokens
// of q4_k, q6_k, q8_0: with one group 1.18, 1.11, 1.09 times as fast as with 8,
// with two 1.16, 1.02, 1.07 (AVX2 1.03, 0.98, 1.0 and 1.05, 0.98, 1.03); 64
// tokens, whole model, 1.06, 1.04, 1.02; 128 tokens the same.
constexpr int kGroupsForMany = 8;
constexpr int64_t kTokensOfOneGroup = 64;
HWY_INLINE int GroupsAtOnce(int64_t tokens) {
  return tokens <= kTokensOfOneGroup ? 1 : kGroupsForMany;
}

// Panels of a tile and tokens of the largest one; smaller tiles take what is
// left. 32 registers: 2 panels x 6 tokens are 12 sums of sub-blocks and 12 of
// groups. 16 registers hold the sums of 2 x 4 sub-blocks; those of groups wait
// in memory (q4_k on AVX2: 241 GOP/s; 1 x 4 205, 2 x 6 224, 4 x 4 208).
#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
constexpr int kTilePanels = 1;
constexpr int kTileTokens = 1;
#elif HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr int kTilePanels = 2;
constexpr int kTileTokens = 6;
#else
constexpr int kTilePanels = 2;
constexpr int kTileTokens = 4;
#endif

// Tokens whose sums are kept in scratch while a task's groups pass by. In the
// result they lie a row apart, often a power of two, which caches hold few of.
constexpr int64_t kTokenChunk = 512;

// Scratch of one worker.
struct alignas(64) MatMulScratch {
  float y[kTokenChunk][kTaskRows];
  // Where the last rows of a matrix, fewer than a panel has, find company.
  uint8_t rows[kLanes * kMostGroupBytes];

  // Behind all that: [kTilePanels][kGroupsForMany] panels of a format's form.
  uint8_t* panels() { return reinterpret_cast<uint8_t*>(this + 1); }
  static constexpr size_t Bytes(size_t panel_bytes) {
    return sizeof(MatMulScratch) + kTilePanels * kGroupsForMany * panel_bytes;
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
  constexpr int64_t kRows = kTilePanels * kLanes;
  const int64_t in_task = row % kTaskRows;
  const auto share =
      static_cast<size_t>((in_task / kRows * m.groups() + g) * kTilePanels +
                          in_task % kRows / kLanes);
  const auto shares = static_cast<size_t>(m.groups() * (kTaskRows / kLanes));
  const size_t stream =
      static_cast<size_t>(kTaskRows * m.w->stride(0)) / kStreams;
  const size_t bytes = (stream + shares - 1) / shares;
  const auto* next =
      reinterpret_cast<const uint8_t*>(m.w->Row(row - in_task + kTaskRows));
  for (size_t at = share * bytes; at < (share + 1) * bytes; at += 64)
    for (size_t s = 0; s < kStreams; ++s) hwy::Prefetch(next + s * stream + at);
}

// Packed rows that the next panels are unpacked from: they are on their way
// while tiles of tokens pass by.
class Ahead {
 public:
  // `panels` that follow group `done` of those from row `row` on, whose groups
  // have `group_bytes` a row; `count` tokens meanwhile.
  Ahead(const MatMulArgs& m, int panels, size_t group_bytes, int64_t row,
        int done, int64_t count)
      : tokens_(count) {
    const int rows = panels * kLanes;
    if (!m.packed() || rows < static_cast<int>(kPackedRows)) return;
    int groups = m.groups() - done;
    if (groups == 0) {
      row += rows, done = 0, groups = m.groups();
      if (row + rows > m.w->dim(0)) return;
    }
    const size_t bytes = kPackedRows * group_bytes;
    stride_ = static_cast<size_t>(kPackedRows * m.w->stride(0));
    at_ = reinterpret_cast<const uint8_t*>(m.w->Row(row)) +
          static_cast<size_t>(done) * bytes;
    lines_ = static_cast<int64_t>(bytes) *
             std::min(groups, GroupsAtOnce(count)) / 64;
  }
  // The share of a tile of so many groups and tokens.
  void Take(int groups, int tokens, const uint8_t*& at, size_t& stride,
            int& lines) {
    at = at_, stride = stride_;
    const int64_t share = (lines_ * tokens + tokens_ - 1) / tokens_;
    lines = static_cast<int>((share + groups - 1) / groups);
    at_ += 64 * static_cast<size_t>(lines * groups);
    lines_ = std::max<int64_t>(0, lines_ - int64_t{lines} * groups);
    tokens_ -= tokens;
  }

 private:
  const uint8_t* at_ = nullptr;
  size_t stride_ = 0;
  int64_t lines_ = 0, tokens_;  // still to be asked for, still to pass by
};

// Panels of groups [g, g + groups) and the tokens [first, first + count) that
// pass by.
struct PanelTokens {
  const MatMulArgs& m;
  const void* panels;  // [kR][kGroupsForMany], of the form that is multiplied
  int g, groups;
  int last_subs;     // sub-blocks of the last group that hold columns
  int bias;          // taken off each code
  int narrow_reach;  // of TileArgs
  int64_t first, count;
  float* y;  // [count][kTaskRows]
  Ahead ahead;

  // Tokens from the `t`th on that lie at one distance.
  int64_t left(int64_t t) const { return m.even() ? count - t : 1; }
};

// Panels of the form F times 8-bit activations; kRun: as of DotTile.
template <class F, Dots kDots, int kRun>
struct FastTiles {
  template <int kR>
  static HWY_NOINLINE void Multiply(PanelTokens& a) {
    for (int64_t t = 0; t < a.count;) t += RunSome<kR>(a, t, a.left(t));
  }

 private:
  // kT tokens from the `t`th on.
  template <int kR, int kT>
  static HWY_INLINE int Run(PanelTokens& a, int64_t t) {
    const View& x = *a.m.x;
    TileArgs<F> tile;
    a.ahead.Take(a.groups, kT, tile.ahead, tile.ahead_stride, tile.ahead_lines);
    tile.panels = static_cast<const Panel<F>*>(a.panels);
    tile.panel_stride = kGroupsForMany;
    tile.groups = a.groups;
    tile.last_subs = a.last_subs;
    tile.bias = a.bias;
    tile.narrow_reach = a.narrow_reach;
    const int64_t row = a.first + t;
    tile.x = x.RowAs<const Activations<F>>(row) + a.g;
    tile.x_stride =
        static_cast<size_t>(kT > 1 ? x.Row(row + 1) - x.Row(row) : 0);
    tile.y = a.y + t * kTaskRows;
    tile.y_stride = kTaskRows;
    tile.first = a.g == 0;
    DotTile<F, kDots, kRun, kR, kT>(tile);
    return kT;
  }

  // At most `left` tokens; returns how many.
  template <int kR>
  static HWY_INLINE int RunSome(PanelTokens& a, int64_t t, int64_t left) {
    if constexpr (kTileTokens >= 6 && kR == kTilePanels)
      if (left >= 6) return Run<kR, 6>(a, t);
    if constexpr (kTileTokens >= 4) {
      if (left >= 4) return Run<kR, 4>(a, t);
      if constexpr (kR == kTilePanels)
        if (left >= 2) return Run<kR, 2>(a, t);
    }
    return Run<kR, 1>(a, t);
  }
};

// The same with f32 activations.
template <class F>
struct ExactTiles {
  template <int kR>
  static HWY_NOINLINE void Multiply(PanelTokens& a) {
    const auto* panels = static_cast<const Panel<F>*>(a.panels);
    for (int64_t t = 0; t < a.count;) {
      const bool several = a.left(t) >= kExactTokens;
      for (int r = 0; r < kR; ++r) {
        const Panel<F>* panel = panels + r * kGroupsForMany;
        float* y = a.y + t * kTaskRows + r * kLanes;
        several ? Run<kExactTokens>(a, panel, t, y) : Run<1>(a, panel, t, y);
      }
      t += several ? kExactTokens : 1;
    }
  }

 private:
  template <int kT>
  static HWY_INLINE void Run(const PanelTokens& a, const Panel<F>* panel,
                             int64_t t, float* y) {
    const auto x = [&](int64_t i) HWY_ATTR {
      return a.m.x->RowAs<const float>(a.first + i);
    };
    ExactArgs<F> tile;
    tile.panel = panel;
    tile.groups = a.groups;
    tile.last_subs = a.last_subs;
    tile.bias = a.bias;
    tile.x = x(t) + a.g * kGroupSize;
    tile.x_stride = static_cast<size_t>(kT > 1 ? x(t + 1) - x(t) : 0);
    tile.y = y;
    tile.y_stride = kTaskRows;
    tile.first = a.g == 0;
    ExactTile<F, kT>(tile);
  }
};

// One format and one kind of arithmetic, as the loops below see them: pointers,
// not template arguments, since each call is worth thousands of products.
struct BlockRoutines {
  size_t group_bytes;  // of a row's group as it is stored
  size_t panel_bytes;
  int sub;                 // columns of a sub-block
  int bias, narrow_reach;  // of PanelTokens
  // UnpackPanel.
  void (*unpack)(const MatMulArgs& m, int64_t row, int g, uint8_t* rows_copy,
                 void* panel);
  // By one and by kTilePanels panels at a time.
  void (*multiply_one)(PanelTokens& a);
  void (*multiply)(PanelTokens& a);
  // Up to so many tokens times packed rows need no panel; 16 from `row` on.
  int64_t few;
  void (*run_few)(const MatMulArgs& m, int64_t row, float* y);
};

// Panels from row `row` on, as many as are in a tile or one, all columns,
// tokens [first, first + count), to column `at` of the scratch's y.
inline HWY_NOINLINE void MultiplyPanels(const BlockRoutines& f, int panels,
                                        const MatMulArgs& m, int64_t row,
                                        int64_t at, int64_t first,
                                        int64_t count, MatMulScratch& scratch) {
  const int groups = m.groups();
  const int step = GroupsAtOnce(count);
  for (int g = 0; g < groups; g += step) {
    const int n = std::min(step, groups - g);
    for (int r = 0; r < panels; ++r)
      for (int i = 0; i < n; ++i) {
        const int64_t from = row + r * kLanes;
        const auto place = static_cast<size_t>(r * kGroupsForMany + i);
        if (!m.packed()) PrefetchNextTask(m, from, g + i);
        f.unpack(m, from, g + i, scratch.rows,
                 scratch.panels() + place * f.panel_bytes);
      }
    PanelTokens a = {
        .m = m,
        .panels = scratch.panels(),
        .g = g,
        .groups = n,
        .last_subs = m.subs_of(g + n - 1, f.sub),
        .bias = f.bias,
        .narrow_reach = f.narrow_reach,
        .first = first,
        .count = count,
        .y = &scratch.y[0][at],
        .ahead = Ahead(m, panels, f.group_bytes, row, g + n, count)};
    (panels > 1 ? f.multiply : f.multiply_one)(a);
  }
}

// Results of so many tokens and bytes are larger than caches and are written
// past them: no line is read first (Zen 4, q4_k, 512 tokens, two threads: 695
// -> 715 GOP/s). Few bytes are scratch of another kernel.
constexpr int64_t kStreamTokens = 128;
constexpr int64_t kStreamBytes = 1 << 20;

// Whether StoreRows() may: the call writes enough and does not read it again.
HWY_INLINE bool MayStream(const KernelArgs& a) {
  return !HasEpilogue(a) && a.in[0].rows() >= kStreamTokens &&
         a.out[0].elements() * int64_t{sizeof(float)} >= kStreamBytes;
}

// `rows` sums of each of the tokens [first, first + count), which lie `stride`
// apart in scratch, to the result; past the caches if they `may_stream`.
HWY_INLINE void StoreRows(const MatMulArgs& m, int64_t row, int64_t rows,
                          int64_t first, int64_t count, const float* from,
                          int64_t stride, bool may_stream = false) {
  const DF32 df;
  const bool full = rows == kTaskRows && may_stream;
  for (int64_t t = 0; t < count; ++t, from += stride) {
    float* to = m.y->RowAs<float>(first + t) + row;
    if (full && reinterpret_cast<uintptr_t>(to) % 64 == 0) {
      for (int64_t i = 0; i < kTaskRows; i += kLanes)
        hn::Stream(hn::Load(df, from + i), df, to + i);
    } else {
      std::copy_n(from, rows, to);
    }
  }
}

// The kernel's run(): tasks [begin, end).
inline HWY_NOINLINE void RunBlocks(const BlockRoutines& f, const KernelArgs& a,
                                   int64_t begin, int64_t end) {
  const MatMulArgs m = {&a.in[1], &a.in[0], &a.out[0], a.ask_order};
  auto& scratch = *reinterpret_cast<MatMulScratch*>(a.scratch);
  const int64_t tokens = m.x->rows();
  const bool may_stream = MayStream(a);
  const bool few = tokens <= f.few && m.packed();
  for (int64_t row = begin * kTaskRows;
       row < std::min(m.w->dim(0), end * kTaskRows); row += kTaskRows) {
    const int64_t rows = m.rows_from(row);
    if (few) {
      for (int64_t at = 0; at < rows; at += kPackedRows)
        f.run_few(m, row + at, &scratch.y[0][at]);
      StoreRows(m, row, rows, 0, tokens, scratch.y[0], kTaskRows);
      continue;
    }
    for (int64_t first = 0; first < tokens; first += kTokenChunk) {
      const int64_t count = std::min(kTokenChunk, tokens - first);
      for (int64_t at = 0; at < rows; at += kTilePanels * kLanes) {
        const bool whole = rows - at > (kTilePanels - 1) * kLanes;
        MultiplyPanels(f, whole ? kTilePanels : 1, m, row + at, at, first,
                       count, scratch);
      }
      StoreRows(m, row, rows, first, count, scratch.y[0], kTaskRows,
                may_stream);
    }
  }
  hwy::FlushStream();
  AddBiasAndActivate(a, begin * kTaskRows,
                     std::min(m.w->dim(0), end * kTaskRows));
}

template <class C>
int64_t BlocksScratch(const KernelArgs&) {
  return int64_t{MatMulScratch::Bytes(sizeof(Panel<Form<C>>))};
}

// Format C: panels times tokens by Tiles, up to kFew of them by Few.
template <class C, class Tiles, class Few, int kFew>
constexpr BlockRoutines RoutinesOf(int bias, int narrow_reach) {
  using P = Panel<Form<C>>;
  return {.group_bytes = kGroupBytes<C>,
          .panel_bytes = sizeof(P),
          .sub = C::kSub,
          .bias = bias,
          .narrow_reach = narrow_reach,
          .unpack = UnpackPanel<C, P>,
          .multiply_one = Tiles::template Multiply<1>,
          .multiply = Tiles::template Multiply<kTilePanels>,
          .few = kFew,
          .run_few = RunFewOf<Few, kFew>()};
}

template <class C, Dots kDots>
void QMatMulFast(const KernelArgs& a, int64_t begin, int64_t end) {
  constexpr int kRun = kPairs<kDots> ? std::min(C::kSub / 4, kPairRun<C>) : 0;
  static constexpr BlockRoutines kRoutines =
      RoutinesOf<C, FastTiles<Form<C>, kDots, kRun>, FastFew<C, kDots>,
                 FewTokensOf<C>()>(kDotBias<C, kDots>, kNarrowReach<C, kDots>);
  RunBlocks(kRoutines, a, begin, end);
}

template <class C>
void QMatMulExact(const KernelArgs& a, int64_t begin, int64_t end) {
  static constexpr BlockRoutines kRoutines =
      RoutinesOf<C, ExactTiles<Form<C>>, ExactFew<C>, kFewExactTokens>(
          kBias<C>, /*narrow_reach=*/0);
  RunBlocks(kRoutines, a, begin, end);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_MATMUL_INL_H_
