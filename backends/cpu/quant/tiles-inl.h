// Tile registers of x86 (AMX): their shapes and the instructions that products
// of bytes, and of bf16, take. Per-target code.
#if defined(WEFT_BACKENDS_CPU_QUANT_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_TILES_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_TILES_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_TILES_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

// CPUs with AMX have all of AVX3.
#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

constexpr int kTileRows = 16;

// The shapes of tile registers: 0..3 are results, 4 and 5 activations, 6 and 7
// weights.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  // The first 16 of up to 32 `tokens` in the results 0, 1 and activations 4,
  // the others, or one more, in 2, 3 and 5; instructions sum over `columns`.
  TileConfig(int64_t tokens, int columns) {
    const int64_t tokens0 = std::min<int64_t>(tokens, kTileRows);
    const int64_t tokens1 = std::max<int64_t>(1, tokens - kTileRows);
    for (const int i : {0, 1, 2, 3}) row_bytes[i] = 64;
    for (const int i : {4, 5}) row_bytes[i] = static_cast<uint16_t>(columns);
    for (const int i : {0, 1, 4}) rows[i] = static_cast<uint8_t>(tokens0);
    for (const int i : {2, 3, 5}) rows[i] = static_cast<uint8_t>(tokens1);
    for (const int i : {6, 7}) {
      row_bytes[i] = 64;
      rows[i] = static_cast<uint8_t>(columns / 4);
    }
  }
  void Load() const { asm volatile("ldtilecfg %0" : : "m"(*this)); }
};
static_assert(sizeof(TileConfig) == 64);

// Assembly, because no compiler flag of the target allows the intrinsics.
HWY_INLINE void ReleaseTiles() { asm volatile("tilerelease"); }

template <int kTile>
HWY_INLINE void ZeroTile() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
template <int kTile>
HWY_INLINE void LoadTile(const void* from, size_t stride) {
  asm volatile("tileloadd (%1,%2,1), %%tmm%c0"
               :
               : "i"(kTile), "r"(from), "r"(stride)
               : "memory");
}
template <int kTile>
HWY_INLINE void StoreTile(void* to, size_t stride) {
  asm volatile("tilestored %%tmm%c0, (%1,%2,1)"
               :
               : "i"(kTile), "r"(to), "r"(stride)
               : "memory");
}
// kOut += signed bytes of kX times unsigned ones of kW, by fours.
template <int kOut, int kX, int kW>
HWY_INLINE void MultiplyUnsigned() {
  asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0"
               :
               : "i"(kOut), "i"(kX), "i"(kW));
}
template <int kOut, int kX, int kW>
HWY_INLINE void MultiplySigned() {
  asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0"
               :
               : "i"(kOut), "i"(kX), "i"(kW));
}

// kOut += pairs of bf16 in kX times those in kW: the even ones are a chain of
// multiply-adds from zero, the odd ones another, both sums are added.
template <int kOut, int kX, int kW>
HWY_INLINE void MultiplyBF16() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0"
               :
               : "i"(kOut), "i"(kX), "i"(kW));
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // AVX3

#endif  // WEFT_BACKENDS_CPU_QUANT_TILES_INL_H_
