#include "tools/imatrix.h"

#include <cmath>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "graph/status_macros.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

constexpr absl::string_view kSums = ".in_sum2";
constexpr absl::string_view kCounts = ".counts";

absl::Status NoImatrix(absl::string_view path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": this is ", what,
      "; expected an importance matrix in GGUF form, as llama-imatrix writes "
      "it: tensors NAME.in_sum2 and NAME.counts"));
}

// The numbers of an f32 tensor.
std::vector<float> Floats(const GgufTensor& tensor) {
  std::vector<float> values(tensor.data.size() / sizeof(float));
  if (!values.empty())  // may lie at any byte; files are little-endian
    std::memcpy(values.data(), tensor.data.data(),
                values.size() * sizeof(float));
  return values;
}

bool AllAreSums(const std::vector<float>& values) {
  for (const float value : values)
    if (!(value >= 0) || std::isinf(value)) return false;
  return true;
}

}  // namespace

absl::StatusOr<Imatrix> Imatrix::Open(const std::string& path) {
  absl::StatusOr<GgufFile> file = GgufFile::Open(path);
  if (!file.ok()) {
    if (absl::StrContains(file.status().message(), "GGUF-H3"))
      return NoImatrix(path,
                       "no GGUF file (older importance matrices have a form of "
                       "their own: llama-imatrix --in-file OLD -o NEW.gguf "
                       "converts them)");
    return file.status();
  }
  Imatrix imatrix(*std::move(file));
  WEFT_RETURN_IF_ERROR(imatrix.Check());
  return imatrix;
}

absl::Status Imatrix::Check() {
  chunks_ = file_.GetUint32("imatrix.chunk_count").value_or(0);
  for (const GgufTensor& sums : file_.tensors()) {
    absl::string_view name = sums.name;
    if (!absl::ConsumeSuffix(&name, kSums)) continue;
    const auto error = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat(
          source(), ": importance of ", QuoteInput(name), ": ", what));
    };
    const GgufTensor* counts = file_.FindTensor(absl::StrCat(name, kCounts));
    if (counts == nullptr)
      return error("NAME.counts is missing beside NAME.in_sum2");
    if (sums.dtype != DType::kF32 || counts->dtype != DType::kF32)
      return error("the sums and counts are not f32");
    const size_t columns = static_cast<size_t>(sums.dims.back());
    const size_t experts = counts->data.size() / sizeof(float);
    if (columns == 0 || sums.data.size() / sizeof(float) != columns * experts)
      return error(absl::StrCat(sums.data.size() / sizeof(float), " sums in ",
                                columns, " columns, but ", experts, " counts"));
    if (!AllAreSums(Floats(sums)) || !AllAreSums(Floats(*counts)))
      return error("a sum or count is negative or no finite number");
    ++matrices_;
  }
  if (matrices_ > 0) return absl::OkStatus();
  const std::string type(file_.GetString("general.type").value_or(""));
  return NoImatrix(source(),
                   type == "imatrix" ? "an importance matrix without any entry"
                   : type.empty()    ? "another GGUF file"
                                     : absl::StrCat("a GGUF file of the type ",
                                                    QuoteInput(type)));
}

bool Imatrix::Has(absl::string_view tensor) const {
  return file_.FindTensor(absl::StrCat(tensor, kSums)) != nullptr;
}

absl::StatusOr<std::vector<float>> Imatrix::Of(absl::string_view tensor,
                                               int64_t experts,
                                               int64_t columns) const {
  const GgufTensor* sums = file_.FindTensor(absl::StrCat(tensor, kSums));
  if (sums == nullptr) return std::vector<float>();
  const std::vector<float> counts =
      Floats(*file_.FindTensor(absl::StrCat(tensor, kCounts)));
  const int64_t has_experts = static_cast<int64_t>(counts.size());
  const int64_t has_columns = sums->dims.back();
  if (has_columns != columns || has_experts != experts)
    return absl::InvalidArgumentError(absl::StrCat(
        source(), ": importance of ", QuoteInput(tensor), " is for ",
        has_experts, " x ", has_columns, " columns; expected ", experts, " x ",
        columns, ": it is another model's"));
  std::vector<float> means = Floats(*sums);
  for (size_t i = 0; i < means.size(); ++i) {
    const float count = counts[i / static_cast<size_t>(columns)];
    means[i] = count > 0 ? means[i] / count : 1.0f;
  }
  return means;
}

}  // namespace weft::inline v0
