#include "backends/cpu/slot_states.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kv_layout.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

int64_t RowBytesOf(const View& view) {
  return PaddedRowBytes(view.dtype, view.row_length()).value_or(0);
}

// Rows of one slot: of one position in a cache times its positions.
int64_t RowsOf(const SlotState& state, int64_t positions) {
  const View& view = state.view;
  const int64_t all = view.rows() / view.dim(0);
  return state.by_position ? all / view.dim(1) * positions : all;
}

std::byte* DenseSlot(const View& view, int64_t slot) {
  return view.data + slot * view.stride(0);
}

// Calls f(position, head, row of the plain form) for each row of a slot.
template <class F>
void ForEachTiledRow(const View& view, int64_t positions, const F& f) {
  const int64_t heads = view.dim(2), bytes = RowBytesOf(view);
  for (int64_t pos = 0; pos < positions; ++pos)
    for (int64_t head = 0; head < heads; ++head)
      f(pos, head, (pos * heads + head) * bytes);
}

}  // namespace

int64_t SlotStateBytes(const SlotState& state, int64_t positions) {
  return RowsOf(state, positions) * RowBytesOf(state.view);
}

void SaveSlotState(const SlotState& state, int64_t slot, int64_t positions,
                   std::byte* out) {
  const View& view = state.view;
  if (view.layout == StateLayout::kRows) {
    std::memcpy(out, DenseSlot(view, slot),
                static_cast<size_t>(SlotStateBytes(state, positions)));
    return;
  }
  ForEachTiledRow(view, positions, [&](int64_t pos, int64_t head, int64_t at) {
    ReadTiledRow(view, slot, pos, head, out + at);
  });
}

void LoadSlotState(const SlotState& state, int64_t slot, int64_t positions,
                   const std::byte* in) {
  const View& view = state.view;
  if (view.layout == StateLayout::kRows) {
    std::memcpy(DenseSlot(view, slot), in,
                static_cast<size_t>(SlotStateBytes(state, positions)));
    return;
  }
  ForEachTiledRow(view, positions, [&](int64_t pos, int64_t head, int64_t at) {
    WriteTiledRow(view, slot, pos, head, in + at);
  });
}

void CopySlotState(const SlotState& state, int64_t from, int64_t to,
                   int64_t positions) {
  const View& view = state.view;
  std::byte* const source = DenseSlot(view, from);
  std::byte* const target = DenseSlot(view, to);
  if (view.layout == StateLayout::kRows) {
    std::memcpy(target, source,
                static_cast<size_t>(SlotStateBytes(state, positions)));
    return;
  }
  // A head's tiles follow each other; its stride is all of a ring.
  const int64_t tiles = (positions + kTilePositions - 1) / kTilePositions;
  const auto bytes =
      static_cast<size_t>(std::min(tiles * view.stride(1), view.stride(2)));
  for (int64_t head = 0; head < view.dim(2); ++head)
    std::memcpy(target + head * view.stride(2), source + head * view.stride(2),
                bytes);
}

void CopyPage(const SlotState& state, int64_t from, int64_t to, int64_t chunk) {
  const View& view = state.view;
  const int64_t bytes = kChunkPositions / kTilePositions * view.stride(1);
  for (int64_t head = 0; head < view.dim(2); ++head) {
    const int64_t at = head * view.stride(2) + chunk * bytes;
    std::memcpy(DenseSlot(view, to) + at, DenseSlot(view, from) + at,
                static_cast<size_t>(bytes));
  }
}

}  // namespace cpu
}  // namespace weft::inline v0
