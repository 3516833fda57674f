// Attention's products with keys and values in f32, stored so or unpacked.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/attention_f32.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include "backends/cpu/kernels/attention_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

template Product ScoresOf<BlockF32>(StateLayout, bool);
template Product MixOf<BlockF32>(StateLayout, bool);

void ScoresFromPanel(const AttentionShape& s, const AttentionScratch& m,
                     const KvChunk& c, int64_t begin, int64_t end,
                     Prefetcher& next) {
  ScoreAll<false>(KeyPanel{m.keys}, s, m, c, begin, end, &next);
}

void MixFromPanel(const AttentionShape& s, const AttentionScratch& m,
                  const KvChunk& c, int64_t begin, int64_t end,
                  Prefetcher& next) {
  MixAll<kPanelRows>(ValuePanel{m.values, s.e_padded}, s, m, c, begin, end,
                     &next);
}

}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();
