// Packed rows of bf16 (graph/packed.h) times tokens: the tiles of vectors that
// qmatmul_bf16.cc is made of. Per-target code.
//
// A sum is cut into steps of 32 columns. Products of a step's even columns are
// a chain of multiply-adds from zero, those of its odd ones another, and y +=
// even + odd: what an instruction of tile registers does (bf16_amx-inl.h), and
// chains that are short, so that one token does not wait for them.
#if defined(WEFT_BACKENDS_CPU_KERNELS_BF16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_BF16_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_BF16_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_BF16_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/quant/panel-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kStepColumns = 32;
// Two columns of 16 rows.
constexpr size_t kLine = 64;

// Vectors of rows and tokens whose sums, two of each, registers hold: of 32
// they take 24, of 16 they take 12. SVE vectors cannot stand in arrays: one of
// each.
#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
constexpr int kTileVectors = 1, kTileTokens = 1;
#elif HWY_TARGET <= HWY_AVX3
constexpr int kTileVectors = 2, kTileTokens = 6;
#elif HWY_ARCH_ARM
constexpr int kTileVectors = 4, kTileTokens = 3;
#else
constexpr int kTileVectors = 2, kTileTokens = 3;
#endif

struct BF16Tile {
  const uint8_t* w;    // 16 rows, from the tile's first column on
  size_t pack_stride;  // bytes to the next 16
  size_t lane;         // the tile's first row
  const float* x;      // the first token's column
  size_t x_stride;     // floats to the next
  int64_t columns;     // even
  float* y;            // [token][row], sums so far
  int64_t y_stride;
  AskOrder order = AskOrder::kNever;  // of whoever reads `w` from memory
};

// Even and odd columns of the lanes' rows. Rows of one vector are of one pack.
HWY_INLINE VU RowPairs(const BF16Tile& t, const uint8_t* line, size_t lane) {
  line += lane / kPackedRows * t.pack_stride;
  return hn::LoadU(
      DU(), reinterpret_cast<const uint32_t*>(line) + lane % kPackedRows);
}
HWY_INLINE VF32 Even(VU pairs) {
  return hn::BitCast(DF32(), hn::ShiftLeft<16>(pairs));
}
HWY_INLINE VF32 Odd(VU pairs) {
  return hn::BitCast(DF32(), hn::And(pairs, hn::Set(DU(), 0xFFFF0000u)));
}

// Asks for what stands further on than `line`, which tiles of kV vectors read.
template <int kV>
HWY_INLINE void AskFor(const BF16Tile& t, const uint8_t* line) {
  PackedRows<Ask::kOne>{line, t.lane, t.order}
      .template Ask<kLine, size_t{kV * kLanes}>();
}

#if !HWY_HAVE_SCALABLE && !HWY_TARGET_IS_SVE

// y += x w^T of kV vectors of rows and kT tokens.
template <int kV, int kT>
HWY_NOINLINE void RunTile(const BF16Tile& t) {
  const DF32 d;
  const uint8_t* line = t.w;
  for (int64_t at = 0; at < t.columns; at += kStepColumns) {
    VF32 even[kV * kT], odd[kV * kT];
    HWY_UNROLL(12) for (int i = 0; i < kV * kT; ++i) {
      even[i] = hn::Zero(d);
      odd[i] = hn::Zero(d);
    }
    const int64_t pairs = std::min(kStepColumns, t.columns - at) / 2;
    const float* x = t.x + at;
    for (int64_t p = 0; p < pairs; ++p, line += kLine, x += 2) {
      AskFor<kV>(t, line);
      VU w[kV];
      HWY_UNROLL(4)
      for (size_t v = 0; v < kV; ++v)
        w[v] = RowPairs(t, line, t.lane + v * kLanes);
      HWY_UNROLL(6) for (size_t i = 0; i < kT; ++i) {
        const auto x_even = hn::Set(d, x[i * t.x_stride]);
        HWY_UNROLL(4) for (size_t v = 0; v < kV; ++v) {
          even[i * kV + v] = hn::MulAdd(Even(w[v]), x_even, even[i * kV + v]);
        }
      }
      HWY_UNROLL(6) for (size_t i = 0; i < kT; ++i) {
        const auto x_odd = hn::Set(d, x[i * t.x_stride + 1]);
        HWY_UNROLL(4) for (size_t v = 0; v < kV; ++v) {
          odd[i * kV + v] = hn::MulAdd(Odd(w[v]), x_odd, odd[i * kV + v]);
        }
      }
    }
    HWY_UNROLL(6) for (int i = 0; i < kT; ++i) {
      HWY_UNROLL(4) for (int v = 0; v < kV; ++v) {
        float* y = t.y + i * t.y_stride + v * kLanes;
        const auto sum = hn::Add(even[i * kV + v], odd[i * kV + v]);
        hn::StoreU(hn::Add(hn::LoadU(d, y), sum), d, y);
      }
    }
  }
}

#else  // SVE

template <int kV, int kT>
HWY_NOINLINE void RunTile(const BF16Tile& t) {
  static_assert(kV == 1 && kT == 1);
  const DF32 d;
  const uint8_t* line = t.w;
  auto y = hn::LoadU(d, t.y);
  for (int64_t at = 0; at < t.columns; at += kStepColumns) {
    const int64_t end = std::min(at + kStepColumns, t.columns);
    auto even = hn::Zero(d), odd = even;
    for (int64_t k = at; k < end; k += 2, line += kLine) {
      AskFor<kV>(t, line);
      const VU w = RowPairs(t, line, t.lane);
      even = hn::MulAdd(Even(w), hn::Set(d, t.x[k]), even);
      odd = hn::MulAdd(Odd(w), hn::Set(d, t.x[k + 1]), odd);
    }
    y = hn::Add(y, hn::Add(even, odd));
  }
  hn::StoreU(y, d, t.y);
}

#endif  // SVE

// A tile of `rows` rows from the first on, as many as y has.
template <int kV, int kT>
HWY_INLINE void RunRows(BF16Tile t, size_t rows) {
  for (t.lane = 0; t.lane + kV * kLanes <= rows;
       t.lane += kV * kLanes, t.y += kV * kLanes)
    RunTile<kV, kT>(t);
  if constexpr (kV * kLanes > kPackedRows) {
    if (t.lane < rows) RunTile<kPackedRows / kLanes, kT>(t);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_BF16_INL_H_
