#include "graph/dtype.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <vector>

#include "graph/blocks/blocks.h"
#include "graph/blocks/q8_a.h"
#include "graph/blocks/q8_a32.h"
#include "graph/packed.h"

namespace weft::inline v0 {
namespace {

// Built without floating-point contraction (see CMakeLists.txt): a decoded
// value is the product that the format defines, rounded once.
template <class Block>
void Decode(const void* blocks, int64_t n_blocks, float* out) {
  const char* at = static_cast<const char*>(blocks);
  for (int64_t b = 0; b < n_blocks; ++b, at += sizeof(Block)) {
    Block block;
    std::memcpy(&block, at, sizeof(Block));
    for (int i = 0; i < Block::kCount; ++i) *out++ = block.At(i);
  }
}

template <class Block>
constexpr DTypeInfo Row() {
  return {.type = Block::kType,
          .name = Block::kName,
          .block_values = Block::kCount,
          .block_bytes = sizeof(Block),
          .decode = &Decode<Block>,
          .layout = Block::kLayout};
}

// Formats of GGUF that weft can size but not decode: {type, name, values per
// block, bytes per block}. Implemented formats come from `Blocks`.
constexpr DTypeInfo kSizedOnly[] = {
    {DType::kQ8_1, "q8_1", 32, 36, nullptr},
    {DType::kIQ2_XXS, "iq2_xxs", 256, 66, nullptr},
    {DType::kIQ2_XS, "iq2_xs", 256, 74, nullptr},
    {DType::kIQ3_XXS, "iq3_xxs", 256, 98, nullptr},
    {DType::kIQ1_S, "iq1_s", 256, 50, nullptr},
    {DType::kIQ3_S, "iq3_s", 256, 110, nullptr},
    {DType::kIQ2_S, "iq2_s", 256, 82, nullptr},
    {DType::kI8, "i8", 1, 1, nullptr},
    {DType::kI16, "i16", 1, 2, nullptr},
    {DType::kI32, "i32", 1, 4, nullptr},
    {DType::kI64, "i64", 1, 8, nullptr},
    {DType::kF64, "f64", 1, 8, nullptr},
    {DType::kIQ1_M, "iq1_m", 256, 56, nullptr},
    {DType::kTQ1_0, "tq1_0", 256, 54, nullptr},
    {DType::kTQ2_0, "tq2_0", 256, 66, nullptr},
    {DType::kNVFP4, "nvfp4", 64, 36, nullptr},
    {DType::kQ1_0, "q1_0", 128, 18, nullptr},
    {DType::kQ2_0, "q2_0", 64, 18, nullptr},
};

constexpr DTypeInfo kUnknownRow = {DType::kUnknown, "?", 1, 0, nullptr};

template <class... Bs>
constexpr auto MakeTable(TypeList<Bs...>) {
  std::array<DTypeInfo, sizeof...(Bs) + std::size(kSizedOnly)> table = {
      Row<Bs>()...};
  size_t n = sizeof...(Bs);
  for (const DTypeInfo& row : kSizedOnly) table[n++] = row;
  // Insertion sort by number: std::sort's comparator would need <algorithm>
  // in a constant expression for 35 rows.
  for (size_t i = 1; i < table.size(); ++i)
    for (size_t j = i; j > 0 && table[j].type < table[j - 1].type; --j) {
      const DTypeInfo row = table[j];
      table[j] = table[j - 1];
      table[j - 1] = row;
    }
  return table;
}

constexpr auto kTable = MakeTable(Blocks());

template <class Block>
constexpr DTypeInfo ActivationRow() {
  DTypeInfo row = Row<Block>();
  row.partial_rows = true;
  return row;
}

constexpr DTypeInfo kActivationTable[] = {ActivationRow<BlockQ8_A>(),
                                          ActivationRow<BlockQ8_A32>()};

// "q4_k_r16".
template <class Block>
struct PackedName {
  static constexpr size_t kLength = absl::string_view(Block::kName).size();
  static constexpr absl::string_view kSuffix = "_r16";
  std::array<char, kLength + kSuffix.size()> text{};
  constexpr PackedName() {
    for (size_t i = 0; i < text.size(); ++i)
      text[i] = i < kLength ? Block::kName[i] : kSuffix[i - kLength];
  }
};

template <class Block>
constexpr PackedName<Block> kPackedName;

template <class Block>
constexpr DTypeInfo PackedRow() {
  DTypeInfo row = Row<Block>();
  row.type = PackedType(Block::kType);
  row.name = absl::string_view(kPackedName<Block>.text.data(),
                               kPackedName<Block>.text.size());
  return row;
}

// Of what is packed; the others leave a row that no type finds.
template <class... Bs>
constexpr auto MakePackedTable(TypeList<Bs...>) {
  return std::array{(kCanPack<Bs> ? PackedRow<Bs>() : kUnknownRow)...};
}

constexpr auto kPackedTable = MakePackedTable(Blocks());

// DecodeRows for rows that lie together by 16.
void DecodePacked(DType type, const void* data, int64_t rows, int64_t n,
                  float* out) {
  const auto row_bytes = static_cast<size_t>(*RowBytes(type, n));
  std::vector<std::byte> together(kPackedRows * row_bytes);
  const auto* at = static_cast<const std::byte*>(data);
  for (int64_t r = 0; r < rows; r += kPackedRows, at += together.size()) {
    UnpackRows(RowsType(type), at, kPackedRows, static_cast<int64_t>(row_bytes),
               together.data());
    DecodeRows(RowsType(type), together.data(), kPackedRows, n, out + r * n);
  }
}

}  // namespace

absl::Span<const DTypeInfo> AllDTypes() { return kTable; }
absl::Span<const DTypeInfo> ActivationDTypes() { return kActivationTable; }

std::optional<DTypeInfo> FindDType(int64_t number) {
  for (const DTypeInfo& row : kTable)
    if (static_cast<int64_t>(row.type) == number) return row;
  return std::nullopt;
}

const DTypeInfo& Info(DType type) {
  for (const DTypeInfo& row : kTable)
    if (row.type == type) return row;
  for (const DTypeInfo& row : kActivationTable)
    if (row.type == type) return row;
  for (const DTypeInfo& row : kPackedTable)
    if (row.type == type) return row;
  return kUnknownRow;
}

std::optional<int64_t> RowBytes(DType type, int64_t n) {
  const DTypeInfo& info = Info(type);
  if (n < 0 || info.block_bytes == 0) return std::nullopt;
  const bool whole = n % info.block_values == 0;
  if (!whole && !info.partial_rows) return std::nullopt;
  const int64_t blocks = n / info.block_values + (whole ? 0 : 1);
  if (blocks > std::numeric_limits<int64_t>::max() / info.block_bytes)
    return std::nullopt;
  return blocks * info.block_bytes;
}

void DecodeRows(DType type, const void* data, int64_t rows, int64_t n,
                float* out) {
  if (IsPacked(type)) return DecodePacked(type, data, rows, n, out);
  const DTypeInfo& info = Info(type);
  const int64_t blocks = n / info.block_values;
  const int64_t rest = n % info.block_values;
  if (rest == 0) return info.decode(data, rows * blocks, out);
  std::array<float, 256> last;  // no block is longer
  const char* at = static_cast<const char*>(data);
  for (int64_t r = 0; r < rows; ++r) {
    info.decode(at, blocks, out);
    at += blocks * info.block_bytes;
    info.decode(at, 1, last.data());
    at += info.block_bytes;
    out = std::copy_n(last.data(), rest, out + blocks * info.block_values);
  }
}

std::optional<int64_t> PaddedRowBytes(DType type, int64_t n) {
  const int64_t block = Info(type).block_values;
  if (n > std::numeric_limits<int64_t>::max() - block) return std::nullopt;
  return RowBytes(type, n < 0 ? n : (n + block - 1) / block * block);
}

}  // namespace weft::inline v0
