// What a call costs: time of the CPU, which a busy machine does not change, and
// stack.
#ifndef WEFT_TESTS_COST_H_
#define WEFT_TESTS_COST_H_

#include <cstddef>

#include "absl/functional/function_ref.h"

namespace weft::inline v0 {

struct Cost {
  double seconds = 0;      // of its thread alone
  size_t stack_bytes = 0;  // at its deepest; 0 under a sanitizer, see below
};

// Runs it once, on a thread of its own whose stack is 256 KiB (a sanitizer
// takes several times as much: the usual size there, and nothing measured).
Cost CostOf(absl::FunctionRef<void()> run);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_COST_H_
