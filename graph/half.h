// IEEE binary16 and bfloat16 conversions by integer arithmetic: exact, and the
// same on every compiler and target.
#ifndef WEFT_GRAPH_HALF_H_
#define WEFT_GRAPH_HALF_H_

#include <bit>
#include <cstdint>

namespace weft::inline v0 {

// f16 -> f32. Exact for every input; NaN payloads keep their high bits.
constexpr float F16ToF32(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t exponent = (h >> 10) & 0x1Fu;
  uint32_t mantissa = h & 0x3FFu;
  if (exponent == 0x1F)  // infinity or NaN
    return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  if (exponent != 0)  // normal: rebias 15 -> 127
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) |
                                (mantissa << 13));
  if (mantissa == 0) return std::bit_cast<float>(sign);
  // Subnormal: value = mantissa * 2^-24, normalised for f32.
  uint32_t e = 113;
  while ((mantissa & 0x400u) == 0) {
    mantissa <<= 1;
    --e;
  }
  return std::bit_cast<float>(sign | (e << 23) | ((mantissa & 0x3FFu) << 13));
}

// f32 -> f16, round to nearest even; overflow gives infinity, NaN stays quiet.
constexpr uint16_t F32ToF16(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u)
    return static_cast<uint16_t>(sign | 0x7E00u | ((magnitude >> 13) & 0x3FFu));
  if (magnitude >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);
  uint32_t shift = 13;
  uint32_t mantissa = 0;
  uint32_t base = 0;
  if (magnitude >= 0x38800000u) {  // at least 2^-14: a normal f16
    mantissa = magnitude & 0x7FFFFFu;
    base = ((magnitude >> 23) - 112) << 10;
  } else {
    const uint32_t exponent = magnitude >> 23;
    if (exponent < 102) return sign;  // below half of 2^-24: rounds to zero
    mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
    shift = 126 - exponent;
  }
  const uint32_t half = 1u << (shift - 1);
  const uint32_t rest = mantissa & ((1u << shift) - 1);
  uint32_t result = base + (mantissa >> shift);
  if (rest > half || (rest == half && (result & 1u))) ++result;
  return static_cast<uint16_t>(sign | result);
}

// bf16 -> f32: the upper half of the f32. Exact.
constexpr float BF16ToF32(uint16_t b) {
  return std::bit_cast<float>(static_cast<uint32_t>(b) << 16);
}

// f32 -> bf16, round to nearest even; NaN stays quiet.
constexpr uint16_t F32ToBF16(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
    return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_HALF_H_
