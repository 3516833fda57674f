// How near work comes to what the machine can do at most.
#ifndef WEFT_TOOLS_ROOFLINE_H_
#define WEFT_TOOLS_ROOFLINE_H_

#include <array>
#include <cstdint>

#include "absl/types/span.h"
#include "backends/probe.h"
#include "ops/work.h"

namespace weft::inline v0 {

// Of one machine and number of threads; 0: not known.
struct Limits {
  double bytes_per_second = 0;
  std::array<double, kNumArithmetics> operations_per_second{};  // Arithmetic
};

// Takes over what a probe measured, of tile registers where there are some: the
// limit is what the machine can do. Without instructions for bf16 the peak of
// f32 is that of bf16 too: it is multiplied as floats.
void SetPeaks(absl::Span<const Peak> peaks, Limits& limits);

// Parts of a limit, 1 being all of it; 0 where the limit is not known. Above 1
// when memory traffic was spared by caches.
struct Shares {
  double read = 0;
  double arithmetic = 0;  // each kind of operation against its own peak
  double limit() const { return read > arithmetic ? read : arithmetic; }
};

// What reading `bytes` and doing the operations of `work` in `seconds` used.
Shares SharesOf(int64_t bytes, const Work& work, double seconds,
                const Limits& limits);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_ROOFLINE_H_
