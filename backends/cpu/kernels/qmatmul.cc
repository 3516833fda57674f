// y = activation(x w^T + bias), w as stored, activations f32, or bf16 where w
// is.
//
// Each output is one dot product with one vector accumulator over k in order,
// summed across lanes at the end: the same for every tile of tokens and rows,
// so that results do not depend on chunking or threads.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/qmatmul.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "backends/cpu/decode-inl.h"
#include "backends/cpu/kernel_name.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/epilogue-inl.h"
#include "backends/cpu/kernels/lane_sums-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "hwy/cache_control.h"
#include "ops/fused.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Rows of w per task. For one token: small, so that two workers finish
// together. For many: 64 rows of 2048 values of f16 are 256 KB, which stay in
// L2 while the tokens pass by; each tile of tokens meets 64 rows.
constexpr int64_t kRowsForOneToken = 16;
constexpr int64_t kRowsForMany = 64;

// Rows whose sums are held in registers, times tokens: 6 of f32, 4 of pairs of
// bf16, which are two vectors each where they are floats. 32 registers
// (AVX-512, NEON): 24 sums, 4 weights, 1 activation. 16 registers: 12 sums, 2
// weights. SVE vectors cannot stand in arrays: one sum at a time.
//
// A weight of f16 is converted once for all tokens of a tile, which takes
// Intel's CPUs as long as 2 to 3 products (Emerald Rapids, this kernel alone,
// two threads, 8 to 512 tokens, 6 tokens instead of 4: f16 1.03 to 1.11 times
// as fast with AVX-512, 1.02 to 1.14 with AVX2; f32 1.06, 1.0; not measured on
// other CPUs). Tried besides, 512 columns of rows unpacked to f32 for 96
// tokens: f16 1.06 to 1.27 times from 128 tokens on, f32 and bf16 1.0, 8 and 16
// tokens slower: not worth 190 lines.
#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
constexpr int kTileRows = 1;
template <class X>
constexpr int kTileTokens = 1;
#else
constexpr int kTileRows = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM ? 4 : 2;
template <class X>
constexpr int kTileTokens = std::is_same_v<X, BlockBF16> ? 4 : 6;
#endif
// Rows for one token: each has one chain of additions to wait for (AVX2: 10.5
// tokens/s with 2, 13.2 with 4).
#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
constexpr int kTokenRows = 1;
#else
constexpr int kTokenRows = 4;
#endif
// Where rows are short, as many as a vector has lanes: adding up the lanes
// takes as long as the products then, and does all of them at once. (Rows of
// 64, a token: see README.md. Of long rows 16 streams at once are more than
// prefetchers follow.)
#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
constexpr int kShortRows = 1;
#else
constexpr int kShortRows = kFloatLanes;
#endif
constexpr int64_t kShortRow = 256;

// Whether one token asks for the rows that follow where memory's own
// prefetchers keep up (TinyLlama's shape in BF16 on Zen 4, tokens/s: AVX2
// without 13.2, with 15.4; AVX-512 15.7 and 14.6).
constexpr bool kAsksForRows = HWY_TARGET == HWY_AVX2;
// Elsewhere so many bytes ahead, whatever the AskOrder: its rows are places
// that are read side by side anyway. Zen 5 with AVX-512: F16 12.9 -> 16.0 at 16
// KB, 15.0 at 32; BF16 19, 18.
constexpr int64_t kBytesAhead = 16384;

// What a tile multiplies.
struct Operands {
  const std::byte* w;  // first row of the tile
  int64_t w_stride;    // bytes
  const std::byte* x;  // first token of the tile
  int64_t x_stride;    // bytes
  int64_t k;           // length of a row
  int64_t ahead = 0;   // bytes ahead of which one token asks; 0: it does not
};

#if !HWY_HAVE_SCALABLE && !HWY_TARGET_IS_SVE

using DBits = hn::Repartition<uint16_t, DF>;

// The first n <= Lanes(DBits()) values, zero beyond.
HWY_INLINE hn::Vec<DBits> LoadBits(const BlockBF16* p, int64_t n) {
  const DBits d;
  const auto* from = reinterpret_cast<const uint16_t*>(p);
  return n == static_cast<int64_t>(hn::Lanes(d))
             ? hn::LoadU(d, from)
             : hn::LoadN(d, from, static_cast<size_t>(n));
}

