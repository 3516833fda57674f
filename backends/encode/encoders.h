// The list of encoders' functions; encode.cc has the table. Their inputs are
// checked: finite values that the format can hold, whole blocks.
#ifndef WEFT_BACKENDS_ENCODE_ENCODERS_H_
#define WEFT_BACKENDS_ENCODE_ENCODERS_H_

#include <cstddef>
#include <cstdint>

namespace weft::inline v0 {
namespace encode {

struct EncodeArgs {
  const float* values;  // `count` of them, a whole number of rows
  int64_t count;
  int64_t row_length;       // a whole number of blocks
  const float* importance;  // row_length weights in (0, 1], or null: all equal
  std::byte* out;

  // Of value i, or null.
  const float* ImportanceAt(int64_t i) const {
    return importance == nullptr ? nullptr : importance + i % row_length;
  }
};

// plain.cc
void EncodeF32(const EncodeArgs& args);
void EncodeF16(const EncodeArgs& args);
void EncodeBF16(const EncodeArgs& args);
// q8.cc
void EncodeQ8_0(const EncodeArgs& args);
void EncodeQ8_K(const EncodeArgs& args);
// legacy.cc
void EncodeQ4_0(const EncodeArgs& args);
void EncodeQ4_1(const EncodeArgs& args);
void EncodeQ5_0(const EncodeArgs& args);
void EncodeQ5_1(const EncodeArgs& args);
// k_affine.cc
void EncodeQ2_K(const EncodeArgs& args);
void EncodeQ4_K(const EncodeArgs& args);
void EncodeQ5_K(const EncodeArgs& args);
// k_symmetric.cc
void EncodeQ3_K(const EncodeArgs& args);
void EncodeQ6_K(const EncodeArgs& args);
void EncodeIQ4_XS(const EncodeArgs& args);
// codebook.cc
void EncodeIQ4_NL(const EncodeArgs& args);
void EncodeMXFP4(const EncodeArgs& args);

}  // namespace encode
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_ENCODE_ENCODERS_H_
