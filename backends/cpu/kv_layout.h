// How states lie in memory: KV caches whose only reader is fused attention lie
// in tiles, all others as the graph sees them.
//
// A cache [S, C, G, n] (slots, context, heads, head size) in tiles is, for each
// slot, for each head, a run of tiles of 16 positions. A head's keys (values)
// of a sequence are thus one stream. With n values per position:
//
//   format          tile of keys                 tile of values
//   f32, f16, bf16  T[n][16]: the positions of   T[16][n]: the rows of the
//                   one dimension are a vector   positions
//   q8_0, q4_0      KeyBlock[ceil(n/32)]         ValueBlock[ceil(n/32)]
//
// A score is a sum over n, a mixed value one over positions: keys have
// positions and values have n in the lanes of a vector, so that neither needs a
// sum across lanes or a transposition. The blocks are those of the GGUF
// formats, 16 positions of 32 values at a time with their scales side by side;
// the sizes are the same.
//
// Positions are padded to whole chunks of 64, and kTailBytes follow the last
// slot, so that kernels read whole vectors. What they read there is never part
// of a result.
//
// Where attention sees a window of w positions only, a head keeps a ring of
// them: position p lies where p mod n does, n being whole chunks
// (KeptInWindow). The chunks that a step of T tokens reads begin up to 63
// positions before the window of its first token and end with its last token,
// and all of these are kept: so a chunk is read as it would lie in the whole
// cache, bit for bit.
//
// Without a ring a chunk may lie in another slot's memory, which sequences that
// begin alike share (slot_pages.h).
#ifndef WEFT_BACKENDS_CPU_KV_LAYOUT_H_
#define WEFT_BACKENDS_CPU_KV_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "backends/cpu/kernel.h"
#include "graph/blocks/q4_0.h"
#include "graph/blocks/q8_0.h"

namespace weft::inline v0 {
namespace cpu {

inline constexpr int64_t kTilePositions = 16;
// Positions that attention takes at a time (see attention_shape.h).
inline constexpr int64_t kChunkPositions = 64;
inline constexpr int64_t kKvBlock = 32;
inline constexpr int64_t kTailBytes = 64;

// 16 positions of 32 values of a key. With q as in `Block`, value i of position
// p is what a Block of d[p] and q[0][p], q[1][p], ... has as value i.
template <class Block>
struct KeyBlock {
  using Quant = std::remove_extent_t<decltype(Block::q)>;
  uint16_t d[kTilePositions];
  Quant q[sizeof(Block::q)][kTilePositions];
};
// The same of a value: a Block of d[p] and q[p][0], q[p][1], ...
template <class Block>
struct ValueBlock {
  using Quant = std::remove_extent_t<decltype(Block::q)>;
  uint16_t d[kTilePositions];
  Quant q[kTilePositions][sizeof(Block::q)];
};
static_assert(sizeof(KeyBlock<BlockQ8_0>) == 16 * sizeof(BlockQ8_0));
static_assert(sizeof(KeyBlock<BlockQ4_0>) == 16 * sizeof(BlockQ4_0));
static_assert(sizeof(ValueBlock<BlockQ8_0>) == 16 * sizeof(BlockQ8_0));
static_assert(sizeof(ValueBlock<BlockQ4_0>) == 16 * sizeof(BlockQ4_0));

// Strides and size of a state of these dims in tiles, in bytes: of a slot, of a
// tile, of a head. The view's strides are {slot, tile, head, 0}.
// `kept` positions of each head, rounded up to whole chunks.
struct TileStrides {
  TileStrides(DType dtype, int64_t slots, int64_t kept, int64_t heads,
              int64_t size);
  int64_t slot, tile, head;
  int64_t total;  // with the tail
};

// Row-major strides for the view's dims, rows being whole blocks.
void SetDenseStrides(View& view);
// How a state lies in memory.
struct StatePlace {
  StateLayout layout = StateLayout::kRows;
  int64_t kept = 0;  // in tiles: positions of a ring; 0: all of the context
  const int32_t* pages = nullptr;  // View::pages
};
// Positions that a ring needs for a window and steps of so many tokens.
int64_t KeptInWindow(int64_t window, int64_t tokens);
// How far a sequence can be taken back from the last position that was written
// so that all that a window sees is there still; at least `tokens`.
int64_t RewindInWindow(int64_t window, int64_t kept);

// Sets layout and strides of a state.
void SetStateStrides(View& view, const StatePlace& place);
// The slot in whose memory position `pos` of `slot` lies.
inline int64_t PageOf(const View& view, int64_t slot, int64_t pos) {
  return view.pages == nullptr
             ? slot
             : view.pages[pos / kChunkPositions * view.dim(0) + slot];
}
// Where the tile of position `pos` begins, in bytes from the start of its head.
inline int64_t TileOffset(const View& view, int64_t pos) {
  const int64_t offset = pos / kTilePositions * view.stride(1);
  // A head's tiles follow each other: its stride is the size of the ring.
  return offset < view.stride(2) ? offset : offset % view.stride(2);
}
// Bytes of a state of this type. Only states of rank 4 can lie in tiles.
int64_t StateBytes(const View& view);

// Copies one row between a state in tiles and its row-major form (blocks of
// n values, the last one padded). The definition of the layouts; kernels have
// faster ways.
void ReadTiledRow(const View& state, int64_t slot, int64_t pos, int64_t head,
                  std::byte* row);
void WriteTiledRow(const View& state, int64_t slot, int64_t pos, int64_t head,
                   const std::byte* row);

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_KV_LAYOUT_H_