// Lanes(DBits()) values of bf16 as the dot product takes them: two neighbours
// to a lane. Constructors are written out, since those that compilers add are
// not of this target.
class DotPairs {
 public:
  HWY_INLINE DotPairs() {}
  HWY_INLINE void Load(const BlockBF16* p, int64_t n) {
    bits_ = LoadBits(p, n);
  }
  HWY_INLINE VF AddProducts(const DotPairs& x, VF sum) const {
    const hn::Repartition<hwy::bfloat16_t, DF> d;
    auto unused = hn::Zero(DF());
    return hn::ReorderWidenMulAccumulate(DF(), hn::BitCast(d, bits_),
                                         hn::BitCast(d, x.bits_), sum, unused);
  }

 private:
  hn::Vec<DBits> bits_;
};

// The same without that instruction, as floats: those of even columns and those
// of odd ones.
class FloatPairs {
 public:
  HWY_INLINE FloatPairs() {}
  HWY_INLINE void Load(const BlockBF16* p, int64_t n) {
    const hn::RebindToUnsigned<DF> pairs;
    const auto bits = hn::BitCast(pairs, LoadBits(p, n));
    even_ = hn::BitCast(DF(), hn::ShiftLeft<16>(bits));
    odd_ = hn::BitCast(DF(), hn::And(bits, hn::Set(pairs, 0xFFFF0000u)));
  }
  HWY_INLINE VF AddProducts(const FloatPairs& x, VF sum) const {
    return hn::MulAdd(odd_, x.odd_, hn::MulAdd(even_, x.even_, sum));
  }

 private:
  VF even_, odd_;
};

using Pairs = std::conditional_t<kHasBF16Dot, DotPairs, FloatPairs>;

// Rows of w in Block times tokens in X.
template <class Block, class X, int kR, int kT>
struct Tile {
  // sums[t * kR + r].
  static HWY_INLINE void Run(const Operands& o, float* sums) {
    const DF d;
    VF acc[kR * kT];
    HWY_UNROLL(24) for (int i = 0; i < kR * kT; ++i) acc[i] = hn::Zero(d);
    // Whole vectors first: how many lanes a load takes is known there.
    const int64_t step = (kPairs ? 2 : 1) * static_cast<int64_t>(hn::Lanes(d));
    int64_t k = 0;
    if constexpr (kT == 1 && kR == kShortRows && !kPairs)
      for (; k + 4 * step <= o.k; k += 4 * step) AccumulateRows(d, o, k, acc);
    for (; k + step <= o.k; k += step) Accumulate(d, o, k, step, acc);
    if (k < o.k) Accumulate(d, o, k, o.k - k, acc);
    StoreLaneSums(acc, sums);
  }

 private:
  static constexpr bool kPairs = std::is_same_v<X, BlockBF16>;

  static HWY_INLINE const Block* Row(const Operands& o, int r) {
    return reinterpret_cast<const Block*>(o.w + r * o.w_stride);
  }
  static HWY_INLINE const X* Token(const Operands& o, int t) {
    return reinterpret_cast<const X*>(o.x + t * o.x_stride);
  }

  // For what stands o.ahead further on than these rows' column k.
  static HWY_INLINE void Ask(const Operands& o, int64_t k) {
    HWY_UNROLL(4)
    for (int r = 0; r < kR; ++r)
      hwy::Prefetch(reinterpret_cast<const std::byte*>(Row(o, r) + k) +
                    o.ahead);
  }

  // The same of four vectors' columns, row by row: short rows are read as they
  // follow each other, and one address is enough.
  static HWY_INLINE void AccumulateRows(DF d, const Operands& o, int64_t k,
                                        VF (&acc)[kR * kT]) {
    const int64_t step = static_cast<int64_t>(hn::Lanes(d));
    VF x[4];
    HWY_UNROLL(4)
    for (int j = 0; j < 4; ++j)
      x[j] = LoadValues(d, Token(o, 0) + k + j * step, step);
    const std::byte* at = reinterpret_cast<const std::byte*>(Row(o, 0) + k);
    HWY_UNROLL(16) for (int r = 0; r < kR; ++r, at += o.w_stride) {
      const Block* w = reinterpret_cast<const Block*>(at);
      HWY_UNROLL(4) for (int j = 0; j < 4; ++j) {
        acc[r] = hn::MulAdd(LoadValues(d, w + j * step, step), x[j], acc[r]);
      }
    }
  }

