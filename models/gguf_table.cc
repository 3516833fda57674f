// The tensor table as a whole: count, duplicates, total size.
#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/gguf_internal.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

// Entries with the shape of the one before share its dims: most of a model's
// layers look alike.
bool SharesDims(absl::Span<const int64_t> last, const GgufTensorInfo& info) {
  return last == info.Dims();
}

// What the first walk over the table finds out.
struct Scan {
  size_t n_dims = 0;      // numbers that `GgufTable::dims` will hold
  uint64_t total = 0;     // padded bytes of all tensors
  uint64_t data_end = 0;  // of the data section, from its start
  GgufTensorInfo last;

  // False when a sum overflows.
  bool Add(const GgufTensorInfo& info) {
    if (!SharesDims(last.Dims(), info)) n_dims += info.Dims().size();
    last = info;
    const auto sum = CheckedAdd(total, info.padded_bytes);
    if (!sum) return false;
    total = *sum;
    // An offset that wraps is an error of its own, found when data is placed.
    if (const auto end = CheckedAdd(info.offset, info.bytes))
      data_end = std::max(data_end, *end);
    return true;
  }
};

// Whether the file ends just where it would if the table ended at `at`.
bool IsWholeFile(const GgufInput& in, uint32_t alignment, uint64_t at,
                 uint64_t data_bytes) {
  const auto start = CheckedRoundUp(at, alignment);
  const auto end = start ? CheckedAdd(*start, data_bytes) : std::nullopt;
  if (!end) return false;
  return in.bytes.size() == *end ||
         in.bytes.size() == CheckedRoundUp(*end, alignment);
}

// A count that is too large makes the reader take padding and data for entries.
// If the file is whole without them, that is the error to report, not the first
// odd byte of the padding.
absl::Status ExplainBadEntry(const GgufInput& in, const GgufTableShape& shape,
                             const Scan& scan, uint64_t index, uint64_t at,
                             absl::Status error) {
  if (index == 0 || !IsWholeFile(in, shape.alignment, at, scan.data_end))
    return error;
  return in.Error(
      StatusCode::kDataLoss,
      {.id = "GGUF-H10",
       .at = at,
       .field = absl::StrCat("tensor ", index, " of ", shape.n_tensors),
       .value = "missing",
       .expected = absl::StrCat(shape.n_tensors, " entries, as n_tensors says"),
       .hint = absl::StrCat("the file is whole with ", index, " tensors")});
}

absl::StatusOr<Scan> ScanTable(const GgufInput& in, const GgufTableShape& shape,
                               ByteReader& reader) {
  Scan scan;
  for (uint64_t i = 0; i < shape.n_tensors; ++i) {
    const uint64_t at = reader.position();
    absl::StatusOr<GgufTensorInfo> info =
        ReadGgufTensorInfo(in, shape, i, reader);
    if (!info.ok())
      return ExplainBadEntry(in, shape, scan, i, at, info.status());
    if (!scan.Add(*info))
      return in.Error(StatusCode::kInvalidArgument,
                      {.id = "GGUF-T16",
                       .at = at,
                       .field = absl::StrCat("total size of tensors 0 to ", i),
                       .value = "over 2^64 bytes",
                       .expected = "less than 2^64 bytes"});
  }
  return scan;
}

// A count that is too small would shift the data section into the table, and
// every tensor would silently hold wrong values. Zero padding, or data, does
// not read as one more entry.
absl::Status CheckTableEnd(const GgufInput& in, const GgufTableShape& shape,
                           ByteReader reader) {
  const uint64_t at = reader.position();
  const absl::StatusOr<GgufTensorInfo> extra =
      ReadGgufTensorInfo(in, shape, shape.n_tensors, reader);
  if (!extra.ok() || extra->bytes == 0) return absl::OkStatus();
  return in.Error(
      StatusCode::kInvalidArgument,
      {.id = "GGUF-H12",
       .at = at,
       .field = "n_tensors",
       .value = absl::StrCat(shape.n_tensors),
       .expected = absl::StrCat("at least ", shape.n_tensors + 1),
       .hint = absl::StrCat("an entry ", QuoteInput(extra->name), " follows")});
}

absl::Status AddTensor(const GgufInput& in, const GgufTensorInfo& info,
                       GgufTable& table) {
  auto& [tensors, dims, index] = table;
  absl::Span<const int64_t> shape;
  if (!tensors.empty()) shape = tensors.back().dims;
  if (!SharesDims(shape, info)) {
    // Reserved by the caller, so views into `dims` stay valid.
    dims.insert(dims.end(), info.Dims().begin(), info.Dims().end());
    shape = absl::MakeConstSpan(dims).last(info.Dims().size());
  }
  tensors.push_back({.name = info.name,
                     .dtype = info.dtype,
                     .dims = shape,
                     .bytes = info.bytes,
                     .offset = info.offset,
                     .data = {}});
  const std::optional<uint32_t> first =
      index.Insert(static_cast<uint32_t>(tensors.size() - 1));
  if (!first) return absl::OkStatus();
  return in.Error(StatusCode::kAlreadyExists,
                  {.id = "GGUF-T4",
                   .at = in.PositionOf(info.name),
                   .field = absl::StrCat("name of tensor ", tensors.size() - 1,
                                         ", ", QuoteInput(info.name), ","),
                   .value = absl::StrCat("a duplicate of tensor ", *first),
                   .expected = "every name once"});
}

}  // namespace

absl::Status ReadGgufTable(const GgufInput& in, const GgufTableShape& shape,
                           ByteReader& reader, GgufTable& table) {
  if (shape.n_tensors > std::numeric_limits<uint32_t>::max())
    return in.Error(StatusCode::kResourceExhausted,
                    {.id = "GGUF-T5",
                     .at = 8,
                     .field = "n_tensors",
                     .value = absl::StrCat(shape.n_tensors),
                     .expected = "at most 2^32-1"});
  // As for keys: memory is taken once, when the count is known to be true.
  ByteReader ahead = reader;
  WEFT_ASSIGN_OR_RETURN(const Scan scan, ScanTable(in, shape, ahead));
  WEFT_RETURN_IF_ERROR(CheckTableEnd(in, shape, ahead));
  table.tensors.reserve(shape.n_tensors);
  table.dims.reserve(scan.n_dims);
  table.index.Reserve(shape.n_tensors);
  for (uint64_t i = 0; i < shape.n_tensors; ++i) {
    WEFT_ASSIGN_OR_RETURN(const GgufTensorInfo info,
                          ReadGgufTensorInfo(in, shape, i, reader));
    WEFT_RETURN_IF_ERROR(AddTensor(in, info, table));
  }
  return absl::OkStatus();
}

}  // namespace weft::inline v0
