// Packed weights: rows that lie together by 16, for kernels that turn rows into
// the lanes of vectors.
//
// Layout of w [N, K], N a multiple of 16. The bytes of a row are cut into
// units: a block's dwords and, where its size is no multiple of four, one unit
// of two bytes or one (the scale, which then stands first or last); of bf16 two
// values, of f16 one. The unit of s bytes at byte o of a row is, for row r of 16
// rows,
//   at 16 * o + s * r
// from the start of these 16: units of 16 rows stand side by side, blocks in
// the order of the row, no byte is added. Within a block bytes keep their order
// unless PackedOffset() below says otherwise. So 16 rows are one stream of
// memory, and a load gives the same dword of each of them.
//
// Types are those of the formats, with numbers from kFirstPacked on and "_r16"
// behind the name. They are made by the pass pack_weights (ops/pack.h); no file
// holds them.
#ifndef WEFT_GRAPH_PACKED_H_
#define WEFT_GRAPH_PACKED_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "graph/blocks/plain.h"
#include "graph/blocks/q2_k.h"
#include "graph/blocks/q3_k.h"
#include "graph/blocks/q6_k.h"
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
// Where the unit at byte `offset` of a block stands in the packed block.
// Kernels read a block from its first byte to its last, which is what
// prefetchers of memory follow: formats that keep the bits of a code far apart
// are put in the order in which they are read (q6_k, one token, two threads on
// Zen 4: 17 GB/s in the file's order, 36 in this one).
// Their codecs read units by PackedRows::Unit<Block>; At() is right where the
// order is the file's.
template <class Block>
constexpr size_t PackedOffset(size_t offset) {
  return offset;
}
// d and dmin, then the rest.
template <>
constexpr size_t PackedOffset<BlockQ2_K>(size_t offset) {
  constexpr size_t kLast = offsetof(BlockQ2_K, d);
  return offset >= kLast ? offset - kLast : offset + sizeof(BlockQ2_K) - kLast;
}
// Scales; then twice 16 bytes of qh and the two times 16 bytes of q whose codes
// they complete; d.
template <>
constexpr size_t PackedOffset<BlockQ3_K>(size_t offset) {
  using Block = BlockQ3_K;
  constexpr size_t kParts = sizeof(Block::scales), kPart = 48;
  if (offset >= offsetof(Block, d)) return offset;
  if (offset >= offsetof(Block, scales))
    return offset - offsetof(Block, scales);
  if (offset < offsetof(Block, q))
    return kParts + offset / 16 * kPart + offset % 16;
  const size_t at = offset - offsetof(Block, q);
  return kParts + at % 32 / 16 * kPart + 16 + at / 32 * 16 + at % 16;
}
// Scales; then four times 16 bytes of qh and the two times 16 bytes of q
// whose codes they complete; d.
template <>
constexpr size_t PackedOffset<BlockQ6_K>(size_t offset) {
  using Block = BlockQ6_K;
  constexpr size_t kParts = sizeof(Block::scales), kPart = 48;
  if (offset >= offsetof(Block, d)) return offset;
  if (offset >= offsetof(Block, scales))
    return offset - offsetof(Block, scales);
  if (offset >= offsetof(Block, qh)) {
    const size_t at = offset - offsetof(Block, qh);
    return kParts + at / 16 * kPart + at % 16;
  }
  const size_t part = offset / 64 * 2 + offset % 32 / 16;
  return kParts + part * kPart + 16 + offset % 64 / 32 * 16 + offset % 16;
}

// Blocks of integer codes that weft decodes, bf16 and f16.
template <class Block>
constexpr bool kCanPack = Block::kCount > 1 ||
                          std::is_same_v<Block, BlockBF16> ||
                          std::is_same_v<Block, BlockF16>;
bool CanPack(DType rows);
// Rows of n values, whole blocks of a format that CanPack(), can be packed.
bool CanPackLength(DType rows, int64_t n);

// Packs `n` rows of `row_bytes` bytes, of a length that CanPackLength() of
// `type`, n a multiple of kPackedRows; the ranges do not overlap.
void PackRows(DType type, const std::byte* rows, int64_t n, int64_t row_bytes,
              std::byte* packed);
// The inverse.
void UnpackRows(DType type, const std::byte* packed, int64_t n,
                int64_t row_bytes, std::byte* rows);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_PACKED_H_
