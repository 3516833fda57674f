// y = activation(x w^T + bias) with packed rows of f16 (graph/packed.h) and f32
// activations, on tile registers (AMX). Elsewhere a file's rows are as fast on
// vectors: qmatmul.cc.
//
// Numbers are two bf16 each, and all sums in the order of steps, whatever is
// computed together (f16_amx-inl.h). One token, which would wait for its tiles
// to be made, goes through vectors in the order of tiles, whose bits it has
// (but that tiles take and give numbers below 2^-126 as 0).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/qmatmul_f16.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/epilogue-inl.h"
#include "backends/cpu/kernels/f16_amx-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/prefetch.h"
#include "graph/packed.h"
#include "hwy/cache_control.h"
#include "ops/fused.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {

#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3_DL
namespace hn = hwy::HWY_NAMESPACE;

// Rows of w per task.
constexpr int64_t kRowsPerTask = 32;
// Tokens that are multiplied together, two tiles. No more: 32 rows' tiles are
// made in L1 and used at once. More: 256 rows, 256 columns at a time, are made
// tiles in L2, by which 32 tokens pass, whose own tiles are in L1; sums wait in
// L2.
constexpr int64_t kTogether = 2 * kTileRows;
constexpr int64_t kRowsTogether = 256;
constexpr int64_t kSteps = 8;
constexpr int64_t kTokenChunk = 512;

using Sums = float[kTokenChunk][2 * kPackedRows];

struct ManyScratch {
  F16Weights w[kRowsTogether / kPackedRows][kSteps];
  alignas(64) uint32_t x[2][kSteps][2 * kF16Plane];
  alignas(64) Sums y[kRowsTogether / kRowsPerTask];
};
// The tokens of all steps follow.
struct FewScratch {
  F16Weights w[2][2];  // a step is multiplied while the next one's are made
  alignas(64) float y[kTogether][2 * kPackedRows];
};

class Multiplication {
 public:
  explicit Multiplication(const KernelArgs& a)
      : x_(a.in[0]),
        w_(a.in[1]),
        y_(a.out[0]),
        scratch_(a.scratch),
        order_(a.ask_order),
        columns_(w_.dim(1)) {}

  // Rows [row, end), multiples of 16, of one token.
  void RunOne(int64_t row, int64_t end) {
    const int64_t steps = (columns_ + kF16Step - 1) / kF16Step;
    auto* const high = reinterpret_cast<float*>(scratch_);
    float* const low = high + steps * kF16Step;
    std::copy_n(x_.RowAs<const float>(0), columns_, high);
    std::fill(high + columns_, low, 0.0f);
    for (int64_t k = 0; k < steps * kF16Step; k += kF16Pairs) {
      const VF v = hn::Load(DF(), high + k);
      const VF16Bits h = RoundedHighOf(v);
      hn::Store(hn::BitCast(DF(), h), DF(), high + k);
      hn::Store(
          hn::BitCast(DF(), RoundedHighOf(hn::BitCast(DF(), LowOf(v, h)))),
          DF(), low + k);
    }
    for (; row < end; row += kPackedRows) {
      VF y = hn::Zero(DF());
      alignas(64) uint8_t tail[kF16StepBytes];
      for (int64_t step = 0; step < steps; ++step)
        y = AddStep(StepOf(row, step, tail), high + step * kF16Step,
                    low + step * kF16Step, y);
      hn::StoreU(y, DF(), y_.RowAs<float>(0) + row);
    }
  }

  // The same of up to kTogether tokens.
  void RunFew(int64_t row, int64_t end) {
    auto& s = *reinterpret_cast<FewScratch*>(scratch_);
    const int64_t count = x_.rows();
    const int64_t one = std::min<int64_t>(count, kTileRows);
    const int64_t steps = (columns_ + kF16Step - 1) / kF16Step;
    const F16Tokens x0 = {
        reinterpret_cast<uint32_t*>(scratch_ + sizeof(FewScratch)),
        one * kF16Pairs};
    const F16Tokens x1 = {x0.Step(steps).high, (count - one) * kF16Pairs};
    MakeTokens(x_, 0, one, 0, columns_, x0);
    MakeTokens(x_, one, count - one, 0, columns_, x1);
    TileConfig(count, 64).Load();
    for (; row < end; row += 2 * kPackedRows) {
      const int64_t packs = row + kPackedRows < end ? 2 : 1;
      if (count > one) {
        MultiplyRows<true>(row, packs, steps, x0, x1, s);
      } else {
        MultiplyRows<false>(row, packs, steps, x0, x1, s);
      }
      for (int64_t t = 0; t < count; ++t)
        std::copy_n(s.y[t], packs * kPackedRows, y_.RowAs<float>(t) + row);
    }
    ReleaseTiles();
  }

  void RunMany(int64_t row, int64_t end) {
    for (; row < end; row += kRowsTogether)
      for (int64_t t = 0; t < x_.rows(); t += kTokenChunk)
        RunBlock(row, std::min(kRowsTogether, end - row) / kPackedRows, t,
                 std::min(kTokenChunk, x_.rows() - t));
    ReleaseTiles();
  }

