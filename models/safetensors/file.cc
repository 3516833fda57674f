#include "models/safetensors/file.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/byte_reader.h"
#include "models/input_error.h"
#include "models/json.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxDims = 8;

// All of the format's types.
constexpr struct {
  absl::string_view name;
  uint64_t bits;
  DType dtype;
} kTypes[] = {{"F32", 32, DType::kF32},       {"F16", 16, DType::kF16},
              {"BF16", 16, DType::kBF16},     {"F64", 64, DType::kUnknown},
              {"I64", 64, DType::kUnknown},   {"I32", 32, DType::kUnknown},
              {"I16", 16, DType::kUnknown},   {"I8", 8, DType::kUnknown},
              {"U64", 64, DType::kUnknown},   {"U32", 32, DType::kUnknown},
              {"U16", 16, DType::kUnknown},   {"U8", 8, DType::kUnknown},
              {"BOOL", 8, DType::kUnknown},   {"F8_E5M2", 8, DType::kUnknown},
              {"F8_E4M3", 8, DType::kUnknown}};

// Reads one entry of the header.
class EntryReader {
 public:
  EntryReader(absl::string_view source, const std::string& name,
              const JsonValue& entry)
      : source_(source), name_(name), entry_(entry) {}

  absl::Status Read(SafeTensor& tensor, uint64_t& begin, uint64_t& end) {
    tensor.name = name_;
    WEFT_ASSIGN_OR_RETURN(const uint64_t bits, ReadType(tensor));
    WEFT_ASSIGN_OR_RETURN(const auto shape, Numbers("shape"));
    WEFT_ASSIGN_OR_RETURN(const auto offsets, Numbers("data_offsets"));
    if (shape.size() > kMaxDims)
      return Error(StatusCode::kInvalidArgument, "ST-6", "shape",
                   absl::StrCat(shape.size(), " numbers"),
                   absl::StrCat("at most ", kMaxDims, " dimensions"));
    std::optional<uint64_t> count = 1;
    for (const int64_t dim : shape)
      count = count ? CheckedMul(*count, static_cast<uint64_t>(dim)) : count;
    if (count) count = CheckedMul(*count, bits);
    if (!count)
      return Error(StatusCode::kInvalidArgument, "ST-6", "shape",
                   "of more than 2^64 bits", "a tensor that fits a file");
    tensor.dims = shape;
    if (offsets.size() != 2 || offsets[0] > offsets[1] ||
        static_cast<uint64_t>(offsets[1] - offsets[0]) != *count / 8)
      return Error(StatusCode::kInvalidArgument, "ST-7", "data_offsets",
                   OffsetsText(offsets),
                   absl::StrCat("a begin and an end ", *count / 8,
                                " bytes behind it, as the shape asks for"));
    begin = static_cast<uint64_t>(offsets[0]);
    end = static_cast<uint64_t>(offsets[1]);
    return absl::OkStatus();
  }

 private:
  absl::Status Error(StatusCode code, absl::string_view id,
                     absl::string_view field, absl::string_view found,
                     absl::string_view expected) const {
    return MakeInputError(
        code, source_,
        {.id = id,
         .at = 8,
         .field = absl::StrCat(field, " of ", QuoteInput(name_)),
         .value = std::string(found),
         .expected = std::string(expected)});
  }

  static std::string OffsetsText(const std::vector<int64_t>& offsets) {
    std::string text = "[";
    for (const int64_t n : offsets)
      absl::StrAppend(&text, text.size() > 1 ? ", " : "", n);
    return text + "]";
  }

  absl::StatusOr<uint64_t> ReadType(SafeTensor& tensor) const {
    const JsonValue* type = entry_.Find("dtype");
    if (type == nullptr || !type->is_string())
      return Error(StatusCode::kInvalidArgument, "ST-4", "dtype", "no string",
                   "the name of a type");
    tensor.type = type->string();
    for (const auto& known : kTypes) {
      if (known.name != tensor.type) continue;
      tensor.dtype = known.dtype;
      return known.bits;
    }
    return Error(StatusCode::kUnimplemented, "ST-5", "dtype",
                 QuoteInput(tensor.type), "a type of the format, such as BF16");
  }

  // A list of numbers that are 0 or more.
  absl::StatusOr<std::vector<int64_t>> Numbers(absl::string_view field) const {
    const JsonValue* list = entry_.Find(field);
    if (list == nullptr || !list->is_list())
      return Error(StatusCode::kInvalidArgument, "ST-4", field, "no list",
                   "a list of numbers");
    std::vector<int64_t> numbers;
    for (const JsonValue& item : list->items()) {
      if (!item.is_integer())
        return Error(StatusCode::kInvalidArgument, "ST-4", field,
                     absl::StrCat("a list with ", DescribeJson(item)),
                     "a list of integers");
      if (item.integer() < 0)
        return Error(StatusCode::kInvalidArgument,
                     field == "shape" ? "ST-6" : "ST-7", field,
                     absl::StrCat("a list with ", item.integer()),
                     "numbers that are 0 or more");
      numbers.push_back(item.integer());
    }
    return numbers;
  }

