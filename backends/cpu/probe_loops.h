// The loops that a probe times, for one instruction set.
#ifndef WEFT_BACKENDS_CPU_PROBE_LOOPS_H_
#define WEFT_BACKENDS_CPU_PROBE_LOOPS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/cpu/kernel.h"
#include "ops/work.h"

namespace weft::inline v0 {
namespace cpu {

// Ranges that ReadLoop::run takes are multiples of this, and so aligned.
inline constexpr int64_t kReadGranule = 16384;

struct ReadLoop {
  const char* name;
  // Reads every byte of [p, p + bytes); returns the exclusive or of its u64s,
  // which cannot be had without reading them.
  uint64_t (*run)(const std::byte* p, int64_t bytes);
};

struct ArithmeticLoop {
  Arithmetic arithmetic;
  const char* name;
  double operations;  // of one round; 2 for each multiply-add
  // Does `rounds` of them and returns a number that depends on all: the sum of
  // all accumulators' lanes, which is known (see probe_test).
  double (*run)(int64_t rounds);
  double per_round;  // what a round adds to the result
  bool tiles = false;
};

struct ProbeLoops {
  std::vector<ReadLoop> read;
  std::vector<ArithmeticLoop> arithmetic;
};

// Those of the best instruction set in `targets`.
ProbeLoops GetProbeLoops(TargetMask targets);

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_PROBE_LOOPS_H_
