// One GGUF file made from another, with its matrices in other formats.
#ifndef WEFT_TOOLS_QUANTIZE_H_
#define WEFT_TOOLS_QUANTIZE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/dtype.h"
#include "models/gguf.h"
#include "tools/imatrix.h"
#include "tools/mixture.h"
#include "tools/row_order.h"
#include "tools/tensor_encoder.h"
#include "tools/tensor_pattern.h"

namespace weft::inline v0 {

struct QuantizeOptions {
  Mixture mixture;
  // Tensors that match a pattern with a type get that type. A pattern without
  // one in `include`: only what matches something there is encoded. One in
  // `exclude`: what matches stays as it is. `exclude` is asked first.
  std::vector<TensorPattern> include;
  std::vector<TensorPattern> exclude;
  bool allow_requantize = false;
  const Imatrix* imatrix = nullptr;  // none
};

// What becomes of one tensor.
struct TensorPlan {
  const GgufTensor* tensor = nullptr;
  DType type = DType::kF32;
  bool is_fallback = false;  // its rows do not divide into the type wanted
  RowOrder order = {};

  bool is_copy() const { return type == tensor->dtype; }
  int64_t elements() const;
  uint64_t bytes() const;  // as it will be
};

// What every tensor of the file becomes, in its order. FailedPrecondition for
// quantised tensors that would be quantised again, NotFound for a pattern that
// matches no tensor that may be quantised; Unimplemented where weft cannot
// decode or encode; InvalidArgument for importances that do not fit and for
// rows that are no whole heads where these have to be put in order
// (RowOrderFor).
absl::StatusOr<std::vector<TensorPlan>> PlanQuantization(
    const GgufFile& file, const QuantizeOptions& options);

// Called for each tensor when it is written; `error` is 0 for a copy.
using TensorDone = absl::FunctionRef<absl::Status(const TensorPlan& plan,
                                                  const EncodeError& error)>;

// Writes the file. Metadata are copied byte for byte, except those that say
// what the quantisation is. Memory: a few MiB; the pages of the input are given
// back as it is read. The errors of GgufWriter, EncodeTensor and `done`;
// Cancelled. `context.progress` counts the values of all tensors.
absl::Status WriteQuantized(const GgufFile& file,
                            const QuantizeOptions& options,
                            const std::vector<TensorPlan>& plan,
                            const std::string& path,
                            const EncodeContext& context, TensorDone done);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_QUANTIZE_H_
