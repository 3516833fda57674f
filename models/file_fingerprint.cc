#include "models/file_fingerprint.h"

#include <algorithm>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/checksum.h"

namespace weft::inline v0 {
namespace {

uint64_t HashTensor(const GgufTensor& tensor, WeightBytes which, uint64_t sum) {
  constexpr size_t kSample = 64;
  sum = Checksum(tensor.name, sum);
  sum = Checksum(absl::MakeConstSpan(
                     reinterpret_cast<const std::byte*>(tensor.dims.data()),
                     tensor.dims.size() * sizeof(int64_t)),
                 sum + static_cast<uint64_t>(tensor.dtype));
  const absl::Span<const std::byte> data = tensor.data;
  if (which == WeightBytes::kAll) return Checksum(data, sum);
  for (const size_t at : {size_t{0}, data.size() / 2,
                          data.size() - std::min(kSample, data.size())})
    sum = Checksum(data.subspan(at, kSample), sum);
  return sum;
}

}  // namespace

uint64_t FileFingerprint(const GgufFile& file, WeightBytes which,
                         uint64_t start) {
  uint64_t sum = start;
  for (const absl::string_view key : file.keys())
    sum = Checksum(file.GetRaw(key).value_or(""), Checksum(key, sum));
  for (const GgufTensor& tensor : file.tensors())
    sum = HashTensor(tensor, which, sum);
  return sum;
}

}  // namespace weft::inline v0
