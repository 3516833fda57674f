#ifndef WEFT_TOOLS_TRAIN_MODEL_WRITER_H_
#define WEFT_TOOLS_TRAIN_MODEL_WRITER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tools/mixture.h"
#include "tools/tensor_encoder.h"
#include "tools/train/train_model.h"

namespace weft::inline v0 {

// The values of a tensor by name; empty for one that stayed as it was.
using TrainedValues =
    std::function<absl::Span<const float>(absl::string_view name)>;

// Writes the model as a GGUF file, its matrices as `mixture` says. The errors
// of GgufWriter and EncodeTensor.
absl::Status WriteTrainedModel(const std::string& path, const TrainModel& model,
                               const TrainedValues& values,
                               const Mixture& mixture,
                               const EncodeContext& context);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_MODEL_WRITER_H_
