// Where the tensors' data lies in the file.
#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/gguf_internal.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

// The tensors in the order of their data.
class DataOrder {
 public:
  explicit DataOrder(const std::vector<GgufTensor>& tensors)
      : tensors_(tensors) {
    const auto by_offset = [](const GgufTensor& a, const GgufTensor& b) {
      return a.offset < b.offset;
    };
    // The usual case takes no memory.
    if (std::is_sorted(tensors.begin(), tensors.end(), by_offset)) return;
    order_.resize(tensors.size());
    std::iota(order_.begin(), order_.end(), 0u);
    std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
      return by_offset(tensors[a], tensors[b]);
    });
  }

  bool is_table_order() const { return order_.empty(); }
  size_t size() const { return tensors_.size(); }
  const GgufTensor& operator[](size_t i) const {
    return tensors_[order_.empty() ? i : order_[i]];
  }

 private:
  const std::vector<GgufTensor>& tensors_;
  std::vector<uint32_t> order_;
};

// The position of the offset field of `tensor`, after name, n_dims, dims, type.
uint64_t OffsetFieldAt(const GgufInput& in, const GgufTensor& tensor) {
  const uint64_t at = in.PositionOf(tensor.name) + tensor.name.size();
  const auto n_dims = LoadLittleEndian<uint32_t>(in.bytes.data() + at);
  return at + 4 + 8ull * n_dims + 4;
}

// From offsets in the data section to offsets in the file.
absl::Status MakeOffsetsAbsolute(const GgufInput& in, uint64_t data_start,
                                 std::vector<GgufTensor>& tensors) {
  for (GgufTensor& tensor : tensors) {
    const auto offset = CheckedAdd(data_start, tensor.offset);
    if (!offset || !CheckedAdd(*offset, tensor.bytes))
      return in.Error(
          StatusCode::kInvalidArgument,
          {.id = "GGUF-T25",
           .at = OffsetFieldAt(in, tensor),
           .field = absl::StrCat("offset of ", QuoteInput(tensor.name)),
           .value = absl::StrCat(tensor.offset),
           .expected = "an end below 2^64"});
    tensor.offset = *offset;
  }
  return absl::OkStatus();
}

struct DataExtent {
  uint64_t end = 0;  // of the last tensor's data
  size_t n_gaps = 0;
  const GgufTensor* after_gap = nullptr;  // the first one
};

absl::StatusOr<DataExtent> CheckOverlaps(const GgufInput& in,
                                         const DataOrder& order,
                                         uint64_t data_start,
                                         uint32_t alignment) {
  DataExtent extent{.end = data_start};
  const GgufTensor* before = nullptr;
  for (size_t i = 0; i < order.size(); ++i) {
    const GgufTensor& tensor = order[i];
    if (tensor.bytes == 0) continue;
    if (tensor.offset < extent.end)
      return in.Error(
          StatusCode::kInvalidArgument,
          {.id = "GGUF-T22",
           .at = OffsetFieldAt(in, tensor),
           .field = absl::StrCat("data of ", QuoteInput(tensor.name)),
           .value = absl::StrCat("at ", tensor.offset, " and overlaps ",
                                 QuoteInput(before->name)),
           .expected = absl::StrCat("a start at ", extent.end, " or later")});
    // Wraps only at the very end of the address range, where nothing follows.
    const auto padded = CheckedRoundUp(extent.end, alignment);
    if (padded && tensor.offset > *padded && extent.n_gaps++ == 0)
      extent.after_gap = &tensor;
    extent.end = tensor.offset + tensor.bytes;
    before = &tensor;
  }
  return extent;
}

absl::Status MissingData(const GgufInput& in, uint64_t data_start,
                         const GgufTensor& tensor, uint64_t data_end) {
  const uint64_t size = in.bytes.size();
  const std::string needs = absl::StrCat(
      "the tensors need a file of ", data_end, " bytes, this one has ", size);
  if (size <= data_start)
    return in.Error(
        StatusCode::kDataLoss,
        {.id = "GGUF-D2",
         .at = size,
         .field = "data section",
         .value = "missing",
         .expected = absl::StrCat("data of ", QuoteInput(tensor.name),
                                  " at byte ", tensor.offset),
         .hint = needs});
  const uint64_t end = tensor.offset + tensor.bytes;
  const uint64_t missing = end - std::max(size, tensor.offset);
  return in.Error(StatusCode::kDataLoss,
                  {.id = "GGUF-D1",
                   .at = tensor.offset,
                   .field = absl::StrCat("data of ", QuoteInput(tensor.name)),
                   .value = absl::StrCat("cut off, ", missing, " of ",
                                         tensor.bytes, " bytes missing"),
                   .expected = absl::StrCat("an end at byte ", end),
                   .hint = needs});
}