 private:
  // Step `step` of 16 rows, a copy where it has fewer columns.
  HWY_INLINE const uint8_t* StepOf(int64_t row, int64_t step,
                                   uint8_t (&tail)[kF16StepBytes]) const {
    const auto* w = reinterpret_cast<const uint8_t*>(w_.Row(row)) +
                    static_cast<size_t>(step) * kF16StepBytes;
    const int64_t left = columns_ - step * kF16Step;
    if (left >= kF16Step) return w;
    std::memset(tail, 0, sizeof(tail));
    std::memcpy(tail, w, static_cast<size_t>(left) * kF16ColumnBytes);
    return tail;
  }

  HWY_INLINE void Ask(const uint8_t* line) const {
    if (order_ == AskOrder::kByTurns) hwy::Prefetch(LineByTurns(line));
  }

  // y plus the products of a step, as MultiplyStep() adds them.
  HWY_INLINE VF AddStep(const uint8_t* w, const float* x_high,
                        const float* x_low, VF y) const {
    const DF d;
    VF sums[4][2];
    HWY_UNROLL(4) for (auto& sum : sums) sum[0] = sum[1] = hn::Zero(d);
    HWY_UNROLL(4) for (int64_t p = 0; p < kF16Pairs; ++p) {
      Ask(w + 2 * kF16ColumnBytes * static_cast<size_t>(p));
      HWY_UNROLL(2) for (int64_t i = 0; i < 2; ++i) {
        const int64_t k = p + i * kF16Pairs;
        const VF v =
            LoadHalf(d, reinterpret_cast<const uint16_t*>(w) + k * kPackedRows);
        const VF16Bits h = HighOf(v);
        const VF high = hn::BitCast(d, h), low = hn::BitCast(d, LowOf(v, h));
        const VF xh = hn::Set(d, x_high[k]), xl = hn::Set(d, x_low[k]);
        sums[0][i] = hn::MulAdd(low, xh, sums[0][i]);
        sums[1][i] = hn::MulAdd(low, xl, sums[1][i]);
        sums[2][i] = hn::MulAdd(high, xl, sums[2][i]);
        sums[3][i] = hn::MulAdd(high, xh, sums[3][i]);
      }
    }
    HWY_UNROLL(4)
    for (const auto& sum : sums) y = hn::Add(y, hn::Add(sum[0], sum[1]));
    return y;
  }

  // A step of 16 rows, made tiles.
  template <bool kFew>
  HWY_INLINE void MakeStep(int64_t row, int64_t step, F16Weights& to) const {
    alignas(64) uint8_t tail[kF16StepBytes];
    const uint8_t* w = StepOf(row, step, tail);
    HWY_UNROLL(4) for (int64_t p = 0; p < kF16Pairs; ++p) {
      const uint8_t* line = w + 2 * kF16ColumnBytes * static_cast<size_t>(p);
      if (kFew) {
        Ask(line);
      } else {  // for what is made next of these rows, or near them
        PrefetchL2(line + kSteps * kF16StepBytes);
      }
      MakeWeights(w, p, to);
    }
  }

  // 16 rows, or 32, times the tokens of x0 and x1, to the scratch.
  template <bool kTwo>
  HWY_INLINE void MultiplyRows(int64_t row, int64_t packs, int64_t steps,
                               F16Tokens x0, F16Tokens x1,
                               FewScratch& s) const {
    const auto make = [&](int64_t step) HWY_ATTR {
      for (int64_t i = 0; i < packs; ++i)
        MakeStep<true>(row + i * kPackedRows, step, s.w[step % 2][i]);
    };
    ZeroTile<0>();
    ZeroTile<1>();
    if (kTwo) ZeroTile<2>();
    if (kTwo) ZeroTile<3>();
    make(0);
    for (int64_t step = 0; step < steps; ++step) {
      if (step + 1 < steps) make(step + 1);
      const auto& w = s.w[step % 2];
      MultiplyStep<kTwo>(x0.Step(step), x1.Step(step), w[0], w[packs - 1]);
    }
    StoreSums<kTwo>(s.y);
  }

  template <bool kTwo>
  static HWY_INLINE void StoreSums(float (*y)[2 * kPackedRows]) {
    constexpr size_t kStride = sizeof(y[0]);
    StoreTile<0>(y[0], kStride);
    StoreTile<1>(y[0] + kPackedRows, kStride);
    if (kTwo) StoreTile<2>(y[kTileRows], kStride);
    if (kTwo) StoreTile<3>(y[kTileRows] + kPackedRows, kStride);
  }

