// How far two tensors are from each other.
#ifndef WEFT_TOOLS_VALUE_DIFFERENCE_H_
#define WEFT_TOOLS_VALUE_DIFFERENCE_H_

#include <cstdint>
#include <string>

#include "graph/host_tensor.h"

namespace weft::inline v0 {

struct Difference {
  // sum((got - want)^2) / sum(want^2): the share of the power that is wrong.
  double nmse = 0;
  // The largest |got - want| / max(1, max |want|, scale), as in
  // OpDef::tolerance.
  double error = 0;
  // There: how many floats lie between the two, the element, and the values.
  int64_t ulps = 0;
  int64_t at = 0;
  float got = 0, want = 0;

  bool any() const { return error > 0; }
};

// Of values decoded to f32. Two NaNs are equal, and so are infinities of one
// sign; else a value that is not finite makes both numbers infinite, as do
// another dtype and other dims.
Difference Compare(const HostTensor& got, const HostTensor& want,
                   double scale = 0);

// "NMSE 3.1e-05, largest error 0.01 (84 ulp: 1.5 instead of 1.25 at 7)".
std::string ToString(const Difference& difference);

// max |x|; 0 for what does not decode.
double LargestMagnitude(const HostTensor& tensor);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_VALUE_DIFFERENCE_H_
