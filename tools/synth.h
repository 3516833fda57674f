// Models with random weights, as GGUF files.
#ifndef WEFT_TOOLS_SYNTH_H_
#define WEFT_TOOLS_SYNTH_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/gguf.h"
#include "tools/mixture.h"
#include "tools/synth_shapes.h"
#include "tools/tensor_encoder.h"

namespace weft::inline v0 {

// "tinyllama-1.1b", "llama3-8b", "llama3-70b", "tiny". InvalidArgument lists
// the names.
absl::StatusOr<SynthModel> FindSynthPreset(absl::string_view name);
std::string SynthPresetNames();

// InvalidArgument naming the flag that does not fit.
absl::Status CheckSynthModel(const SynthModel& model);

struct SynthOptions {
  Mixture mixture;
  uint64_t seed = 0;
  // Where the tokenizer.* keys come from, byte for byte; `vocab` is then its
  // number of tokens. Null: they are made up.
  const GgufFile* vocab_from = nullptr;
  // Only the header; the data are a hole in the file, and zeros.
  bool header_only = false;
};

struct SynthSummary {
  int64_t parameters = 0;
  uint64_t data_bytes = 0;  // of all tensors
  uint64_t file_bytes = 0;
};

// Writes the model. Every weight is N(0, 1) * gain / sqrt(columns), norm
// weights are near 1 (see synth_shapes.cc), and each value is a function of the
// seed, its tensor's name and its place: the file is the same for any number of
// threads. The errors of GgufWriter and EncodeTensor; Cancelled.
absl::StatusOr<SynthSummary> WriteSynth(const std::string& path,
                                        SynthModel model,
                                        const SynthOptions& options,
                                        const EncodeContext& context);

// What `context.progress` will have counted in the end; 0 for a model that
// WriteSynth refuses.
int64_t SynthValues(const SynthModel& model);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_SYNTH_H_
