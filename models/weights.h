// Where the weights of a graph come from.
#ifndef WEFT_MODELS_WEIGHTS_H_
#define WEFT_MODELS_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/shape.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// The bytes of the weight of that name and type, row-major in the layout of its
// dtype, starting at a multiple of 4 bytes. They stay where they are as long as
// the source, and whatever was compiled with it.
using Weights = std::function<absl::StatusOr<absl::Span<const std::byte>>(
    absl::string_view name, const TensorType& type)>;

// Weights by name from a file. NotFound for a name that it lacks,
// InvalidArgument for a tensor of another dtype or shape, DataLoss for one
// whose data is cut off (see GgufOptions::header_only). The source keeps the
// file.
Weights WeightsFromFile(std::shared_ptr<const GgufFile> file);

// A tensor in the caller's memory.
struct NamedWeight {
  std::string name;
  absl::Span<const std::byte> bytes;
};
// NotFound for a name that is not there; InvalidArgument for a weight of
// another size than its type has.
Weights WeightsFromMemory(std::vector<NamedWeight> weights);

// Values of a normal distribution with mean 0 and deviation `deviation`, for
// trying out a graph. A function of seed and name alone. Holds the memory of
// what it made; not thread-safe. Unimplemented for dtypes other than f32, f16,
// bf16, q8_0 and q4_0.
Weights RandomWeights(uint64_t seed, float deviation = 0.02f);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_WEIGHTS_H_
