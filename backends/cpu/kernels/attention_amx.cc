// Attention's products on tile registers: see attention_amx-inl.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/attention_amx.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include "backends/cpu/kernels/attention_amx-inl.h"

#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

Product TiledScores(bool direct) {
  if (direct) return {nullptr, ScoresOnTiles<true>, true};
  return {CopyKeys, ScoresOnTiles<false>, true};
}

Product TiledMix(bool direct) {
  if (direct) return {nullptr, MixOnTiles<true>, true};
  return {CopyValues, MixOnTiles<false>, true};
}

void CutQuery(const float* x, float scale, const AttentionShape& s, int64_t r,
              int64_t rows, uint8_t* tiles) {
  const DF d;
  const hn::Rebind<uint16_t, DF> d16;
  const int64_t part = rows <= kDirectRows ? rows * kLineOfTile : kBytesOfTile;
  uint8_t* const row =
      tiles + r / kRowsOfTile * (s.d / kColumnsOfTile) * kBytesOfParts +
      r % kRowsOfTile * kLineOfTile;
  const auto store = [&](VU bits, uint8_t* to) HWY_ATTR {
    hn::StoreU(hn::TruncateTo(d16, hn::ShiftRight<16>(bits)), d16,
               reinterpret_cast<uint16_t*>(to));
  };
  for (int64_t i = 0; i < s.d; i += kRowsOfTile) {
    uint8_t* to =
        row + i / kColumnsOfTile * kBytesOfParts + i % kColumnsOfTile * 2;
    const VF q = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, scale));
    const VU bits = Rounded(q);
    store(bits, to);
    store(Rounded(hn::Sub(q, UpperHalf(bits))), to + part);
  }
}

void SetUpTiles(int64_t rows) {
  TileConfig config(2 * kRowsOfTile, static_cast<int>(kLineOfTile));
  if (rows <= kDirectRows)
    for (int i = 0; i < 6; ++i) config.rows[i] = static_cast<uint8_t>(2 * rows);
  config.Load();
}

void GiveUpTiles() { ReleaseTiles(); }

}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // AVX3
