// The two products of attention over one chunk, as the kernel calls them:
// scores and mixed values, for rows of queries, from keys and values in any
// format and layout. Each format is compiled in a file of its own, since
// together they take a minute. Per-target code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_ATTENTION_PRODUCTS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_PRODUCTS_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_PRODUCTS_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_ATTENTION_PRODUCTS_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/kernels/attention_shape.h"
#include "graph/blocks/blocks.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// Stored rows of consecutive positions.
struct KvRows {
  const std::byte* first;  // or the first tile
  int64_t stride;          // from one position, or tile, to the next
  int64_t bytes;           // of a position, on average
};

// Keys and values of `count` positions from `first` on, as they are stored.
struct KvChunk {
  int64_t first, count;
  KvRows keys, values;
};

// Asks for memory while rows are worked at, so that it does not come all at
// once.
class Prefetcher {
 public:
  // The chunk after `now`, over the time of `rows` rows.
  Prefetcher(const KvRows& now, int64_t rows)
      : at_(now.first + kChunk * now.bytes),
        end_(at_ + kChunk * now.bytes),
        per_row_(kChunk * now.bytes / rows) {}
  HWY_INLINE void Step(int64_t rows) {
    const std::byte* const to = std::min(at_ + per_row_ * rows + 63, end_);
    for (; at_ < to; at_ += 64) hwy::Prefetch(at_);
  }

 private:
  const std::byte* at_;
  const std::byte* end_;
  int64_t per_row_;
};

// One product over a chunk, for one format and layout.
struct Product {
  // Makes a copy of the chunk for `rows` to read, in f32 or as tile registers
  // want it; null where these read it as stored.
  void (*unpack)(const AttentionShape& s, const AttentionScratch& m,
                 const KvChunk& c);
  // For rows [begin, end) of a block, while the chunk of `next` is on its way.
  void (*rows)(const AttentionShape& s, const AttentionScratch& m,
               const KvChunk& c, int64_t begin, int64_t end, Prefetcher& next);
  // On tile registers: `begin` is a multiple of kRowsOfTile, and where they
  // read keys and values as stored, rows are all of the block's.
  bool tiles = false;
};

// Those of a format, for keys or values as `layout` has them; `direct`: read as
// stored where the layout allows it. Each is instantiated in one
// attention_*.cc.
template <class Block>
Product ScoresOf(StateLayout layout, bool direct);
template <class Block>
Product MixOf(StateLayout layout, bool direct);

// From the f32 copy, whatever the format.
void ScoresFromPanel(const AttentionShape& s, const AttentionScratch& m,
                     const KvChunk& c, int64_t begin, int64_t end,
                     Prefetcher& next);
void MixFromPanel(const AttentionShape& s, const AttentionScratch& m,
                  const KvChunk& c, int64_t begin, int64_t end,
                  Prefetcher& next);

// ---- On tile registers (attention_amx.cc) ----

inline constexpr bool kMayHaveTiles = HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3;

// Of keys and values in tiles of bf16. `direct`: few rows, which ask for the
// next chunk.
Product TiledScores(bool direct);
Product TiledMix(bool direct);
// The query of row r, of a block's `rows`, times `scale`.
void CutQuery(const float* x, float scale, const AttentionShape& s, int64_t r,
              int64_t rows, uint8_t* tiles);
// Registers for blocks of so many rows, until they are given up.
void SetUpTiles(int64_t rows);
void GiveUpTiles();

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_ATTENTION_PRODUCTS_INL_H_
