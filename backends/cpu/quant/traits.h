// What the codecs of quant/ declare of their formats.
#ifndef WEFT_BACKENDS_CPU_QUANT_TRAITS_H_
#define WEFT_BACKENDS_CPU_QUANT_TRAITS_H_

namespace weft::inline v0 {
namespace cpu {

// Columns of a block of activations, and the super-block of the 256-value
// formats.
constexpr int kGroupSize = 256;

// What a code is multiplied with.
enum class Scales {
  kFloat,    // a float of each sub-block
  kInteger,  // d of the super-block times a small integer of the sub-block
};

// The part of a value that does not depend on its code: value = scale * code -
// min.
enum class Mins {
  kNone,
  kPaired,  // dmin of the super-block times a small integer of the sub-block
  kFloat,   // a float of each sub-block
};

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_QUANT_TRAITS_H_
