// y = activation(x w^T + bias) with packed rows of bf16, activations f32 or
// bf16. Rows as files have them: qmatmul.cc.
//
// Every sum is added up in the order of bf16-inl.h, for one token and for many,
// whatever their tiles and threads. (Only numbers below 2^-126 are 0 to tile
// registers and not to vectors.)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/qmatmul_bf16.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/bf16-inl.h"
#include "backends/cpu/kernels/bf16_amx-inl.h"
#include "backends/cpu/kernels/epilogue-inl.h"
#include "backends/cpu/pick_target.h"
#include "graph/packed.h"
#include "ops/fused.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {

// Rows of w per task. Few tokens: small, so that two workers finish together.
// Many: 512 columns of 64 rows, 64 KB, stay in L2 while the tokens pass by.
constexpr int64_t kRowsForFew = 32;
constexpr int64_t kRowsForMany = 64;
constexpr int64_t kColumns = 512;

// Up to so many tokens 16 rows are read from end to end, as they lie in memory,
// before the next 16 are; and one stream of memory, not two.
constexpr int64_t kFewTokens = 15;
constexpr int kFewVectors = std::min<int>(kTileVectors, kPackedRows / kLanes);
constexpr int64_t kTokenChunk = 512;

// Scratch of one worker; activations as floats follow.
struct Sums {
  alignas(64) float y[kTokenChunk][kRowsForMany];
};
// Floats from a token to the next: a line more than needed, since powers of two
// would drive each other out of the cache.
int64_t FloatsStride(int64_t columns) {
  return std::max(columns, kColumns) + 16;
}

void ExpandRow(const BlockBF16* from, int64_t n, float* to) {
  ForEachVector(
      hn::ScalableTag<float>(), n,
      [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
        const hn::Rebind<hwy::bfloat16_t, decltype(d)> half;
        const auto* at = reinterpret_cast<const hwy::bfloat16_t*>(from + i);
        const auto v = hn::LoadN(half, at, static_cast<size_t>(lanes));
        StorePart(hn::PromoteTo(d, v), d, to + i, lanes);
      });
}

// Tokens in X times rows [first, last).
template <class X>
class Multiplication {
 public:
  Multiplication(const KernelArgs& a, int64_t first, int64_t last)
      : x_(a.in[0]),
        w_(a.in[1]),
        y_(a.out[0]),
        order_(a.ask_order),
        first_(first),
        last_(last),
        sums_(*reinterpret_cast<Sums*>(a.scratch)),
        floats_(reinterpret_cast<float*>(a.scratch + sizeof(Sums))) {}

  // As many rows as stay in L2 while all tokens pass by.
  void RunFew() {
    for (int64_t row = first_; row < last_; row += kRowsForFew)
      for (int64_t t = 0; t < x_.rows();)
        t += WithTokens(x_.rows() - t, [&](auto count) HWY_ATTR {
          RunRowsOf<decltype(count)::value>(
              row, std::min(row + kRowsForFew, last_), t);
        });
  }

  void RunMany() {
    for (int64_t row = first_; row < last_; row += kRowsForMany)
      for (int64_t t = 0; t < x_.rows(); t += kTokenChunk)
        RunBlock(row, std::min(kRowsForMany, last_ - row), t,
                 std::min(kTokenChunk, x_.rows() - t));
  }

 private:
  // Rows [row, end) times kT tokens from t on.
  template <int kT>
  void RunRowsOf(int64_t row, int64_t end, int64_t t) {
    alignas(64) float y[kT][kPackedRows];
    BF16Tile tile = TileOf(t, kT, 0, w_.dim(1));
    tile.y = y[0], tile.y_stride = kPackedRows;
    if (t == 0) tile.order = order_;  // the others find the rows in L2
    for (; row < end; row += kPackedRows) {
      std::memset(y, 0, sizeof(y));
      SetRows(tile, row, 0);
      RunRows<kFewVectors, kT>(tile, kPackedRows);
      for (int64_t i = 0; i < kT; ++i)
        std::copy_n(y[i], kPackedRows, y_.RowAs<float>(t + i) + row);
    }
  }

  // `rows` rows from `row` on times tokens [first, first + count).
  void RunBlock(int64_t row, int64_t rows, int64_t first, int64_t count) {
    std::memset(sums_.y, 0, static_cast<size_t>(count) * sizeof(sums_.y[0]));
    for (int64_t k = 0; k < w_.dim(1); k += kColumns) {
      const int64_t columns = std::min(kColumns, w_.dim(1) - k);
      for (int64_t t = 0; t < count;)
        t += WithTokens(count - t, [&](auto some) HWY_ATTR {
          constexpr int kT = decltype(some)::value;
          BF16Tile tile = TileOf(first + t, kT, k, columns);
          tile.y = sums_.y[t], tile.y_stride = kRowsForMany;
          SetRows(tile, row, k);
          RunRows<kTileVectors, kT>(tile, static_cast<size_t>(rows));
        });
    }
    for (int64_t t = 0; t < count; ++t)
      std::copy_n(sums_.y[t], rows, y_.RowAs<float>(first + t) + row);
  }

  // Calls f with how many of `left` tokens a tile takes, and returns it. A tile
  // wants tokens at one distance: so they are in a dense tensor and in a slice
  // of a matrix, not in a permuted one of higher rank.
  template <class F>
  int64_t WithTokens(int64_t left, const F& f) {
    if constexpr (kTileTokens > 1) {
      const bool even = x_.dense || x_.rank <= 2;
      if (left >= kTileTokens && even) {
        f(std::integral_constant<int, kTileTokens>());
        return kTileTokens;
      }
      if (left >= 2 && even) {
        f(std::integral_constant<int, 2>());
        return 2;
      }
    }
    f(std::integral_constant<int, 1>());
    return 1;
  }

