#include "tools/npz.h"

#include <array>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

constexpr uint64_t kMaxBytes = UINT32_MAX;
constexpr int64_t kMaxFiles = UINT16_MAX;

// The CRC-32 of zip: polynomial 0x04C11DB7, bits reflected.
uint32_t Crc32(absl::string_view bytes) {
  static const std::array<uint32_t, 256> kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit)
        c = (c & 1) != 0 ? 0xEDB88320U ^ (c >> 1) : c >> 1;
      table[i] = c;
    }
    return table;
  }();
  uint32_t crc = ~0U;
  for (const char byte : bytes)
    crc = kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

// Little-endian integers one behind the other.
class Record {
 public:
  Record& U16(uint64_t v) { return Put(v, 2); }
  Record& U32(uint64_t v) { return Put(v, 4); }
  Record& Text(absl::string_view text) {
    absl::StrAppend(&bytes_, text);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Record& Put(uint64_t v, int n) {
    for (int i = 0; i < n; ++i)
      bytes_.push_back(static_cast<char>(v >> (8 * i) & 0xFF));
    return *this;
  }
  std::string bytes_;
};

// What local and central headers have in common: version 2.0, names in UTF-8
// (bit 11), stored, 1980-01-01 as the date so that equal content is an equal
// file, CRC, both sizes, and the lengths of name and extra field.
void AddCommon(Record& record, absl::string_view name, uint32_t crc,
               size_t size) {
  record.U16(20).U16(1 << 11).U16(0).U16(0).U16(0x21).U32(crc).U32(size).U32(
      size);
  record.U16(name.size()).U16(0);
}

const char* Descr(DType dtype) {
  return dtype == DType::kF16 ? "<f2" : dtype == DType::kI32 ? "<i4" : "<f4";
}

}  // namespace

std::string NpyBytes(const HostTensor& tensor) {
  std::string header = absl::StrCat("{'descr': '", Descr(tensor.dtype),
                                    "', 'fortran_order': False, 'shape': (",
                                    absl::StrJoin(tensor.dims, ", "),
                                    tensor.rank() == 1 ? "," : "", "), }");
  // Magic, version and length are 10 bytes; the data begins at a multiple
  // of 64.
  header.append(63 - (header.size() + 10) % 64, ' ');
  header.push_back('\n');
  std::string out =
      Record().Text("\x93NUMPY").U16(1).U16(header.size()).Text(header).bytes();
  const bool plain = tensor.dtype == DType::kF32 ||
                     tensor.dtype == DType::kF16 || tensor.dtype == DType::kI32;
  const std::vector<float> decoded =
      plain ? std::vector<float>() : tensor.ToFloats();
  if (plain)
    out.append(reinterpret_cast<const char*>(tensor.bytes.data()),
               tensor.bytes.size());
  else
    out.append(reinterpret_cast<const char*>(decoded.data()),
               decoded.size() * sizeof(float));
  return out;
}

absl::StatusOr<NpzWriter> NpzWriter::Create(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  return NpzWriter(std::move(file));
}

absl::Status NpzWriter::Add(absl::string_view name, const HostTensor& tensor) {
  const std::string data = NpyBytes(tensor);
  const std::string full = absl::StrCat(name, ".npy");
  if (offset_ + data.size() + directory_.size() + 4096 > kMaxBytes ||
      count_ == kMaxFiles)
    return absl::ResourceExhaustedError(
        absl::StrCat("an .npz file holds 4 GiB and ", kMaxFiles,
                     " arrays at most; take fewer values or tokens"));
  const uint32_t crc = Crc32(data);
  Record local;
  local.U32(0x04034B50);
  AddCommon(local, full, crc, data.size());
  local.Text(full);
  Record central;
  central.U32(0x02014B50).U16(20);
  AddCommon(central, full, crc, data.size());
  // No comment, first disk, attributes; where the local header stands.
  central.U16(0).U16(0).U16(0).U32(0).U32(offset_).Text(full);
  directory_ += central.bytes();
  WEFT_RETURN_IF_ERROR(file_.Write(local.bytes()));
  WEFT_RETURN_IF_ERROR(file_.Write(data));
  offset_ += local.bytes().size() + data.size();
  ++count_;
  return absl::OkStatus();
}

absl::Status NpzWriter::Finish() {
  const auto n = static_cast<uint64_t>(count_);
  Record end;
  end.U32(0x06054B50).U16(0).U16(0).U16(n).U16(n);
  end.U32(directory_.size()).U32(offset_).U16(0);
  WEFT_RETURN_IF_ERROR(file_.Write(directory_));
  WEFT_RETURN_IF_ERROR(file_.Write(end.bytes()));
  return file_.Commit();
}

}  // namespace weft::inline v0
