// The unquantised floating-point formats, as blocks of one value.
#ifndef WEFT_GRAPH_BLOCKS_PLAIN_H_
#define WEFT_GRAPH_BLOCKS_PLAIN_H_

#include <cstdint>

#include "graph/dtype.h"
#include "graph/half.h"

namespace weft::inline v0 {

// f32: IEEE binary32.
struct BlockF32 {
  static constexpr DType kType = DType::kF32;
  static constexpr char kName[] = "f32";
  static constexpr char kLayout[] = "f32";
  static constexpr int kCount = 1;

  float value;

  float At(int) const { return value; }
};
static_assert(sizeof(BlockF32) == 4);

// f16: IEEE binary16.
struct BlockF16 {
  static constexpr DType kType = DType::kF16;
  static constexpr char kName[] = "f16";
  static constexpr char kLayout[] = "f16";
  static constexpr int kCount = 1;

  uint16_t bits;

  float At(int) const { return F16ToF32(bits); }
};
static_assert(sizeof(BlockF16) == 2);

// bf16: the upper 16 bits of a binary32.
struct BlockBF16 {
  static constexpr DType kType = DType::kBF16;
  static constexpr char kName[] = "bf16";
  static constexpr char kLayout[] = "bf16";
  static constexpr int kCount = 1;

  uint16_t bits;

  float At(int) const { return BF16ToF32(bits); }
};
static_assert(sizeof(BlockBF16) == 2);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_PLAIN_H_
