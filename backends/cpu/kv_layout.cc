#include "backends/cpu/kv_layout.h"

#include <cstddef>
#include <cstring>

namespace weft::inline v0 {
namespace cpu {
namespace {

int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

std::byte* TileOf(const View& state, int64_t slot, int64_t pos, int64_t head) {
  return state.data + PageOf(state, slot, pos) * state.stride(0) +
         TileOffset(state, pos) + head * state.stride(2);
}

// Calls f(byte in the row, byte of the state, bytes) for each run of a row
// whose blocks are single values.
template <class F>
void ForEachRun(const View& state, std::byte* tile, int64_t at, const F& f) {
  const int64_t size = Info(state.dtype).block_bytes;
  const int64_t n = state.dim(3);
  if (state.layout == StateLayout::kValueTiles) {
    f(0, tile + at * n * size, static_cast<size_t>(n * size));
    return;
  }
  for (int64_t i = 0; i < n; ++i)
    f(i * size, tile + (i * kTilePositions + at) * size,
      static_cast<size_t>(size));
}

// Calls f(byte in the row, byte of the state, bytes) for each run of a row of
// blocks.
template <class Block, class F>
void ForEachRunOf(const View& state, std::byte* tile, int64_t at, const F& f) {
  constexpr size_t kQuants = sizeof(Block::q);
  const bool keys = state.layout == StateLayout::kKeyTiles;
  const int64_t blocks = (state.dim(3) + kKvBlock - 1) / kKvBlock;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t row = i * static_cast<int64_t>(sizeof(Block));
    const int64_t quants = row + static_cast<int64_t>(offsetof(Block, q));
    if (keys) {
      auto& block = reinterpret_cast<KeyBlock<Block>*>(tile)[i];
      f(row, &block.d[at], 2);
      for (size_t j = 0; j < kQuants; ++j)
        f(quants + static_cast<int64_t>(j), &block.q[j][at], 1);
    } else {
      auto& block = reinterpret_cast<ValueBlock<Block>*>(tile)[i];
      f(row, &block.d[at], 2);
      f(quants, &block.q[at], kQuants);
    }
  }
}

template <class F>
void ForEachRunOfRow(const View& state, int64_t slot, int64_t pos, int64_t head,
                     const F& f) {
  std::byte* tile = TileOf(state, slot, pos, head);
  const int64_t at = pos % kTilePositions;
  switch (state.dtype) {
    case DType::kQ8_0:
      return ForEachRunOf<BlockQ8_0>(state, tile, at, f);
    case DType::kQ4_0:
      return ForEachRunOf<BlockQ4_0>(state, tile, at, f);
    default:
      return ForEachRun(state, tile, at, f);
  }
}

}  // namespace

TileStrides::TileStrides(DType dtype, int64_t slots, int64_t kept,
                         int64_t heads, int64_t size) {
  tile = kTilePositions * PaddedRowBytes(dtype, size).value_or(0);
  head = RoundUp(kept, kChunkPositions) / kTilePositions * tile;
  slot = heads * head;
  total = slots * slot + kTailBytes;
}

void SetDenseStrides(View& view) {
  const DTypeInfo& info = Info(view.dtype);
  int64_t stride = info.block_bytes;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    const size_t i = static_cast<size_t>(axis);
    view.strides[i] = stride;
    const int64_t n = view.dims[i];
    stride = axis == view.rank - 1
                 ? (n + info.block_values - 1) / info.block_values * stride
                 : n * stride;
  }
  view.dense = true;
}

int64_t KeptInWindow(int64_t window, int64_t tokens) {
  return RoundUp(window - 1 + tokens + kChunkPositions - 1, kChunkPositions);
}

int64_t RewindInWindow(int64_t window, int64_t kept) {
  return kept - (window - 1) - (kChunkPositions - 1);
}

void SetStateStrides(View& view, const StatePlace& place) {
  view.layout = place.layout;
  if (place.layout == StateLayout::kRows) {
    SetDenseStrides(view);
    return;
  }
  const TileStrides s(view.dtype, view.dim(0),
                      place.kept > 0 ? place.kept : view.dim(1), view.dim(2),
                      view.dim(3));
  view.strides = {s.slot, s.tile, s.head, 0};
  view.pages = place.pages;
  view.dense = false;
}

int64_t StateBytes(const View& view) {
  if (view.layout == StateLayout::kRows)
    return view.rows() *
           PaddedRowBytes(view.dtype, view.row_length()).value_or(0);
  return view.dim(0) * view.stride(0) + kTailBytes;
}

void ReadTiledRow(const View& state, int64_t slot, int64_t pos, int64_t head,
                  std::byte* row) {
  ForEachRunOfRow(state, slot, pos, head,
                  [row](int64_t at, const void* from, size_t bytes) {
                    std::memcpy(row + at, from, bytes);
                  });
}

void WriteTiledRow(const View& state, int64_t slot, int64_t pos, int64_t head,
                   const std::byte* row) {
  ForEachRunOfRow(state, slot, pos, head,
                  [row](int64_t at, void* to, size_t bytes) {
                    std::memcpy(to, row + at, bytes);
                  });
}

}  // namespace cpu
}  // namespace weft::inline v0
