// One entry of the tensor table.
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "graph/status_macros.h"
#include "models/gguf_internal.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

// gguf.md allows 64; ggml keeps names in 64 bytes with a NUL (GGML_MAX_NAME),
// so that a file with a longer one is of use to no other reader.
constexpr uint64_t kMaxNameBytes = 63;
constexpr uint32_t kMaxDims = 4;
constexpr uint64_t kMaxInt64 = std::numeric_limits<int64_t>::max();

// An entry while it is read.
struct Entry {
  const GgufInput& in;
  uint64_t index;
  uint64_t n_tensors;
  absl::string_view name = {};

  std::string Label() const {
    const std::string label = absl::StrCat("tensor ", index, " of ", n_tensors);
    return name.empty() ? label : absl::StrCat(label, " ", QuoteInput(name));
  }
  absl::Status CutOff(const ByteReader& reader, uint64_t need) const {
    return in.CutOff("GGUF-T6", reader, Label(), need);
  }
  absl::Status Invalid(InputError error) const {
    error.field = absl::StrCat(error.field, " of ", Label());
    return in.Error(StatusCode::kInvalidArgument, error);
  }
};

// Takes one character off `text`: nullopt where that is no well-formed UTF-8
// (Unicode 15, table 3-7).
std::optional<uint32_t> TakeUtf8(absl::string_view& text) {
  const auto byte = [&](size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const unsigned char first = byte(0);
  const size_t size = first < 0x80   ? 1
                      : first < 0xe0 ? 2
                      : first < 0xf0 ? 3
                                     : 4;
  if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || text.size() < size)
    return std::nullopt;
  uint32_t code = size == 1 ? first : first & (0xffu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    code = code << 6 | (byte(i) & 0x3fu);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kSmallest[size] || code > 0x10ffff || is_surrogate)
    return std::nullopt;
  text.remove_prefix(size);
  return code;
}

// Whether `name` can be printed and written to JSON as it is.
bool IsCleanName(absl::string_view name) {
  while (!name.empty()) {
    const std::optional<uint32_t> code = TakeUtf8(name);
    if (!code || *code < 0x20 || (*code >= 0x7f && *code < 0xa0)) return false;
  }
  return true;
}

absl::StatusOr<absl::string_view> ReadName(const Entry& entry,
                                           ByteReader& reader) {
  const uint64_t at = reader.position();
  const std::optional<uint64_t> size = reader.Read<uint64_t>();
  if (!size || *size > reader.remaining())
    return entry.CutOff(reader, size.value_or(8));
  if (*size == 0)
    return entry.Invalid({.id = "GGUF-T1",
                          .at = at,
                          .field = "name",
                          .value = "empty",
                          .expected = "1 to 63 bytes",
                          .hint = "empty tensor name"});
  if (*size > kMaxNameBytes)
    return entry.Invalid({.id = "GGUF-T2",
                          .at = at,
                          .field = "length of the name",
                          .value = absl::StrCat(*size),
                          .expected = "at most 63 bytes",
                          .hint = "tensor name over the limit of 63"});
  const absl::string_view name = *reader.ReadBytes(*size);
  if (!IsCleanName(name))
    return entry.Invalid({.id = "GGUF-T3",
                          .at = at + 8,
                          .field = "name",
                          .value = QuoteInput(name),
                          .expected = "UTF-8 without control characters",
                          .hint = "unprintable tensor name"});
  return name;
}

std::string DimsText(const GgufTensorInfo& info) {
  return absl::StrCat("[", absl::StrJoin(info.Dims(), ","), "]");
}

// Reads n_dims and the dims into `info`, slowest first.
absl::Status ReadDims(const Entry& entry, ByteReader& reader,
                      GgufTensorInfo& info) {
  const uint64_t n_dims_at = reader.position();
  const std::optional<uint32_t> n_dims = reader.Read<uint32_t>();
  if (!n_dims) return entry.CutOff(reader, 4);
  if (*n_dims > kMaxDims)
    return entry.in.Error(
        StatusCode::kUnimplemented,
        {.id = "GGUF-T7",
         .at = n_dims_at,
         .field = absl::StrCat("n_dims of ", entry.Label()),
         .value = absl::StrCat(*n_dims),
         .expected = "at most 4",
         .hint = absl::StrCat("n_dims ", *n_dims, " is over the limit")});
  info.n_dims = *n_dims == 0 ? 1 : static_cast<int>(*n_dims);
  info.dims[0] = 1;
  for (size_t i = *n_dims; i-- > 0;) {
    const std::optional<uint64_t> dim = reader.Read<uint64_t>();
    if (!dim) return entry.CutOff(reader, 8);
    if (*dim > kMaxInt64)
      return entry.Invalid({.id = "GGUF-T9",
                            .at = reader.position() - 8,
                            .field = "a dimension",
                            .value = absl::StrCat(*dim),
                            .expected = "less than 2^63",
                            .hint = "element count overflows"});
    info.dims[i] = static_cast<int64_t>(*dim);
  }
  return absl::OkStatus();
}

