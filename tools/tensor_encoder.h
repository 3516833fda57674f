// A tensor's rows, made in pieces, encoded on several threads, written in
// order.
#ifndef WEFT_TOOLS_TENSOR_ENCODER_H_
#define WEFT_TOOLS_TENSOR_ENCODER_H_

#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "graph/dtype.h"

namespace weft::inline v0 {

// How far decoded values are from those that were encoded.
struct EncodeError {
  double squared_error = 0;
  double squared_values = 0;

  // Root of the mean squared error, as a share of that of the values.
  double RelativeRms() const {
    return squared_values > 0 ? std::sqrt(squared_error / squared_values) : 0;
  }
  void Add(const EncodeError& other) {
    squared_error += other.squared_error;
    squared_values += other.squared_values;
  }
};

// A matrix to encode: one tensor, or one expert's part of it.
struct EncodeJob {
  DType type = DType::kF32;
  int64_t rows = 0;
  int64_t row_length = 0;
  // Empty, or a weight for each column (see backends/encode.h).
  absl::Span<const float> importance = {};
  bool measure_error = false;
};

struct EncodeContext {
  int threads = 1;
  const std::atomic<bool>* cancel = nullptr;  // Cancelled when it becomes true
  std::function<void(int64_t values)> progress = nullptr;  // values just done
};

// Fills rows [first, first + out.size() / row_length). Called by any thread.
using RowSource = absl::FunctionRef<void(int64_t first, absl::Span<float> out)>;
// Takes the next bytes of the encoded tensor.
using ByteSink =
    absl::FunctionRef<absl::Status(absl::Span<const std::byte> bytes)>;

// Encodes all rows. The bytes, and the error, depend on neither the number of
// threads nor the size of pieces; memory is a few MiB and a few rows per
// thread, whatever the tensor. Errors of encoding (see EncodeRows) name the
// rows that they are about; those of `sink` are passed on.
absl::StatusOr<EncodeError> EncodeTensor(const EncodeJob& job,
                                         const EncodeContext& context,
                                         RowSource source, ByteSink sink);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TENSOR_ENCODER_H_
