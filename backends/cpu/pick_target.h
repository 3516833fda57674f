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
//
// Inlined: which targets a file is compiled for differs
// (backends/CMakeLists.txt).
template <class F, size_t kEntries>
HWY_INLINE F PickTarget(F const (&table)[kEntries], TargetMask targets) {
  if constexpr (kEntries == 1) return table[0];  // built for one target only
  targets &= ~(kAmxTarget | kDotTarget);
#if HWY_ARCH_X86
  // A CPU of one target can run all older ones, which have the higher bits: if
  // the file has no code for the best target, then the next one that it has.
  targets |= -(targets & -targets);
#endif
  hwy::ChosenTarget chosen;
  chosen.Update(targets);
  return table[chosen.GetIndex()];
}

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_PICK_TARGET_H_
