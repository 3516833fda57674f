// Chooses a function from a Highway dispatch table without global state, so
// that two backends of one process can use different instruction sets.
// Include after hwy/highway.h.
#ifndef WEFT_BACKENDS_CPU_PICK_TARGET_H_
#define WEFT_BACKENDS_CPU_PICK_TARGET_H_

#include <cstddef>

#include "backends/cpu/kernel.h"
#include "hwy/highway.h"

namespace weft::inline v0 {
namespace cpu {

// Usage: PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(list).
template <class F, size_t kEntries>
F PickTarget(F const (&table)[kEntries], TargetMask targets) {
  if constexpr (kEntries == 1) return table[0];  // built for one target only
  hwy::ChosenTarget chosen;
  chosen.Update(targets & ~(kAmxTarget | kDotTarget));
  return table[chosen.GetIndex()];
}

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_PICK_TARGET_H_
