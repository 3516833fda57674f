#include "models/gguf_writer.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/status_macros.h"
#include "models/byte_reader.h"
#include "models/gguf.h"
#include "models/input_error.h"
#include "models/little_endian.h"

namespace weft::inline v0 {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint64_t kDefaultAlignment = 32;

// What the layout goes by; a value that is no alignment is left to the reader's
// checks.
uint64_t AlignmentOf(const GgufKeyValues& key_values) {
  const uint64_t alignment =
      key_values.GetUint32("general.alignment").value_or(kDefaultAlignment);
  return std::has_single_bit(alignment) ? alignment : kDefaultAlignment;
}

// Bytes of the tensor's data; nullopt where the shape has none.
std::optional<uint64_t> DataBytes(const NewGgufTensor& tensor) {
  const DTypeInfo& type = Info(tensor.dtype);
  if (tensor.dims.empty() || tensor.dims.back() % type.block_values != 0)
    return std::nullopt;
  const auto negative = [](int64_t dim) { return dim < 0; };
  if (std::any_of(tensor.dims.begin(), tensor.dims.end(), negative))
    return std::nullopt;
  // Of an empty tensor the other dimensions may be anything.
  if (std::find(tensor.dims.begin(), tensor.dims.end(), 0) != tensor.dims.end())
    return 0;
  std::optional<uint64_t> elements = 1;
  for (const int64_t dim : tensor.dims) {
    elements = CheckedMul(*elements, static_cast<uint64_t>(dim));
    if (!elements) return std::nullopt;
  }
  return CheckedMul(*elements / static_cast<uint64_t>(type.block_values),
                    static_cast<uint64_t>(type.block_bytes));
}

absl::Status BadShape(const std::string& source, const NewGgufTensor& tensor) {
  return absl::InvalidArgumentError(absl::StrCat(
      "cannot write ", source, ": tensor ", QuoteInput(tensor.name), " is ",
      Name(tensor.dtype), "[", absl::StrJoin(tensor.dims, ","),
      "]; expected rows of whole blocks of ", Info(tensor.dtype).block_values,
      " values, and less than 2^64 bytes"));
}

void AppendTensor(const NewGgufTensor& tensor, uint64_t offset,
                  std::string& bytes) {
  AppendLittleEndian(uint64_t{tensor.name.size()}, bytes);
  bytes += tensor.name;
  AppendLittleEndian(static_cast<uint32_t>(tensor.dims.size()), bytes);
  for (size_t i = tensor.dims.size(); i-- > 0;)  // the file's are fastest first
    AppendLittleEndian(static_cast<uint64_t>(tensor.dims[i]), bytes);
  AppendLittleEndian(static_cast<uint32_t>(tensor.dtype), bytes);
  AppendLittleEndian(offset, bytes);
}

void PadTo(uint64_t alignment, std::string& bytes) {
  bytes.append(-bytes.size() & (alignment - 1), '\0');
}

}  // namespace

absl::StatusOr<std::string> MakeGgufHeader(
    const GgufKeyValues& key_values, absl::Span<const NewGgufTensor> tensors,
    const std::string& source) {
  const uint64_t alignment = AlignmentOf(key_values);
  std::string bytes = "GGUF";
  AppendLittleEndian(kVersion, bytes);
  AppendLittleEndian(uint64_t{tensors.size()}, bytes);
  AppendLittleEndian(uint64_t{key_values.size()}, bytes);
  key_values.AppendTo(bytes);
  uint64_t offset = 0;
  for (const NewGgufTensor& tensor : tensors) {
    AppendTensor(tensor, offset, bytes);
    const auto size = DataBytes(tensor);
    if (!size) return BadShape(source, tensor);
    const auto end = CheckedAdd(offset, *size);
    const auto next = end ? CheckedRoundUp(*end, alignment) : end;
    if (!next) return BadShape(source, tensor);
    offset = *next;
  }
  if (!tensors.empty()) PadTo(alignment, bytes);
  // Nothing is written that the reader would refuse.
  WEFT_RETURN_IF_ERROR(
      GgufFile::Parse(
          absl::MakeConstSpan(reinterpret_cast<const std::byte*>(bytes.data()),
                              bytes.size()),
          source, {.header_only = true})
          .status());
  return bytes;
}

absl::StatusOr<GgufWriter> GgufWriter::Create(
    const std::string& path, const GgufKeyValues& key_values,
    absl::Span<const NewGgufTensor> tensors) {
  WEFT_ASSIGN_OR_RETURN(const std::string header,
                        MakeGgufHeader(key_values, tensors, path));
  WEFT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  WEFT_RETURN_IF_ERROR(file.Write(header));
  GgufWriter writer(std::move(file));
  writer.path_ = path;
  writer.alignment_ = AlignmentOf(key_values);
  writer.file_bytes_ = header.size();
  for (const NewGgufTensor& tensor : tensors) {
    const uint64_t bytes = *DataBytes(tensor);  // the header was made of it
    writer.parts_.push_back({tensor.name, bytes});
    writer.file_bytes_ += *CheckedRoundUp(bytes, writer.alignment_);
  }
  WEFT_RETURN_IF_ERROR(writer.FinishTensors());
  return writer;
}

absl::Status GgufWriter::Write(absl::Span<const std::byte> data) {
  WEFT_RETURN_IF_ERROR(Take(data.size()));
  WEFT_RETURN_IF_ERROR(
      file_.Write({reinterpret_cast<const char*>(data.data()), data.size()}));
  return FinishTensors();
}

absl::Status GgufWriter::WriteZeros(uint64_t bytes) {
  WEFT_RETURN_IF_ERROR(Take(bytes));
  WEFT_RETURN_IF_ERROR(file_.WriteZeros(bytes));
  return FinishTensors();
}

absl::Status GgufWriter::Commit() {
  if (next_ < parts_.size())
    return absl::FailedPreconditionError(
        absl::StrCat("cannot write ", path_, ": ", parts_[next_].bytes - done_,
                     " of ", parts_[next_].bytes, " bytes of ",
                     QuoteInput(parts_[next_].name), " are missing"));
  return file_.Commit();
}

// Counts `bytes` as written to the present tensor.
absl::Status GgufWriter::Take(uint64_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  const uint64_t room = next_ < parts_.size() ? parts_[next_].bytes - done_ : 0;
  if (bytes > room)
    return absl::FailedPreconditionError(
        absl::StrCat("cannot write ", path_, ": ", bytes,
                     " bytes of data where ", room, " are left of ",
                     next_ < parts_.size() ? QuoteInput(parts_[next_].name)
                                           : "the last tensor"));
  done_ += bytes;
  return absl::OkStatus();
}

// Pads the tensors that are complete.
absl::Status GgufWriter::FinishTensors() {
  for (; next_ < parts_.size() && done_ == parts_[next_].bytes; ++next_) {
    std::string padding(-done_ & (alignment_ - 1), '\0');
    WEFT_RETURN_IF_ERROR(file_.Write(padding));
    done_ = 0;
  }
  return absl::OkStatus();
}

}  // namespace weft::inline v0
