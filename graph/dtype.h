// Element types of tensors and the table that describes them.
#ifndef WEFT_GRAPH_DTYPE_H_
#define WEFT_GRAPH_DTYPE_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

// Values below 256 are GGUF's tensor type numbers, so that a file's type needs
// no translation; weft's own formats start at 256.
enum class DType : int32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ8_1 = 9,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kQ8_K = 15,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
  kNVFP4 = 40,
  kQ1_0 = 41,
  kQ2_0 = 42,
  kQ8_A = 256,    // activations
  kQ8_A32 = 257,  // the same, with a scale for 32 and not for 256
  kUnknown = -1,  // the type of a placeholder in a rewrite pattern
};

// What is known of one dtype. A format without `decode` can be sized and named
// but not computed with.
struct DTypeInfo {
  DType type;
  absl::string_view name;  // as printed: "q4_k"
  int block_values;       // values per block
  int block_bytes;        // bytes per block
  // Decodes `n_blocks` consecutive blocks at `blocks` (no alignment needed)
  // into n_blocks * block_values floats: the bit-exact definition of the
  // format. Null where weft has no decoder.
  void (*decode)(const void* blocks, int64_t n_blocks, float* out);
  // Rows may end inside a block, which is zero from there on. False: rows are
  // whole blocks.
  bool partial_rows = false;
  // The fields of a block in their order, and what a value is; "" where weft
  // has no decoder.
  absl::string_view layout = "";
};

// Every dtype that a file can hold, in order of its number.
absl::Span<const DTypeInfo> AllDTypes();

// Formats of weft's own for values between nodes; never in a file.
absl::Span<const DTypeInfo> ActivationDTypes();

// The row of AllDTypes(), or nullopt for a number that no format has.
std::optional<DTypeInfo> FindDType(int64_t number);

// The table's row of an enumerator. kUnknown gives a row named "?".
const DTypeInfo& Info(DType type);
// "q8_0" and the like.
inline absl::string_view Name(DType type) { return Info(type).name; }

// True for types that matmul, gather and dequant can read as weights.
inline bool IsDecodable(DType type) { return Info(type).decode != nullptr; }

// Bytes of a row of `n` values; nullopt where n is negative or the row is no
// whole number of blocks and has to be, or where the product overflows int64.
std::optional<int64_t> RowBytes(DType type, int64_t n);

// The same where the last block may be part padding, as in rows of states (the
// head of a KV cache need not fill whole blocks): never null for want of whole
// blocks.
std::optional<int64_t> PaddedRowBytes(DType type, int64_t n);

// Decodes `rows` rows of `n` values that follow each other into out[rows][n].
// The dtype must be decodable; a row that ends inside a block is padded to the
// whole block.
void DecodeRows(DType type, const void* data, int64_t rows, int64_t n,
                float* out);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_DTYPE_H_
