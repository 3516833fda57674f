// The one inner loop of attention: rows of floats times vectors, a register
// tile of sums at a time. Scores are queries times keys, with positions in the
// lanes; results are probabilities times values, with the head's dimensions in
// the lanes. Per-target code.
//
// Each sum is one chain of multiply-adds in the order of its index, whatever
// tile holds it and wherever its operands come from.
#if defined(WEFT_BACKENDS_CPU_KERNELS_ATTENTION_TILE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_TILE_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_TILE_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_ATTENTION_TILE_INL_H_
#endif

#include <utility>

#include "backends/cpu/decode-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Vectors of sums per row for which sums, operands and one broadcast stay in
// registers; at most `most`.
constexpr int TileVectors(int rows, int most) {
#if HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3
  constexpr int kRegisters = 16;
#else
  constexpr int kRegisters = 32;
#endif
  int vectors = most;
  while (vectors > 1 && (rows + 1) * vectors + 1 >= kRegisters) --vectors;
  return vectors;
}

// Rows of floats, kStride apart or `stride` where that is 0.
template <int64_t kStride>
struct Rows {
  const float* first;
  int64_t stride = kStride;
  HWY_INLINE float operator()(size_t r, int64_t i, size_t) const {
    return first[static_cast<int64_t>(r) * (kStride == 0 ? stride : kStride) +
                 i];
  }
};

// Rows side by side: one pointer reaches all of them. Element i of kStride rows
// stands at i * kStride.
template <int64_t kStride>
struct PackedRows {
  const float* first;
  HWY_INLINE float operator()(size_t r, int64_t i, size_t) const {
    return first[i * kStride + static_cast<int64_t>(r)];
  }
};

// The sums are a parameter pack and not an array: SVE's vectors cannot stand in
// arrays, and every compiler keeps parameters in registers. What the rows have
// in common is written once per sum and merged by the compiler.
template <int kVectors, class A, class B, class Store, size_t... kIs,
          class... Sums>
HWY_INLINE void SumTile(std::index_sequence<kIs...>, int64_t n, const A& a,
                        const B& b, const Store& store, Sums... sums) {
  const DF d;
  for (int64_t i = 0; i < n; ++i) {
    b.template Prefetch<kVectors>(i);
    ((sums = hn::MulAdd(hn::Set(d, a(kIs / kVectors, i, kIs % kVectors)),
                        b(i, kIs % kVectors), sums)),
     ...);
  }
  (store(kIs / kVectors, kIs % kVectors, sums), ...);
}

template <int kVectors, class A, class B, class Store, size_t... kIs>
HWY_INLINE void StartTile(std::index_sequence<kIs...> indices, int64_t n,
                          const A& a, const B& b, const Store& store) {
  const DF d;
  SumTile<kVectors>(indices, n, a, b, store,
                    (static_cast<void>(kIs), hn::Zero(d))...);
}

// store(r, v, sum over i < n of a(r, i, v) * b(i, v)) for all rows and vectors
// of a tile. b.Prefetch<kVectors>(i) may ask for memory that is needed later.
template <int kRows, int kVectors, class A, class B, class Store>
HWY_INLINE void Tile(int64_t n, const A& a, const B& b, const Store& store) {
  StartTile<kVectors>(std::make_index_sequence<kRows * kVectors>(), n, a, b,
                      store);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_ATTENTION_TILE_INL_H_
