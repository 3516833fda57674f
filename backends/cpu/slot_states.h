// States of one sequence as plain rows, and from slot to slot.
#ifndef WEFT_BACKENDS_CPU_SLOT_STATES_H_
#define WEFT_BACKENDS_CPU_SLOT_STATES_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "backends/cpu/kernel.h"

namespace weft::inline v0 {
namespace cpu {

// One state of an executable.
struct SlotState {
  View view;                 // as it lies in memory
  bool by_position = false;  // a cache: the second dim is positions
};

// Bytes of a slot's rows up to `positions`.
int64_t SlotStateBytes(const SlotState& state, int64_t positions);
// Between a slot and row-major rows of SlotStateBytes() bytes.
void SaveSlotState(const SlotState& state, int64_t slot, int64_t positions,
                   std::byte* out);
void LoadSlotState(const SlotState& state, int64_t slot, int64_t positions,
                   const std::byte* in);
void CopySlotState(const SlotState& state, int64_t from, int64_t to,
                   int64_t positions);
// A chunk of a state with pages, from one slot's page to another's.
void CopyPage(const SlotState& state, int64_t from, int64_t to, int64_t chunk);

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_SLOT_STATES_H_
