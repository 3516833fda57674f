// What is trained, a model or an adapter of one: what its file will say, and
// its first values.
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
  // Where it goes on from, with the values of what is not trained; null: new.
  const GgufFile* source = nullptr;
  bool is_adapter = false;  // of `source`, which stays as it is

  // The model's file, which has its vocabulary.
  const GgufFile& model_file() const { return is_adapter ? *source : *file; }
};

// A file without data, from the bytes of MakeGgufHeader, which outlive it.
absl::StatusOr<GgufFile> ParseHeader(const std::string& header,
                                     std::string source);

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

struct NewAdapterOptions {
  int64_t rank = 8;
  float alpha = 16;  // what the adapter adds is scaled by alpha / rank
  uint64_t seed = 0;
};

// An adapter (models/lora.h) of the matrices and experts in the layers of
// `base`, which outlives it: lora_a begins as N(0, 1 / columns), lora_b as 0,
// so that at first it changes nothing (Hu et al. 2021). InvalidArgument where
// there are none.
absl::StatusOr<std::unique_ptr<TrainModel>> MakeAdapter(
    const GgufFile& base, const NewAdapterOptions& options);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_TRAIN_MODEL_H_
