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

#include "backends/cpu/kernels/epilogue-inl.h"
#include "backends/cpu/quant/dot-inl.h"
#include "backends/cpu/quant/exact_token-inl.h"
#include "backends/cpu/quant/token-inl.h"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kTaskRows = 32;
static_assert(kTaskRows % kLanes == 0);

// Groups that are unpacked before tokens pass by. One token uses each code
// once, so its panels should not leave L1; many tokens want few passes over y
// and few calls: 8 groups of two 16-row panels are 80 KB, in L2, from where
// tiles are no slower than from L1 (Zen 4, 2 x 6, q4_k, one thread, GOP/s: 8
// groups 357, 6 351, 4 351, 2 326, 1 329).
constexpr int kGroupsForMany = 8;

// Up to so many tokens, codes of packed rows go from registers into products
// (token-inl.h). Panels are worth their stores from there on: Zen 4, 16 tokens,
// from registers and from panels, GOP/s: q4_k 313, 293, q8_0 239, 180; 32
// tokens: 323, 329 and 258, 305; AVX2, 8 tokens: 174, 183 and 105, 67. SSE2 and
// AVX-512 without VNNI, of few machines, do with the code of one token: 0.4 MB
// less of a library.
#if HWY_TARGET <= HWY_AVX3_DL || HWY_ARCH_ARM
constexpr int kFewTokens = 16;
#elif HWY_TARGET == HWY_AVX2
constexpr int kFewTokens = 7;
#else
constexpr int kFewTokens = 1;
#endif

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

template <class C>
constexpr size_t kGroupBytes =
    sizeof(typename C::Block) * (kGroupSize / C::Block::kCount);

// Tokens whose sums are kept in scratch while a task's groups pass by. In the
// result they lie a row apart, often a power of two, which caches hold few of.
constexpr int64_t kTokenChunk = 512;

// Scratch of one worker.
template <class C>
struct MatMulScratch {
  alignas(64) float y[kTokenChunk][kTaskRows];
  // Where the last rows of a matrix, fewer than a panel has, find company.
  alignas(64) uint8_t rows[kLanes * kGroupBytes<C>];
  Panel<C> panels[kTilePanels * kGroupsForMany];
};

