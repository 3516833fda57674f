#include "graph/host_tensor.h"

#include <algorithm>
#include <cstring>

namespace weft::inline v0 {

int64_t Elements(absl::Span<const int64_t> dims) {
  int64_t n = 1;
  for (const int64_t d : dims) n *= d;
  return n;
}

HostTensor::HostTensor(DType type, Dims shape)
    : dtype(type), dims(std::move(shape)) {
  const int64_t row = rank() == 0 ? 1 : dim(-1);
  const int64_t rows = row == 0 ? 0 : elements() / row;
  bytes.resize(
      static_cast<size_t>(PaddedRowBytes(dtype, row).value_or(0) * rows));
}

HostTensor HostTensor::FromFloats(Dims dims, absl::Span<const float> values) {
  HostTensor t(DType::kF32, std::move(dims));
  std::memcpy(t.bytes.data(), values.data(),
              std::min(t.bytes.size(), values.size() * sizeof(float)));
  return t;
}

HostTensor HostTensor::FromInts(Dims dims, absl::Span<const int32_t> values) {
  HostTensor t(DType::kI32, std::move(dims));
  std::memcpy(t.bytes.data(), values.data(),
              std::min(t.bytes.size(), values.size() * sizeof(int32_t)));
  return t;
}

int64_t HostTensor::OuterElements(int inner) const {
  int64_t n = 1;
  for (int axis = 0; axis < rank() - inner; ++axis) n *= dim(axis);
  return n;
}

std::vector<float> HostTensor::ToFloats() const {
  if (dtype == DType::kI32)
    return std::vector<float>(i32(), i32() + elements());
  if (!IsDecodable(dtype)) return {};
  std::vector<float> out(static_cast<size_t>(elements()));
  const int64_t row = rank() == 0 ? 1 : dim(-1);
  if (row > 0)
    DecodeRows(dtype, bytes.data(), elements() / row, row, out.data());
  return out;
}

}  // namespace weft::inline v0