  // 16 * `packs` rows times tokens [first, first + count).
  void RunBlock(int64_t row, int64_t packs, int64_t first, int64_t count) {
    auto& s = *reinterpret_cast<ManyScratch*>(scratch_);
    for (int64_t i = 0; i < packs; i += 2)
      std::memset(s.y[i / 2], 0,
                  static_cast<size_t>(count) * sizeof(s.y[0][0]));
    for (int64_t k = 0; k < columns_; k += kSteps * kF16Step) {
      const int64_t end = std::min(k + kSteps * kF16Step, columns_);
      const int64_t steps = (end - k + kF16Step - 1) / kF16Step;
      for (int64_t i = 0; i < packs; ++i)
        for (int64_t step = 0; step < steps; ++step)
          MakeStep<false>(row + i * kPackedRows, k / kF16Step + step,
                          s.w[i][step]);
      for (int64_t t = 0; t < count; t += kTogether) {
        const int64_t some = std::min(kTogether, count - t);
        const int64_t one = std::min<int64_t>(some, kTileRows);
        TileConfig(some, 64).Load();
        MakeTokens(x_, first + t, one, k, end, TileOf(s, 0));
        MakeTokens(x_, first + t + one, some - one, k, end, TileOf(s, 1));
        for (int64_t i = 0; i < packs; i += 2) {
          if (some > one) {
            MultiplyBlock<true>(i, std::min(i + 1, packs - 1), steps, t, s);
          } else {
            MultiplyBlock<false>(i, std::min(i + 1, packs - 1), steps, t, s);
          }
        }
      }
    }
    for (int64_t i = 0; i < packs; ++i)
      for (int64_t t = 0; t < count; ++t)
        std::copy_n(s.y[i / 2][t] + i % 2 * kPackedRows, kPackedRows,
                    y_.RowAs<float>(first + t) + row + i * kPackedRows);
  }

  static HWY_INLINE F16Tokens TileOf(ManyScratch& s, int i) {
    return {s.x[i][0], kF16Plane};
  }

  // The scratch's tokens times 16 rows and 16 `other` ones.
  template <bool kTwo>
  static HWY_INLINE void MultiplyBlock(int64_t pack, int64_t other,
                                       int64_t steps, int64_t t,
                                       ManyScratch& s) {
    auto* const y = &s.y[pack / 2][t];
    constexpr size_t kStride = sizeof(y[0]);
    LoadTile<0>(y[0], kStride);
    LoadTile<1>(y[0] + kPackedRows, kStride);
    if (kTwo) LoadTile<2>(y[kTileRows], kStride);
    if (kTwo) LoadTile<3>(y[kTileRows] + kPackedRows, kStride);
    for (int64_t step = 0; step < steps; ++step)
      MultiplyStep<kTwo>(TileOf(s, 0).Step(step), TileOf(s, 1).Step(step),
                         s.w[pack][step], s.w[other][step]);
    StoreSums<kTwo>(y);
  }

  const View& x_;
  const View& w_;
  const View& y_;
  std::byte* const scratch_;
  const AskOrder order_;
  const int64_t columns_;
};

int64_t RowsPerTask(const KernelArgs&) { return kRowsPerTask; }

int64_t Tasks(const KernelArgs& a) {
  return (a.in[1].dim(0) + kRowsPerTask - 1) / kRowsPerTask;
}

// One token takes about as long as memory, 15 bytes a nanosecond and core; many
// do about 150 multiply-adds a nanosecond.
double TaskNs(const KernelArgs& a) {
  const double values = static_cast<double>(kRowsPerTask * a.in[1].dim(1));
  const double tokens = static_cast<double>(a.in[0].rows());
  return 20 + values * std::max(1.0 / 7.5, tokens / 150);
}

int64_t ScratchBytes(const KernelArgs& a) {
  const int64_t steps = (a.in[1].dim(1) + kF16Step - 1) / kF16Step;
  return std::max<int64_t>(
      sizeof(ManyScratch),
      int64_t{sizeof(FewScratch)} +
          2 * steps * 2 * kF16Plane * int64_t{sizeof(uint32_t)});
}

void Run(const KernelArgs& a, int64_t begin, int64_t end) {
  const int64_t first = begin * kRowsPerTask;
  const int64_t last = std::min(a.in[1].dim(0), end * kRowsPerTask);
  Multiplication multiplication(a);
  if (a.in[0].rows() == 1) {
    multiplication.RunOne(first, last);
  } else if (a.in[0].rows() <= kTogether) {
    multiplication.RunFew(first, last);
  } else {
    multiplication.RunMany(first, last);
  }
  AddBiasAndActivate(a, first, last);
}

bool Supports(const Graph& graph, const Node& node) {
  return graph.value(node.inputs[1]).type.dtype == PackedType(DType::kF16) &&
         graph.value(node.inputs[0]).type.dtype == DType::kF32;
}

void AddKernels(TargetMask targets, KernelList& out) {
  if ((targets & kAmxTarget) == 0) return;
  out.push_back({.op = &kQMatMul,
                 .name = "qmatmul.f16_r16",
                 .supports = Supports,
                 .strided = 1,
                 .tasks = Tasks,
                 .task_ns = TaskNs,
                 .scratch_bytes = ScratchBytes,
                 .run = Run,
                 .rows_per_task = RowsPerTask,
                 .rows_together = kRowsTogether});
}

#else

void AddKernels(TargetMask, KernelList&) {}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::inline v0 {
namespace cpu {
HWY_EXPORT(AddKernels);
void AddQMatMulF16Kernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(targets, out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