void Warn(const GgufInput& in, const InputError& error,
          std::vector<std::string>& warnings) {
  warnings.push_back(FormatInputError(in.source, error));
}

void WarnOfOrder(const GgufInput& in, const DataOrder& order,
                 const DataExtent& extent, std::vector<std::string>& warnings) {
  if (!order.is_table_order())
    Warn(in,
         {.id = "GGUF-T26",
          .at = OffsetFieldAt(in, order[0]),
          .field = "order of the data",
          .value = "not that of the tensor table",
          .expected = "the same order",
          .hint = "ggml refuses such files"},
         warnings);
  if (extent.n_gaps > 0)
    Warn(in,
         {.id = "GGUF-T23",
          .at = OffsetFieldAt(in, *extent.after_gap),
          .field =
              absl::StrCat("data before ", QuoteInput(extent.after_gap->name)),
          .value = "unused",
          .expected = "no gaps",
          .hint = absl::StrCat(extent.n_gaps, " in all; ggml refuses them")},
         warnings);
}

// Bytes after the data, but for the padding that ggml writes.
void WarnOfExtraBytes(const GgufInput& in, uint64_t end, uint32_t alignment,
                      std::vector<std::string>& warnings) {
  const uint64_t size = in.bytes.size();
  if (size <= end || size == CheckedRoundUp(end, alignment)) return;
  Warn(in,
       {.id = "GGUF-D4",
        .at = end,
        .field = "end of the file",
        .value = absl::StrCat("at byte ", size),
        .expected = absl::StrCat("at byte ", end),
        .hint = absl::StrCat(size - end, " extra bytes are ignored")},
       warnings);
}

// Sets `data`; gives the number of tensors whose data is missing.
size_t AttachData(const GgufInput& in, std::vector<GgufTensor>& tensors) {
  size_t n_missing = 0;
  for (GgufTensor& tensor : tensors) {
    if (tensor.bytes == 0) continue;
    if (tensor.offset + tensor.bytes <= in.bytes.size())
      tensor.data = in.bytes.subspan(tensor.offset, tensor.bytes);
    else
      ++n_missing;
  }
  return n_missing;
}

// The tensor that is reported when data is missing: the first that is cut.
const GgufTensor& FirstMissing(const GgufInput& in, const DataOrder& order) {
  size_t i = 0;
  while (order[i].offset + order[i].bytes <= in.bytes.size() ||
         order[i].bytes == 0)
    ++i;
  return order[i];
}

}  // namespace

absl::Status PlaceGgufTensors(const GgufInput& in, const GgufLayout& layout,
                              std::vector<GgufTensor>& tensors,
                              std::vector<std::string>& warnings) {
  // `table_end` lies in the file, so this cannot wrap.
  const uint64_t data_start = CheckedRoundUp(layout.table_end, layout.alignment)
                                  .value_or(layout.table_end);
  WEFT_RETURN_IF_ERROR(MakeOffsetsAbsolute(in, data_start, tensors));
  const DataOrder order(tensors);
  WEFT_ASSIGN_OR_RETURN(const DataExtent extent,
                        CheckOverlaps(in, order, data_start, layout.alignment));
  const size_t n_missing = AttachData(in, tensors);
  if (n_missing > 0 && !layout.header_only)
    return MissingData(in, data_start, FirstMissing(in, order), extent.end);
  if (n_missing > 0)
    Warn(in,
         {.id = "GGUF-D3",
          .at = in.bytes.size(),
          .field = "data",
          .value = absl::StrCat("missing or cut off for ", n_missing, " of ",
                                tensors.size(), " tensors"),
          .expected = absl::StrCat("a file of ", extent.end, " bytes")},
         warnings);
  WarnOfOrder(in, order, extent, warnings);
  const bool has_data = extent.end > data_start;
  WarnOfExtraBytes(in, has_data ? extent.end : layout.table_end,
                   layout.alignment, warnings);
  return absl::OkStatus();
}

}  // namespace weft::inline v0
