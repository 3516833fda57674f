// Random numbers that are functions of their place: any thread can compute any
// of them, on any machine, in any order.
#ifndef WEFT_TOOLS_NORMAL_H_
#define WEFT_TOOLS_NORMAL_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

// A well-mixed number for (seed, name), such as a tensor of a model.
uint64_t StreamKey(uint64_t seed, absl::string_view name);

// 64 random bits: number `index` of stream `key`.
uint64_t RandomBits(uint64_t key, uint64_t index);

// Number `index` of stream `key`, normally distributed with mean 0 and variance
// 1; within +-8.3.
float Normal(uint64_t key, uint64_t index);

// out[i] = mean + scale * Normal(key, first + i).
struct NormalRow {
  uint64_t key;
  uint64_t first;
  float mean = 0;
  float scale = 1;
};
void FillNormal(const NormalRow& row, absl::Span<float> out);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_NORMAL_H_
