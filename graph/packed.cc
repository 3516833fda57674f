#include "graph/packed.h"

#include <cstring>
#include <type_traits>

#include "graph/blocks/blocks.h"

namespace weft::inline v0 {
namespace {

// Copies a unit of kBytes between row r of 16 rows and their packed form.
template <class Block, size_t kBytes, bool kPack>
void CopyUnit(std::byte* block, std::byte* packed, size_t offset, size_t r) {
  std::byte* there =
      packed + kPackedRows * PackedOffset<Block>(offset) + kBytes * r;
  if constexpr (kPack)
    std::memcpy(there, block + offset, kBytes);
  else
    std::memcpy(block + offset, there, kBytes);
}

// Blocks that are packed as one: of bf16 two values, which instructions for it
// take as one number.
template <class Block>
constexpr int kPackedBlocks = std::is_same_v<Block, BlockBF16> ? 2 : 1;

// Where codes begin in a block.
template <class Block>
constexpr size_t CodesAt() {
  if constexpr (Block::kCount > 1) {
    return offsetof(Block, q);
  } else {
    return 0;
  }
}

template <class Block, bool kPack>
void CopyRow(std::byte* row, std::byte* packed, int64_t row_bytes, size_t r) {
  constexpr size_t kBytes = kPackedBlocks<Block> * sizeof(Block);
  constexpr size_t kOdd = kBytes % 4, kDwords = kBytes - kOdd;
  static_assert(kOdd != 3, "one unit of two bytes or of one");
  constexpr size_t kFirst = CodesAt<Block>() % 4 != 0 ? kOdd : 0;
  for (int64_t at = 0; at < row_bytes; at += kBytes) {
    for (size_t i = kFirst; i < kFirst + kDwords; i += 4)
      CopyUnit<Block, 4, kPack>(row + at, packed + kPackedRows * at, i, r);
    if constexpr (kOdd != 0)
      CopyUnit<Block, kOdd, kPack>(row + at, packed + kPackedRows * at,
                                   kFirst != 0 ? 0 : kDwords, r);
  }
}

using CopyRowFn = void (*)(std::byte*, std::byte*, int64_t, size_t);

template <class Block, bool kPack>
void Find(DType type, CopyRowFn& found) {
  if constexpr (kCanPack<Block>)
    if (type == Block::kType) found = CopyRow<Block, kPack>;
}

// Null: the type is not packed.
template <bool kPack, class... Bs>
CopyRowFn FindCopy(DType type, TypeList<Bs...>) {
  CopyRowFn found = nullptr;
  (Find<Bs, kPack>(type, found), ...);
  return found;
}

template <bool kPack>
void CopyRows(DType type, std::byte* rows, int64_t n, int64_t row_bytes,
              std::byte* packed) {
  const CopyRowFn copy = FindCopy<kPack>(type, Blocks());
  for (int64_t row = 0; row < n; ++row)
    copy(rows + row * row_bytes,
         packed + row / kPackedRows * kPackedRows * row_bytes, row_bytes,
         static_cast<size_t>(row % kPackedRows));
}

}  // namespace

bool CanPack(DType rows) { return FindCopy<true>(rows, Blocks()) != nullptr; }

bool CanPackLength(DType rows, int64_t n) {
  return n % (rows == DType::kBF16 ? kPackedBlocks<BlockBF16> : 1) == 0;
}

void PackRows(DType type, const std::byte* rows, int64_t n, int64_t row_bytes,
              std::byte* packed) {
  // Only read: packing writes into `packed`.
  CopyRows<true>(type, const_cast<std::byte*>(rows), n, row_bytes, packed);
}

void UnpackRows(DType type, const std::byte* packed, int64_t n,
                int64_t row_bytes, std::byte* rows) {
  CopyRows<false>(type, rows, n, row_bytes, const_cast<std::byte*>(packed));
}

}  // namespace weft::inline v0