  const absl::string_view source_;
  const std::string& name_;
  const JsonValue& entry_;
};

absl::StatusOr<absl::string_view> ReadHeader(absl::Span<const std::byte> bytes,
                                             absl::string_view source) {
  ByteReader reader(bytes);
  const auto size = reader.Read<uint64_t>();
  if (!size)
    return MakeInputError(StatusCode::kDataLoss, source,
                          {.id = "ST-1",
                           .at = bytes.size(),
                           .field = "size of the file",
                           .value = absl::StrCat(bytes.size(), " bytes"),
                           .expected = "a header's length of 8 bytes"});
  InputError error{.field = "length of the header",
                   .value = absl::StrCat(*size)};
  if (*size > kMaxHeader) {
    error.id = "ST-2";
    error.expected = absl::StrCat("at most ", kMaxHeader);
    error.hint = "maybe this is no safetensors file";
    return MakeInputError(StatusCode::kResourceExhausted, source, error);
  }
  const auto header = reader.ReadBytes(*size);
  if (header) return *header;
  error.id = "ST-1";
  error.expected = absl::StrCat("no more than the ", reader.remaining(),
                                " bytes that the file has");
  return MakeInputError(StatusCode::kDataLoss, source, error);
}

}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path,
                                                      const Options& options) {
  WEFT_ASSIGN_OR_RETURN(
      FileMapping mapping,
      FileMapping::Open(path, {.read_into_memory = options.read_into_memory,
                               .watch = options.watch}));
  SafetensorsFile file(std::move(mapping), path);
  WEFT_RETURN_IF_ERROR(file.Parse(options));
  return file;
}

absl::Status SafetensorsFile::Parse(const Options& options) {
  WEFT_ASSIGN_OR_RETURN(const absl::string_view text,
                        ReadHeader(mapping_.bytes(), source_));
  const auto header = ParseJson(text);
  InputError error{.id = "ST-3", .at = 8, .field = "header"};
  if (!header.ok()) {
    error.value = "not read: " + std::string(header.status().message());
    error.expected = "a JSON object of tensors";
    return MakeInputError(header.status().code(), source_, error);
  }
  if (!header->is_object()) {
    error.value = DescribeJson(*header);
    error.expected = "a JSON object of tensors";
    return MakeInputError(StatusCode::kInvalidArgument, source_, error);
  }
  for (const auto& [name, entry] : header->members()) {
    if (name == "__metadata__") continue;
    Extent extent;
    WEFT_RETURN_IF_ERROR(
        EntryReader(source_, name, entry)
            .Read(tensors_.emplace_back(), extent.begin, extent.end));
    extents_.push_back(extent);
  }
  return CheckOrder(8 + text.size(), options);
}

absl::Status SafetensorsFile::CheckOrder(uint64_t data_at,
                                         const Options& options) {
  std::vector<size_t> order(tensors_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [this](size_t a, size_t b) {
    return std::pair(extents_[a].begin, extents_[a].end) <
           std::pair(extents_[b].begin, extents_[b].end);
  });
  const auto bytes = mapping_.bytes().subspan(data_at);
  uint64_t at = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    SafeTensor& tensor = tensors_[order[i]];
    const Extent& extent = extents_[order[i]];
    InputError error{.at = data_at + extent.begin,
                     .field = absl::StrCat("data of ", QuoteInput(tensor.name)),
                     .expected = absl::StrCat("them at ", at)};
    if (extent.begin != at) {
      error.id = "ST-8";
      error.value = extent.begin < at
                        ? absl::StrCat("at ", extent.begin, " and overlap ",
                                       QuoteInput(tensors_[order[i - 1]].name))
                        : absl::StrCat("at ", extent.begin, " behind a gap");
      return MakeInputError(StatusCode::kInvalidArgument, source_, error);
    }
    at = extent.end;
    if (at <= bytes.size()) {
      tensor.data = bytes.subspan(extent.begin, extent.end - extent.begin);
    } else if (!options.header_only) {
      error.id = "ST-9";
      error.value = "cut off by the end of the file";
      error.expected = absl::StrCat(data_at + at, " bytes in the file");
      return MakeInputError(StatusCode::kDataLoss, source_, error);
    }
  }
  if (at >= bytes.size()) return absl::OkStatus();
  return MakeInputError(StatusCode::kInvalidArgument, source_,
                        {.id = "ST-9",
                         .at = data_at + at,
                         .field = "end of the file",
                         .value = absl::StrCat(bytes.size() - at,
                                               " bytes behind the last tensor"),
                         .expected = "nothing there"});
}

}  // namespace weft::inline v0