// The number of elements. Dimensions of 0 must not hide an overflow of the
// others: strides are products of them too.
absl::StatusOr<uint64_t> CountElements(const Entry& entry, uint64_t at,
                                       const GgufTensorInfo& info) {
  uint64_t product = 1;
  bool is_empty = false;
  for (const int64_t dim : info.Dims()) {
    is_empty |= dim == 0;
    const uint64_t factor = dim == 0 ? 1 : static_cast<uint64_t>(dim);
    const std::optional<uint64_t> next = CheckedMul(product, factor);
    if (!next || *next > kMaxInt64)
      return entry.Invalid({.id = "GGUF-T10",
                            .at = at,
                            .field = "shape",
                            .value = DimsText(info),
                            .expected = "fewer than 2^63 elements",
                            .hint = "element count overflows"});
    product = *next;
  }
  return is_empty ? 0 : product;
}

absl::StatusOr<DTypeInfo> ReadDType(const Entry& entry, ByteReader& reader) {
  const uint64_t at = reader.position();
  const std::optional<uint32_t> number = reader.Read<uint32_t>();
  if (!number) return entry.CutOff(reader, 4);
  // From 256 on dtypes are weft's own and never in a file.
  const std::optional<DTypeInfo> dtype =
      *number < 256 ? FindDType(*number) : std::nullopt;
  if (dtype) return *dtype;
  // Formats that ggml once wrote: repacked q4_0 and iq4_nl, q4_2 and q4_3.
  const bool removed = *number == 4 || *number == 5 ||
                       (*number >= 31 && *number <= 33) ||
                       (*number >= 36 && *number <= 38);
  return entry.in.Error(
      StatusCode::kUnimplemented,
      {.id = "GGUF-T19",
       .at = at,
       .field = absl::StrCat("type of ", entry.Label()),
       .value = absl::StrCat(*number),
       .expected = "the number of a known tensor type",
       .hint = removed ? "removed from ggml: convert the model again" : ""});
}

// Sets `bytes` and `padded_bytes`; `at` is the entry's position.
absl::Status SizeTensor(const Entry& entry, uint64_t at, const DTypeInfo& dtype,
                        uint32_t alignment, GgufTensorInfo& info) {
  WEFT_ASSIGN_OR_RETURN(const uint64_t elements,
                        CountElements(entry, at, info));
  const auto block = static_cast<uint64_t>(dtype.block_values);
  if (static_cast<uint64_t>(info.Dims().back()) % block != 0)
    return entry.Invalid(
        {.id = "GGUF-T17",
         .at = at,
         .field = "fastest dimension",
         .value = absl::StrCat(info.Dims().back()),
         .expected = absl::StrCat("a multiple of block ", block),
         .hint = absl::StrCat(dtype.name, " rows are whole blocks")});
  // Rows are whole blocks, so the division is exact.
  const std::optional<uint64_t> bytes =
      CheckedMul(elements / block, static_cast<uint64_t>(dtype.block_bytes));
  InputError error{.at = at, .field = "shape", .value = DimsText(info)};
  error.expected = absl::StrCat("less than 2^64 bytes of ", dtype.name);
  if (!bytes) {
    error.id = "GGUF-T13";
    error.hint = "byte size overflows";
    return entry.Invalid(std::move(error));
  }
  const std::optional<uint64_t> padded = CheckedRoundUp(*bytes, alignment);
  if (!padded) {
    error.id = "GGUF-T14";
    error.hint = "padded size overflows";
    return entry.Invalid(std::move(error));
  }
  info.bytes = *bytes;
  info.padded_bytes = *padded;
  return absl::OkStatus();
}

absl::Status ReadOffset(const Entry& entry, uint32_t alignment,
                        ByteReader& reader, GgufTensorInfo& info) {
  const uint64_t at = reader.position();
  const std::optional<uint64_t> offset = reader.Read<uint64_t>();
  if (!offset) return entry.CutOff(reader, 8);
  if (*offset % alignment != 0)
    return entry.Invalid(
        {.id = "GGUF-T21",
         .at = at,
         .field = "offset",
         .value = absl::StrCat(*offset),
         .expected = absl::StrCat("a multiple of the alignment ", alignment)});
  info.offset = *offset;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<GgufTensorInfo> ReadGgufTensorInfo(const GgufInput& in,
                                                  const GgufTableShape& shape,
                                                  uint64_t index,
                                                  ByteReader& reader) {
  const uint64_t at = reader.position();
  Entry entry{in, index, shape.n_tensors};
  GgufTensorInfo info;
  WEFT_ASSIGN_OR_RETURN(info.name, ReadName(entry, reader));
  entry.name = info.name;
  WEFT_RETURN_IF_ERROR(ReadDims(entry, reader, info));
  WEFT_ASSIGN_OR_RETURN(const DTypeInfo dtype, ReadDType(entry, reader));
  info.dtype = dtype.type;
  WEFT_RETURN_IF_ERROR(ReadOffset(entry, shape.alignment, reader, info));
  WEFT_RETURN_IF_ERROR(SizeTensor(entry, at, dtype, shape.alignment, info));
  return info;
}

}  // namespace weft::inline v0