  // Columns [k, k + columns) of `count` tokens from t on.
  BF16Tile TileOf(int64_t t, int64_t count, int64_t k, int64_t columns) {
    BF16Tile tile{};
    tile.columns = columns;
    if constexpr (std::is_same_v<X, float>) {
      tile.x = x_.RowAs<const float>(t) + k;
      if (count > 1)
        tile.x_stride = static_cast<size_t>(x_.RowAs<const float>(t + 1) -
                                            x_.RowAs<const float>(t));
    } else {
      tile.x = floats_;
      tile.x_stride = static_cast<size_t>(FloatsStride(w_.dim(1)));
      for (int64_t i = 0; i < count; ++i)
        ExpandRow(x_.RowAs<const X>(t + i) + k, columns,
                  floats_ + static_cast<size_t>(i) * tile.x_stride);
    }
    return tile;
  }

  // Rows from `row` on, a multiple of 16, from column k on.
  void SetRows(BF16Tile& tile, int64_t row, int64_t k) const {
    tile.pack_stride = static_cast<size_t>(kPackedRows * w_.stride(0));
    tile.w = reinterpret_cast<const uint8_t*>(w_.Row(row)) +
             static_cast<size_t>(k / 2) * kLine;
  }

  const View& x_;
  const View& w_;
  const View& y_;
  const AskOrder order_;
  const int64_t first_, last_;
  Sums& sums_;
  float* const floats_;
};

int64_t RowsPerTask(const KernelArgs& a) {
  return a.in[0].rows() <= kFewTokens ? kRowsForFew : kRowsForMany;
}

int64_t Tasks(const KernelArgs& a) {
  const int64_t per_task = RowsPerTask(a);
  return (a.in[1].dim(0) + per_task - 1) / per_task;
}

// One token is bound by memory, about 15 bytes a nanosecond and core; many by
// arithmetic, about 60 multiply-adds a nanosecond.
double TaskNs(const KernelArgs& a) {
  const double values =
      static_cast<double>(RowsPerTask(a) * a.in[0].row_length());
  const double tokens = static_cast<double>(a.in[0].rows());
  return 20 + values * std::max(1.0 / 7.5, tokens / 60);
}

template <class X>
int64_t ScratchBytes(const KernelArgs& a) {
  const int64_t floats =
      std::is_same_v<X, float> ? 0 : kTileTokens * FloatsStride(a.in[1].dim(1));
  return int64_t{sizeof(Sums)} + floats * int64_t{sizeof(float)};
}

template <class X>
void Run(const KernelArgs& a, int64_t begin, int64_t end) {
  const int64_t first = begin * RowsPerTask(a);
  const int64_t last = std::min(a.in[1].dim(0), end * RowsPerTask(a));
  Multiplication<X> multiplication(a, first, last);
  if (a.in[0].rows() <= kFewTokens) {
    multiplication.RunFew();
  } else {
    multiplication.RunMany();
  }
  AddBiasAndActivate(a, first, last);
}

#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3_DL

// One token's products are done on vectors before its tiles are loaded.
constexpr int64_t kLeastOnTiles = 2;

void RunOnTiles(const KernelArgs& a, int64_t begin, int64_t end) {
  if (a.in[0].rows() < kLeastOnTiles) return Run<BlockBF16>(a, begin, end);
  const int64_t first = begin * RowsPerTask(a);
  const int64_t last = std::min(a.in[1].dim(0), end * RowsPerTask(a));
  if (a.in[0].rows() <= kBF16Tokens) {
    MultiplyFewOnTiles(a, first, last);
  } else {
    MultiplyOnTiles(a, first, last);
  }
  AddBiasAndActivate(a, first, last);
}

int64_t ScratchBytesOnTiles(const KernelArgs& a) {
  const int64_t steps = (a.in[1].dim(1) + kStepColumns - 1) / kStepColumns;
  const int64_t few = int64_t{sizeof(BF16FewScratch)} +
                      kBF16Tokens * steps * static_cast<int64_t>(kLine);
  return std::max<int64_t>(
      {ScratchBytes<BlockBF16>(a), few, int64_t{sizeof(BF16AmxScratch)}});
}

void UseTiles(Kernel& kernel) {
  kernel.scratch_bytes = ScratchBytesOnTiles;
  kernel.run = RunOnTiles;
  kernel.rows_together = kBF16AmxRows;
}

#else

void UseTiles(Kernel&) {}

#endif

template <class X, DType kX>
Kernel Record(absl::string_view name) {
  return {.op = &kQMatMul,
          .name = name,
          .supports =
              [](const Graph& graph, const Node& node) {
                return graph.value(node.inputs[1]).type.dtype ==
                           PackedType(DType::kBF16) &&
                       graph.value(node.inputs[0]).type.dtype == kX;
              },
          .strided = 1,
          .tasks = Tasks,
          .task_ns = TaskNs,
          .scratch_bytes = ScratchBytes<X>,
          .run = Run<X>,
          .rows_per_task = RowsPerTask};
}

void AddKernels(TargetMask targets, KernelList& out) {
  out.push_back(Record<float, DType::kF32>("qmatmul.bf16_r16"));
  out.push_back(Record<BlockBF16, DType::kBF16>("qmatmul.bf16.bf16_r16"));
  if ((targets & kAmxTarget) != 0) UseTiles(out.back());
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
void AddQMatMulBF16Kernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(targets, out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
