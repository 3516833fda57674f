// Importance matrices: how much each column of a model's matrices matters, as
// llama.cpp's llama-imatrix measures it.
#ifndef WEFT_TOOLS_IMATRIX_H_
#define WEFT_TOOLS_IMATRIX_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// A GGUF file with, for each matrix NAME that was measured, f32 tensors
//   NAME.in_sum2 [experts, columns]  sums of the squared inputs of each column
//   NAME.counts  [experts, 1]        how many inputs were summed
// (without the first dimension where there is one expert).
class Imatrix {
 public:
  // InvalidArgument for a GGUF file of another kind and for the older binary
  // form; the errors of GgufFile::Open. InvalidArgument, naming the tensor,
  // where its sums and counts do not fit each other or are no sums.
  static absl::StatusOr<Imatrix> Open(const std::string& path);

  const std::string& source() const { return file_.source(); }
  int64_t matrices() const { return matrices_; }
  // Of text that were read to measure; 0 where the file does not say.
  uint32_t chunks() const { return chunks_; }

  bool Has(absl::string_view tensor) const;
  // The mean squared inputs of a tensor, [experts][columns]; 1 for experts that
  // were never chosen. Empty where the file has none; InvalidArgument where it
  // has another number of them.
  absl::StatusOr<std::vector<float>> Of(absl::string_view tensor,
                                        int64_t experts, int64_t columns) const;

 private:
  explicit Imatrix(GgufFile file) : file_(std::move(file)) {}
  absl::Status Check();

  GgufFile file_;
  int64_t matrices_ = 0;
  uint32_t chunks_ = 0;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_IMATRIX_H_
