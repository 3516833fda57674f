#include "tests/gguf_round_trip.h"

#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/gguf_writer.h"

namespace weft::inline v0 {
namespace {

bool SameBytes(absl::Span<const std::byte> a, absl::Span<const std::byte> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

std::string DifferenceOfTensor(const GgufTensor& a, const GgufTensor& b,
                               uint32_t alignment) {
  if (a.name != b.name) return absl::StrCat("name ", b.name);
  if (a.dtype != b.dtype || a.dims != b.dims || a.bytes != b.bytes)
    return absl::StrCat("type or shape of ", a.name);
  if (!SameBytes(a.data, b.data)) return absl::StrCat("data of ", a.name);
  if (b.offset % alignment != 0) return absl::StrCat("alignment of ", a.name);
  return "";
}

}  // namespace

absl::Status WriteCopy(const GgufFile& file, const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const GgufKeyValues key_values,
                        GgufKeyValues::CopyOf(file));
  std::vector<NewGgufTensor> tensors;
  for (const GgufTensor& t : file.tensors())
    tensors.push_back(
        {std::string(t.name), t.dtype, {t.dims.begin(), t.dims.end()}});
  WEFT_ASSIGN_OR_RETURN(GgufWriter writer,
                        GgufWriter::Create(path, key_values, tensors));
  for (const GgufTensor& t : file.tensors()) {
    // In two pieces, as a stream comes.
    WEFT_RETURN_IF_ERROR(writer.Write(t.data.first(t.data.size() / 3)));
    WEFT_RETURN_IF_ERROR(writer.Write(t.data.subspan(t.data.size() / 3)));
  }
  return writer.Commit();
}

std::string DifferenceOf(const GgufFile& file, const GgufFile& copy) {
  if (copy.version() != 3) return "version";
  if (copy.alignment() != file.alignment()) return "alignment";
  if (!copy.warnings().empty()) return copy.warnings()[0];
  if (file.keys() != copy.keys()) return "keys";
  for (const absl::string_view key : file.keys())
    if (*file.GetRaw(key) != *copy.GetRaw(key))
      return absl::StrCat("value of ", key);
  if (file.tensors().size() != copy.tensors().size()) return "tensor count";
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const std::string difference = DifferenceOfTensor(
        file.tensors()[i], copy.tensors()[i], copy.alignment());
    if (!difference.empty()) return difference;
  }
  return "";
}

}  // namespace weft::inline v0
