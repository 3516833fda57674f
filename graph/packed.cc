#include "graph/packed.h"

#include <cstring>

#include "graph/blocks/blocks.h"

namespace weft::inline v0 {
namespace {

// How a block is cut into units.
struct Units {
  int64_t block = 0;       // bytes
  int64_t odd = 0;         // bytes of the unit that is no dword; 0: none
  bool odd_first = false;  // it stands before the dwords, else behind them
};

template <class Block>
void Find(DType type, Units& found) {
  if constexpr (Block::kCount > 1) {
    if (type != Block::kType) return;
    found = {.block = sizeof(Block),
             .odd = sizeof(Block) % 4,
             .odd_first = offsetof(Block, q) % 4 != 0};
    static_assert(sizeof(Block) % 4 != 3, "one unit of two bytes or of one");
  }
}

template <class... Bs>
Units UnitsOf(DType type, TypeList<Bs...>) {
  Units found;
  (Find<Bs>(type, found), ...);
  return found;
}

// Copies a unit of kBytes between row r of 16 rows and their packed form.
template <int64_t kBytes, bool kPack>
void CopyUnit(std::byte* row, std::byte* packed, int64_t offset, int64_t r) {
  std::byte* there = packed + kPackedRows * offset + kBytes * r;
  if constexpr (kPack)
    std::memcpy(there, row + offset, kBytes);
  else
    std::memcpy(row + offset, there, kBytes);
}

template <int64_t kOdd, bool kPack>
void CopyRow(const Units& units, int64_t row_bytes, int64_t r, std::byte* row,
             std::byte* packed) {
  const int64_t dwords = units.block - kOdd;
  const int64_t first = units.odd_first ? kOdd : 0;
  for (int64_t at = 0; at < row_bytes; at += units.block) {
    for (int64_t i = at + first; i < at + first + dwords; i += 4)
      CopyUnit<4, kPack>(row, packed, i, r);
    if constexpr (kOdd != 0)
      CopyUnit<kOdd, kPack>(row, packed, units.odd_first ? at : at + dwords, r);
  }
}

template <bool kPack>
void CopyRows(DType type, std::byte* rows, int64_t n, int64_t row_bytes,
              std::byte* packed) {
  const Units units = UnitsOf(type, Blocks());
  const auto copy = units.odd == 0   ? CopyRow<0, kPack>
                    : units.odd == 1 ? CopyRow<1, kPack>
                                     : CopyRow<2, kPack>;
  for (int64_t row = 0; row < n; ++row)
    copy(units, row_bytes, row % kPackedRows, rows + row * row_bytes,
         packed + row / kPackedRows * kPackedRows * row_bytes);
}

}  // namespace

bool CanPack(DType rows) { return UnitsOf(rows, Blocks()).block != 0; }

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