  // Adds the products of n columns from column k on, of twice as many at once
  // where two neighbours share a lane.
  static HWY_INLINE void Accumulate(DF d, const Operands& o, int64_t k,
                                    int64_t n, VF (&acc)[kR * kT]) {
    if (kT == 1 && kR == kTokenRows && o.ahead > 0) Ask(o, k);
    if constexpr (kPairs) {
      Pairs w[kR];
      HWY_UNROLL(16) for (int r = 0; r < kR; ++r) w[r].Load(Row(o, r) + k, n);
      HWY_UNROLL(4) for (int t = 0; t < kT; ++t) {
        Pairs x;
        x.Load(Token(o, t) + k, n);
        HWY_UNROLL(16)
        for (int r = 0; r < kR; ++r)
          acc[t * kR + r] = w[r].AddProducts(x, acc[t * kR + r]);
      }
    } else if constexpr (kT == 1) {
      const VF x = LoadValues(d, Token(o, 0) + k, n);
      HWY_UNROLL(16)
      for (int r = 0; r < kR; ++r)
        acc[r] = hn::MulAdd(LoadValues(d, Row(o, r) + k, n), x, acc[r]);
    } else {
      VF w[kR];
      HWY_UNROLL(16)
      for (int r = 0; r < kR; ++r) w[r] = LoadValues(d, Row(o, r) + k, n);
      HWY_UNROLL(6) for (int t = 0; t < kT; ++t) {
        const VF x = LoadValues(d, Token(o, t) + k, n);
        HWY_UNROLL(16)
        for (int r = 0; r < kR; ++r)
          acc[t * kR + r] = hn::MulAdd(w[r], x, acc[t * kR + r]);
      }
    }
  }
};

#else  // SVE

template <class Block, class X, int kR, int kT>
struct Tile {
  static HWY_INLINE void Run(const Operands& o, float* sums) {
    static_assert(kR == 1 && kT == 1);
    const DF d;
    const Block* w = reinterpret_cast<const Block*>(o.w);
    const X* x = reinterpret_cast<const X*>(o.x);
    const int64_t step = static_cast<int64_t>(hn::Lanes(d));
    auto acc = hn::Zero(d);
    for (int64_t k = 0; k < o.k; k += step) {
      const int64_t lanes = std::min(step, o.k - k);
      acc = hn::MulAdd(LoadValues(d, w + k, lanes), LoadValues(d, x + k, lanes),
                       acc);
    }
    *sums = hn::ReduceSum(d, acc);
  }
};

#endif  // SVE

// A tile of kR rows and kT tokens, written to y [token][row].
template <class Block, class X, int kR, int kT>
HWY_NOINLINE void RunTile(const Operands& o, float* y, int64_t y_stride) {
  if constexpr (kT == 1) {
    Tile<Block, X, kR, kT>::Run(o, y);
  } else {
    float sums[kT * kR];
    Tile<Block, X, kR, kT>::Run(o, sums);
    for (int t = 0; t < kT; ++t)
      std::memcpy(y + t * y_stride, sums + t * kR, kR * sizeof(float));
  }
}

// kT tokens times `rows` rows.
template <class Block, class X, int kT>
void RunRows(Operands o, int64_t rows, float* y, int64_t y_stride) {
  constexpr int kR = kT == 1 ? kTokenRows : kTileRows;
  int64_t r = 0;
  if constexpr (kT == 1 && kShortRows > kR) {
    if (o.k <= kShortRow)
      for (; r + kShortRows <= rows;
           r += kShortRows, o.w += kShortRows * o.w_stride)
        RunTile<Block, X, kShortRows, 1>(o, y + r, y_stride);
  }
  for (; r + kR <= rows; r += kR, o.w += kR * o.w_stride)
    RunTile<Block, X, kR, kT>(o, y + r, y_stride);
  for (; r < rows; ++r, o.w += o.w_stride)
    RunTile<Block, X, 1, kT>(o, y + r, y_stride);
}

