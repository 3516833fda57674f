// The states of one sequence, of an executable.
#include "backends/cpu/executable.h"
#include "backends/cpu/kv_layout.h"

namespace weft::inline v0 {
namespace cpu {

int64_t CpuExecutable::SlotBytes(int64_t positions) const {
  int64_t bytes = 0;
  for (const SlotState& state : slot_states_)
    bytes += SlotStateBytes(state, positions);
  return bytes;
}

void CpuExecutable::SaveSlot(int64_t slot, int64_t positions,
                             absl::Span<std::byte> out) const {
  std::byte* at = out.data();
  for (const SlotState& state : slot_states_) {
    SaveSlotState(state, slot, positions, at);
    at += SlotStateBytes(state, positions);
  }
}

void CpuExecutable::LoadSlot(int64_t slot, int64_t positions,
                             absl::Span<const std::byte> in) {
  PrepareAppend(slot, 0, positions);
  const std::byte* at = in.data();
  for (const SlotState& state : slot_states_) {
    LoadSlotState(state, slot, positions, at);
    at += SlotStateBytes(state, positions);
  }
}

void CpuExecutable::CopySlot(int64_t from, int64_t to, int64_t positions) {
  if (from == to) return;
  if (pages_.has_value()) {
    pages_->Share(from, to, positions / kChunkPositions);
    // The chunk that both go on to write is copied with the rest.
    PrepareAppend(to, positions / kChunkPositions * kChunkPositions, positions);
  }
  for (const SlotState& state : slot_states_) {
    const View& view = state.view;
    if (view.pages == nullptr) {
      CopySlotState(state, from, to, positions);
    } else if (positions % kChunkPositions != 0) {
      CopyPage(state, PageOf(view, from, positions),
               PageOf(view, to, positions), positions / kChunkPositions);
    }
  }
}

void CpuExecutable::PrepareAppend(int64_t slot, int64_t begin, int64_t end) {
  // A slot that is not written goes on sharing the chunk that it ends in.
  if (!pages_.has_value() || begin >= end) return;
  int64_t before = 0;
  for (int64_t chunk = begin / kChunkPositions; chunk * kChunkPositions < end;
       ++chunk) {
    if (!pages_->MakeOwn(slot, chunk, before)) continue;
    for (const SlotState& state : slot_states_)
      if (state.view.pages != nullptr)
        CopyPage(state, before,
                 PageOf(state.view, slot, chunk * kChunkPositions), chunk);
  }
}

}  // namespace cpu
}  // namespace weft::inline v0
