// Packed weights: block formats whose rows lie together by 16, for kernels that
// turn rows into the lanes of vectors.
//
// Layout of w [N, K], N a multiple of 16. The bytes of a row are cut into
// units: a block's dwords and, where its size is no multiple of four, one unit
// of two bytes or one (the scale, which then stands first or last). The unit of
// s bytes at byte o of a row is, for row r of 16 rows,
//   at 16 * o + s * r
// from the start of these 16: units of 16 rows stand side by side, blocks in
// the order of the row, no byte is added. So 16 rows are one stream of memory,
// and a load gives the same dword of each of them.
//
// Types are those of the formats, with numbers from kFirstPacked on and "_r16"
// behind the name. They are made by the pass pack_weights (ops/pack.h); no file
// holds them.
#ifndef WEFT_GRAPH_PACKED_H_
#define WEFT_GRAPH_PACKED_H_

#include <cstddef>
#include <cstdint>

#include "graph/dtype.h"

namespace weft::inline v0 {

inline constexpr int64_t kPackedRows = 16;
inline constexpr int32_t kFirstPacked = 1024;

constexpr bool IsPacked(DType type) {
  return static_cast<int32_t>(type) >= kFirstPacked;
}
// The packed type of a format's rows, which CanPack() says that it has.
constexpr DType PackedType(DType rows) {
  return static_cast<DType>(static_cast<int32_t>(rows) + kFirstPacked);
}
constexpr DType RowsType(DType packed) {
  return static_cast<DType>(static_cast<int32_t>(packed) - kFirstPacked);
}
// Formats of integer codes: all in blocks that weft decodes.
bool CanPack(DType rows);

// Packs `n` rows of `row_bytes` bytes, whole blocks of `type`, n a multiple of
// kPackedRows; the ranges do not overlap.
void PackRows(DType type, const std::byte* rows, int64_t n, int64_t row_bytes,
              std::byte* packed);
// The inverse.
void UnpackRows(DType type, const std::byte* packed, int64_t n,
                int64_t row_bytes, std::byte* rows);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_PACKED_H_