int64_t RowsPerTask(const KernelArgs& a) {
  return a.in[0].rows() == 1 ? kRowsForOneToken : kRowsForMany;
}

// A smaller tile takes what the larger one leaves.
template <class X>
constexpr int kSmallTile = std::min(4, kTileTokens<X>);

// Tokens of the next tile when so many are left: with 6 to a tile, 10 are 4 +
// 6, 9 are 4 + 4 + 1 and 8 are 4 + 4, since each that is alone reads all rows
// again.
template <class X>
int64_t NextTile(int64_t left) {
  constexpr int64_t kMost = kTileTokens<X>, kSmall = kSmallTile<X>;
  if (left < kSmall) return 1;
  const int64_t over = left % kMost;
  return left < kMost || (over >= 2 && over <= 4) ? kSmall : kMost;
}

template <class Block, class X>
void QMatMulKernel(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& x = a.in[0];
  const View& w = a.in[1];
  const int64_t n = w.dim(0);
  const int64_t first = begin * RowsPerTask(a);
  const int64_t last = std::min(n, end * RowsPerTask(a));
  const int64_t tokens = x.rows();
  const int64_t y_stride =
      tokens > 1 ? a.out[0].stride(-2) / int64_t{sizeof(float)} : n;
  int64_t ahead = 0;
  if (a.ask_order != AskOrder::kNever) {
    ahead = kBytesAhead;
  } else if (kAsksForRows) {
    ahead = kTokenRows * w.stride(0);
  }
  for (int64_t t = 0; t < tokens;) {
    // A tile wants rows at one distance: so they are in a dense tensor and in a
    // slice of a matrix, not in a permuted one of higher rank.
    const bool even = x.dense || x.rank <= 2;
    const int64_t tile = even ? NextTile<X>(tokens - t) : 1;
    const Operands o = {w.Row(first),   w.stride(0),
                        x.Row(t),       tile > 1 ? x.Row(t + 1) - x.Row(t) : 0,
                        x.row_length(), ahead};
    float* y = a.out[0].RowAs<float>(t) + first;
    if (tile == kTileTokens<X>) {
      RunRows<Block, X, kTileTokens<X>>(o, last - first, y, y_stride);
    } else if (tile == kSmallTile<X>) {
      RunRows<Block, X, kSmallTile<X>>(o, last - first, y, y_stride);
    } else {
      RunRows<Block, X, 1>(o, last - first, y, y_stride);
    }
    t += tile;
  }
  AddBiasAndActivate(a, first, last);
}

int64_t Tasks(const KernelArgs& a) {
  const int64_t per_task = RowsPerTask(a);
  return (a.in[1].dim(0) + per_task - 1) / per_task;
}

// Memory-bound for one token (about 15 bytes a nanosecond and core), else bound
// by arithmetic (about 60 multiply-adds a nanosecond with 512-bit vectors).
double TaskNs(const KernelArgs& a) {
  const double k = static_cast<double>(a.in[0].row_length());
  const double rows = static_cast<double>(RowsPerTask(a));
  const double tokens = static_cast<double>(a.in[0].rows());
  return 20 + rows * k * std::max(1.0 / 10, tokens / 60);
}

template <class Block, class X = BlockF32>
void AddFormat(KernelList& out,
               absl::string_view name = KernelName<"qmatmul.", Block>()) {
  out.push_back(
      {.op = &kQMatMul,
       .name = name,
       .supports =
           [](const Graph& graph, const Node& node) {
             return graph.value(node.inputs[1]).type.dtype == Block::kType &&
                    graph.value(node.inputs[0]).type.dtype == X::kType;
           },
       .strided = 1,
       .tasks = Tasks,
       .task_ns = TaskNs,
       .run = QMatMulKernel<Block, X>,
       .rows_per_task = RowsPerTask});
}

template <class... Bs>
void AddFormats(TypeList<Bs...>, KernelList& out) {
  (AddFormat<Bs>(out), ...);
}

// The formats of one value per block; the others have integer codes, and their
// kernels stand in quant/.
void AddKernels(KernelList& out) {
  AddFormats(TypeList<BlockF32, BlockF16, BlockBF16>(), out);
  AddFormat<BlockBF16, BlockBF16>(out, "qmatmul.bf16.bf16");
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
void AddQMatMulKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
