// Calls CPU kernels by themselves, with memory that shows what they touch.
#ifndef WEFT_TESTS_KERNEL_HARNESS_H_
#define WEFT_TESTS_KERNEL_HARNESS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "backends/cpu/kernel.h"
#include "graph/host_tensor.h"
#include "graph/op.h"

namespace weft::inline v0 {

struct CallOptions {
  // Inputs that the kernel may read with strides lie in padded memory.
  bool strided = false;
  // Output 0 is the memory of this input; -1: of none.
  int in_place = -1;
  // Each task is a call of its own, the last one first.
  bool one_by_one = false;
  // States lie in tiles: the one that is written as said here, those that are
  // read as keys and values.
  std::optional<cpu::StateLayout> tiled = {};

  std::string ToString() const;
};

// Calls the kernel on copies of `in`; `out` have their dims, and a state's
// content when the op writes one. Inputs lie in allocations of their exact
// size, so that AddressSanitizer sees reads beyond them; padding is NaN.
// OutOfRange for an index outside its table, Internal when bytes around an
// output were written.
absl::Status CallKernel(const cpu::Kernel& kernel,
                        const cpu::KernelParams& params,
                        absl::Span<const HostTensor* const> in,
                        absl::Span<HostTensor> out, const CallOptions& options);

// What is wrong with `got`: "" when the largest |got - want| is at most
// tolerance * max(1, max |want|), infinities and NaNs stand at the same places,
// and dtype and dims agree. `result`: the type that the kernel gave, before
// both were made floats perhaps; a result in codes may be one code off.
std::string Difference(const HostTensor& got, const HostTensor& want,
                       double tolerance, DType result);

// Calls the kernel of every compute node of the sample on the reference's
// inputs, in every way that must give the same bits (dense and strided, in one
// call and task by task, in place), and compares with the reference. On each of
// the targets.
void CheckKernels(const Sample& sample, absl::Span<const std::string> targets,
                  uint64_t seed);

// The kernels of one target, by its name; empty when this machine lacks it.
const cpu::KernelList& KernelsOfTarget(const std::string& target);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_KERNEL_HARNESS_H_
