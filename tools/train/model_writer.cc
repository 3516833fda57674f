#include "tools/train/model_writer.h"

#include <algorithm>
#include <vector>

#include "graph/status_macros.h"
#include "models/gguf_writer.h"

namespace weft::inline v0 {
namespace {

// What llama.cpp writes for formats as they are since 2023.
constexpr uint32_t kQuantizationVersion = 2;

int64_t Elements(const NewGgufTensor& tensor) {
  int64_t n = 1;
  for (const int64_t dim : tensor.dims) n *= dim;
  return n;
}

}  // namespace

absl::Status WriteTrainedModel(const std::string& path, const TrainModel& model,
                               const TrainedValues& values,
                               const Mixture& mixture,
                               const EncodeContext& context) {
  GgufKeyValues kv = model.key_values;
  if (mixture.file_type) kv.SetUint32("general.file_type", *mixture.file_type);
  kv.SetUint32("general.quantization_version", kQuantizationVersion);
  const MixtureModel shape = DescribeForMixture(*model.file);
  std::vector<NewGgufTensor> tensors = model.tensors;
  for (NewGgufTensor& tensor : tensors)
    if (IsQuantizable(tensor.name, tensor.dims))
      tensor.dtype = TypeFor(mixture, shape, tensor.name, tensor.dims);
  WEFT_ASSIGN_OR_RETURN(GgufWriter writer,
                        GgufWriter::Create(path, kv, tensors));
  WEFT_RETURN_IF_ERROR(writer.Reserve());
  for (size_t i = 0; i < tensors.size(); ++i) {
    absl::Span<const float> from = values(tensors[i].name);
    std::vector<float> first;
    if (from.empty()) {
      first.resize(static_cast<size_t>(Elements(tensors[i])));
      model.values(i, absl::MakeSpan(first));
      from = first;
    }
    const EncodeJob job{.type = tensors[i].dtype,
                        .rows = Elements(tensors[i]) / tensors[i].dims.back(),
                        .row_length = tensors[i].dims.back()};
    const auto source = [&](int64_t row, absl::Span<float> out) {
      std::copy_n(from.begin() + row * job.row_length, out.size(), out.begin());
    };
    WEFT_RETURN_IF_ERROR(EncodeTensor(job, context, source,
                                      [&](absl::Span<const std::byte> bytes) {
                                        return writer.Write(bytes);
                                      })
                             .status());
  }
  return writer.Commit();
}

}  // namespace weft::inline v0
