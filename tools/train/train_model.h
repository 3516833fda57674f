// The model that is trained: what its file will say, and its first values.
#ifndef WEFT_TOOLS_TRAIN_TRAIN_MODEL_H_
#define WEFT_TOOLS_TRAIN_TRAIN_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/gguf.h"
#include "models/gguf_key_values.h"
#include "models/gguf_writer.h"
#include "tools/synth_shapes.h"

namespace weft::inline v0 {

struct TrainModel {
  GgufKeyValues key_values;            // all but general.file_type
  std::vector<NewGgufTensor> tensors;  // all of them f32
  // Fills in the first values of a tensor.
  std::function<void(size_t tensor, absl::Span<float> out)> values;
  // The same as a file without data; views `header`.
  std::shared_ptr<const GgufFile> file;
  std::string header;
};

struct NewModelOptions {
  SynthModel shape;
  // The output reads the table of embeddings, transposed, where the
  // architecture leaves the choice.
  bool tied = true;
  uint64_t seed = 0;
  GgufKeyValues vocab;  // tokenizer.* keys
};

// A model of that shape. Matrices begin as in GPT-2 (Radford et al. 2019): N(0,
// 0.02^2), those that add to the residual stream less by sqrt(2 layers); norms
// are 1, biases and the like what they are on average. The errors of
// CheckSynthModel.
absl::StatusOr<std::unique_ptr<TrainModel>> MakeNewModel(
    const NewModelOptions& options);

// A model that goes on from a file, which outlives it, with its matrices
// decoded to f32. Unimplemented for formats that weft cannot decode.
absl::StatusOr<std::unique_ptr<TrainModel>> ContinueModel(const GgufFile& file);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_TRAIN_MODEL_H_