// One call's operands.
struct MatMulArgs {
  const View* w;
  const View* x;
  const View* y;
  AskOrder ask_order = AskOrder::kNever;
  bool packed() const { return IsPacked(w->dtype); }
  // A tile wants tokens at one distance: so they are in a dense tensor and in a
  // slice of a matrix, not in a permuted one of higher rank.
  bool even() const { return x->dense || x->rank <= 2; }
  int64_t k() const { return w->dim(1); }
  int groups() const {
    return static_cast<int>((k() + kGroupSize - 1) / kGroupSize);
  }
  int64_t rows_from(int64_t row) const {
    return std::min(kTaskRows, w->dim(0) - row);
  }
  template <class Block>
  int blocks_of(int group) const {
    constexpr int kBlocks = kGroupSize / Block::kCount;
    return static_cast<int>(
        std::min<int64_t>(kBlocks, k() / Block::kCount - group * kBlocks));
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

// The packed panel that begins at row `row`.
HWY_INLINE PackedRows<> PackedPanel(const MatMulArgs& m, int64_t row) {
  const int64_t lane = row % kPackedRows;
  return {reinterpret_cast<const uint8_t*>(m.w->Row(row - lane)),
          static_cast<size_t>(lane)};
}

// Unpacks group g of the panel that begins at row `row`, into a Panel or what
// is written like one.
template <class C, class P>
HWY_NOINLINE void UnpackPanel(const MatMulArgs& m, int64_t row, int g,
                              uint8_t* rows_copy, P& out) {
  using Block = typename C::Block;
  const auto stride = static_cast<size_t>(m.w->stride(0));
  const size_t offset = static_cast<size_t>(g) * kGroupBytes<C>;
  const int blocks = m.blocks_of<Block>(g);
  if (m.packed()) return C::Unpack(PackedPanel(m, row).At(offset), blocks, out);
  const auto* data = reinterpret_cast<const uint8_t*>(m.w->Row(row));
  const int64_t rows = m.w->dim(0) - row;
  if (rows >= kLanes) {
    C::Unpack(Rows{data + offset, stride}, blocks, out);
    return;
  }
  const size_t bytes = static_cast<size_t>(blocks) * sizeof(Block);
  std::memset(rows_copy, 0, kLanes * kGroupBytes<C>);
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(rows_copy + static_cast<size_t>(r) * kGroupBytes<C>,
                data + static_cast<size_t>(r) * stride + offset, bytes);
  C::Unpack(Rows{rows_copy, kGroupBytes<C>}, blocks, out);
}

// Sub-blocks of group g that hold columns.
template <class C>
HWY_INLINE int SubsOf(const MatMulArgs& m, int g) {
  const int64_t left = m.k() - static_cast<int64_t>(g) * kGroupSize;
  return static_cast<int>(std::min<int64_t>(kGroupSize, left) / C::kSub);
}

// Packed rows that the next panels are unpacked from: they are on their way
// while tiles of tokens pass by.
class Ahead {
 public:
  // kR panels that follow group `done` of those from row `row` on, `count`
  // tokens meanwhile.
  template <class C, int kR>
  void Set(const MatMulArgs& m, int64_t row, int done, int64_t count) {
    lines_ = 0, tokens_ = count;
    if (!m.packed() || kR * kLanes < kPackedRows) return;
    int groups = m.groups() - done;
    if (groups == 0) {
      row += kR * kLanes, done = 0, groups = m.groups();
      if (row + kR * kLanes > m.w->dim(0)) return;
    }
    constexpr size_t kBytes = kPackedRows * kGroupBytes<C>;
    stride_ = static_cast<size_t>(kPackedRows * m.w->stride(0));
    at_ = reinterpret_cast<const uint8_t*>(m.w->Row(row)) +
          static_cast<size_t>(done) * kBytes;
    lines_ =
        static_cast<int64_t>(kBytes) * std::min(groups, kGroupsForMany) / 64;
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
  int64_t lines_ = 0, tokens_ = 0;  // still to be asked for, still to pass by
};

// AskOrder::kInOrder: the first line of each page kPagesAhead, all lines
// kLinesAhead (PackedRows::Ask). GB/s of rows in memory, Zen 5, AVX-512, two
// threads (one), without the first lines, which is best with lines 32 KB ahead
// | with them: q4_k 56 (29) | 60 (32), q5_k 58 (30) | 63 (33), q6_k 63 (32) |
// 67 (35), q8_0 45 (23) | 66 (35), where plain reads give 55 to 63 (38) with
// four streams. Three lines of each page: the same, q8_0 58. Three places read
// by turns instead: q4_k as much, q6_k 53. Tokens/s: README.md.
template <class C>
HWY_INLINE void AskForPagesOf(const uint8_t* packed, AskOrder order) {
  constexpr size_t kPagesAhead = 2 * kLinesAhead;
  if (order == AskOrder::kInOrder)
    AskForPages(packed + kPagesAhead, kPackedRows * kGroupBytes<C>);
}

// What one kind of activations does with unpacked panels.
template <class C, Dots kDots>
struct FastTiles {
#if !HWY_HAVE_SCALABLE && !HWY_TARGET_IS_SVE
  static constexpr int64_t kFew = kFewTokens;
  // Whether 8 tokens share what is unpacked: where there are 32 registers.
  static constexpr bool kEight = kFewTokens >= 8;
  static constexpr bool kFour = kFewTokens >= 4;

  // kT tokens from t on times group g of the 16 packed rows at `packed`.
  template <int kT>
  static HWY_NOINLINE void RunGroup(const MatMulArgs& m, const uint8_t* packed,
                                    int g, int64_t t, float* y) {
    constexpr size_t kPanels = kPackedRows / kLanes;
    const DF32 df;
    const auto* x = m.x->template RowAs<const Activations<C>>(t) + g;
    const auto x_stride =
        static_cast<size_t>(kT > 1 ? m.x->Row(t + 1) - m.x->Row(t) : 0);
    const int blocks = m.template blocks_of<typename C::Block>(g);
    for (size_t p = 0; p < kPanels; ++p) {
      TokenGroup<C, kDots, kT> group;
      group.Set(x, x_stride);
      HWY_UNROLL(8)
      for (int i = 0; i < kT; ++i)
        group.y[i] = g == 0 ? hn::Zero(df)
                            : hn::LoadU(df, y + i * kTaskRows + p * kLanes);
      constexpr Ask kAsk = kT > 1 ? Ask::kFew : Ask::kOne;
      C::Unpack(PackedRows<kAsk>{packed, p * kLanes, m.ask_order}, blocks,
                group);
      group.EndGroup();
      HWY_UNROLL(8)
      for (int i = 0; i < kT; ++i)
        hn::StoreU(group.y[i], df, y + i * kTaskRows + p * kLanes);
    }
  }

  // All tokens times the 16 packed rows from `row` on: group by group, so that
  // all of them, and panels of fewer rows, find the lines of a group in L1.
  static HWY_INLINE void RunFew(const MatMulArgs& m, int64_t row, float* y) {
    const int64_t tokens = m.x->rows();
    const auto* packed = reinterpret_cast<const uint8_t*>(m.w->Row(row));
    for (int g = 0; g < m.groups();
         ++g, packed += kPackedRows * kGroupBytes<C>) {
      // Few tokens of q8_0, of which each group has a page to begin, gain too:
      // 8 tokens 250 -> 290 tokens/s. Others lose: q4_k 360 -> 280, q6_k 285 ->
      // 268.
      if (tokens == 1 || kPackedRows * kGroupBytes<C> > kPage)
        AskForPagesOf<C>(packed, m.ask_order);
      for (int64_t t = 0; t < tokens;) {
        const int64_t left = m.even() ? tokens - t : 1;
        float* to = y + t * kTaskRows;
        if (kEight && left >= 8) {
          RunGroup<kEight ? 8 : 1>(m, packed, g, t, to), t += 8;
        } else if (kFour && left >= 4) {
          RunGroup<kFour ? 4 : 1>(m, packed, g, t, to), t += 4;
        } else if (kFour && left >= 2) {
          RunGroup<kFour ? 2 : 1>(m, packed, g, t, to), t += 2;
        } else {
          RunGroup<1>(m, packed, g, t, to), t += 1;
        }
      }
    }
  }
#else
  static constexpr int64_t kFew = 0;
#endif
  // kT tokens from t on times kR panels of groups [g, g + groups).
  template <int kR, int kT>
  static HWY_INLINE void Run(const MatMulArgs& m, const Panel<C>* panels, int g,
                             int groups, int last_subs, int64_t t, Ahead& ahead,
                             float* y) {
    TileArgs<C> a;
    ahead.Take(groups, kT, a.ahead, a.ahead_stride, a.ahead_lines);
    a.panels = panels;
    a.panel_stride = kGroupsForMany;
    a.groups = groups;
    a.last_subs = last_subs;
    a.x = m.x->template RowAs<const Activations<C>>(t) + g;
    a.x_stride =
        static_cast<size_t>(kT > 1 ? m.x->Row(t + 1) - m.x->Row(t) : 0);
    a.y = y;
    a.y_stride = kTaskRows;
    a.first = g == 0;
    DotTile<C, kDots, kR, kT>(a);
  }

  // At most `left` tokens; returns how many.
  template <int kR>
  static HWY_INLINE int RunSome(const MatMulArgs& m, const Panel<C>* panels,
                                int g, int groups, int last_subs, int64_t t,
                                int64_t left, Ahead& ahead, float* y) {
    if constexpr (kTileTokens >= 6 && kR == kTilePanels) {
      if (left >= 6) {
        Run<kR, 6>(m, panels, g, groups, last_subs, t, ahead, y);
        return 6;
      }
    }
    if constexpr (kTileTokens >= 4) {
      if (left >= 4) {
        Run<kR, 4>(m, panels, g, groups, last_subs, t, ahead, y);
        return 4;
      }
      if (left >= 2 && kR == kTilePanels) {
        Run<kR, kR == kTilePanels ? 2 : 1>(m, panels, g, groups, last_subs, t,
                                           ahead, y);
        return 2;
      }
    }
    Run<kR, 1>(m, panels, g, groups, last_subs, t, ahead, y);
    return 1;
  }
};

template <class C>
struct ExactTiles {
#if !HWY_HAVE_SCALABLE && !HWY_TARGET_IS_SVE
  static constexpr int64_t kFew = 1;

  // One token times the 16 packed rows from `row` on, as FastTiles does.
  static HWY_NOINLINE void RunFew(const MatMulArgs& m, int64_t row, float* y) {
    constexpr size_t kPanels = kPackedRows / kLanes;
    const DF32 df;
    const auto* x = m.x->template RowAs<const float>(0);
    PackedRows<Ask::kOne> rows = {
        reinterpret_cast<const uint8_t*>(m.w->Row(row)), 0, m.ask_order};
    for (size_t p = 0; p < kPanels; ++p)
      hn::StoreU(hn::Zero(df), df, y + p * kLanes);
    for (int g = 0; g < m.groups(); ++g, rows = rows.At(kGroupBytes<C>)) {
      AskForPagesOf<C>(rows.data, m.ask_order);
      const int blocks = m.template blocks_of<typename C::Block>(g);
      const int subs = SubsOf<C>(m, g);
      for (size_t p = 0; p < kPanels; ++p) {
        ExactGroup<C> group(x + g * kGroupSize);
        rows.lane = p * kLanes;
        C::Unpack(rows, blocks, group);
        float* sums = y + p * kLanes;
        hn::StoreU(group.AddTo(hn::LoadU(df, sums), subs), df, sums);
      }
    }
  }
#else
  static constexpr int64_t kFew = 0;
#endif
  template <int kT>
  static HWY_INLINE void Run(const MatMulArgs& m, const Panel<C>* panel, int g,
                             int groups, int last_subs, int64_t t, float* y) {
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
    a.y_stride = kTaskRows;
    a.first = g == 0;
    ExactTile<C, kT>(a);
  }

  template <int kR>
  static HWY_INLINE int RunSome(const MatMulArgs& m, const Panel<C>* panels,
                                int g, int groups, int last_subs, int64_t t,
                                int64_t left, Ahead&, float* y) {
    const int tokens = left >= kExactTokens ? kExactTokens : 1;
    for (int r = 0; r < kR; ++r) {
      const Panel<C>* panel = panels + r * kGroupsForMany;
      float* to = y + r * kLanes;
      if (tokens == kExactTokens) {
        Run<kExactTokens>(m, panel, g, groups, last_subs, t, to);
      } else {
        Run<1>(m, panel, g, groups, last_subs, t, to);
      }
    }
    return tokens;
  }
};

// Panels kR from row `row` on, all columns, tokens [first, first + count), to
// column `at` of the scratch's y.
template <class C, class Tiles, int kR>
void MultiplyPanels(const MatMulArgs& m, int64_t row, int64_t at, int64_t first,
                    int64_t count, MatMulScratch<C>& scratch) {
  const int groups = m.groups();
  const int step = m.x->rows() == 1 ? 1 : kGroupsForMany;
  for (int g = 0; g < groups; g += step) {
    const int n = std::min(step, groups - g);
    for (int r = 0; r < kR; ++r)
      for (int i = 0; i < n; ++i) {
        const int64_t from = row + r * kLanes;
        if (!m.packed()) PrefetchNextTask(m, from, g + i);
        UnpackPanel<C>(m, from, g + i, scratch.rows,
                       scratch.panels[r * kGroupsForMany + i]);
      }
    const int last_subs = SubsOf<C>(m, g + n - 1);
    Ahead ahead;
    ahead.Set<C, kR>(m, row, g + n, count);
    for (int64_t t = 0; t < count;)
      t += Tiles::template RunSome<kR>(m, scratch.panels, g, n, last_subs,
                                       first + t, m.even() ? count - t : 1,
                                       ahead, &scratch.y[t][at]);
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

template <class C, class Tiles>
void QMatMulBlocks(const KernelArgs& a, int64_t begin, int64_t end) {
  const MatMulArgs m = {&a.in[1], &a.in[0], &a.out[0], a.ask_order};
  auto& scratch = *reinterpret_cast<MatMulScratch<C>*>(a.scratch);
  const int64_t tokens = m.x->rows();
  const bool may_stream = MayStream(a);
  for (int64_t row = begin * kTaskRows;
       row < std::min(m.w->dim(0), end * kTaskRows); row += kTaskRows) {
    for (int64_t first = 0; first < tokens; first += kTokenChunk) {
      const int64_t count = std::min(kTokenChunk, tokens - first);
      if constexpr (Tiles::kFew > 0) {
        if (tokens <= Tiles::kFew && m.packed()) {
          for (int64_t at = 0; at < m.rows_from(row); at += kPackedRows)
            Tiles::RunFew(m, row + at, &scratch.y[0][at]);
          StoreRows(m, row, m.rows_from(row), 0, tokens, scratch.y[0],
                    kTaskRows);
          continue;
        }
      }
      for (int64_t at = 0; at < m.rows_from(row); at += kTilePanels * kLanes) {
        if (m.rows_from(row) - at > (kTilePanels - 1) * kLanes) {
          MultiplyPanels<C, Tiles, kTilePanels>(m, row + at, at, first, count,
                                                scratch);
        } else {
          MultiplyPanels<C, Tiles, 1>(m, row + at, at, first, count, scratch);
        }
      }
      StoreRows(m, row, m.rows_from(row), first, count, scratch.y[0], kTaskRows,
                may_stream);
    }
  }
  hwy::FlushStream();
  AddBiasAndActivate(a, begin * kTaskRows,
                     std::min(m.w->dim(0), end * kTaskRows));
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_MATMUL_INL_H_
