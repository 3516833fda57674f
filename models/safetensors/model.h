// Models as Hugging Face's transformers save them: a directory of
//   config.json                       sizes
//   model.safetensors, or model.safetensors.index.json and what it names
//   tokenizer.json                    vocabulary; may be absent
//   tokenizer_config.json             special tokens, chat template; the same
//   chat_template.jinja               the same
// It is described as the GGUF file that a converter would make, and matrices
// stay mapped where they are. Vectors (norms, biases) are copied, as f32.
//
// Errors: those of SafetensorsFile, ReadHfConfig and AddHfTokenizer, and
//   HF-4  weights missing (NotFound); an index that does not fit its files;
//         names in it that lead out of the directory
//   HF-5  a tensor in two files, or two tensors of one meaning (AlreadyExists)
//   HF-6  a tensor of a name or type that is not known (Unimplemented)
#ifndef WEFT_MODELS_SAFETENSORS_MODEL_H_
#define WEFT_MODELS_SAFETENSORS_MODEL_H_

#include <string>

#include "absl/status/statusor.h"
#include "models/gguf.h"

namespace weft::inline v0 {

absl::StatusOr<GgufFile> OpenSafetensorsModel(const std::string& directory,
                                              const GgufOptions& options);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAFETENSORS_MODEL_H_
