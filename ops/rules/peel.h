// Looking through the ops that only rearrange, repeat, scale or decode a
// tensor, for rules that classify hand-written chains.
#ifndef WEFT_OPS_RULES_PEEL_H_
#define WEFT_OPS_RULES_PEEL_H_

#include <cstdint>
#include <vector>

#include "graph/graph.h"

namespace weft::inline v0 {

// What was found below a value: `base` seen through a permutation, at most one
// repeated axis, and a factor.
struct Peeled {
  Value base;
  std::vector<int> axes;      // axis i of the top is axis axes[i] of the base
  int repeat_axis = -1;       // of the base
  int64_t repeat = 1;         // each element so many times
  double scale = 1;
  std::vector<Value> inside;  // values between top and base, top included

  bool AxesAre(std::initializer_list<int> want) const {
    return std::equal(axes.begin(), axes.end(), want.begin(), want.end());
  }
};

// Walks down through Permute, Transpose, Repeat and Scale until another op.
Peeled Peel(Value top);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_RULES_PEEL_H_
