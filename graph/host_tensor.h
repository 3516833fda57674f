// A tensor in host memory: contiguous, row-major, owning its bytes.
#ifndef WEFT_GRAPH_HOST_TENSOR_H_
#define WEFT_GRAPH_HOST_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "graph/shape.h"
#include "graph/small_vector.h"

namespace weft::inline v0 {

using Dims = SmallVector<int64_t, kMaxRank>;  // concrete ones

// Number of elements of concrete dims.
int64_t Elements(absl::Span<const int64_t> dims);

// The data of references and constants. `dims` are concrete; the data is zero
// when made by the constructor. Rows of block formats are whole blocks; the
// last one of a state's row may be part padding.
struct HostTensor {
  HostTensor() = default;
  HostTensor(DType dtype, Dims dims);
  static HostTensor FromFloats(Dims dims, absl::Span<const float> values);
  static HostTensor FromInts(Dims dims, absl::Span<const int32_t> values);

  int rank() const { return static_cast<int>(dims.size()); }
  int64_t dim(int axis) const {
    return dims[static_cast<size_t>(axis < 0 ? axis + rank() : axis)];
  }
  int64_t elements() const { return Elements(dims); }
  // Product of all dims but the last `inner`.
  int64_t OuterElements(int inner = 1) const;

  // The data as f32 or i32; only for tensors of that dtype.
  float* f32() { return reinterpret_cast<float*>(bytes.data()); }
  const float* f32() const {
    return reinterpret_cast<const float*>(bytes.data());
  }
  int32_t* i32() { return reinterpret_cast<int32_t*>(bytes.data()); }
  const int32_t* i32() const {
    return reinterpret_cast<const int32_t*>(bytes.data());
  }

  // All elements decoded to f32; i32 converted. Empty for formats that have no
  // decoder.
  std::vector<float> ToFloats() const;

  DType dtype = DType::kF32;
  Dims dims;
  std::vector<std::byte> bytes;
};

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_HOST_TENSOR_H_
