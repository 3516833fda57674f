// Low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685) in GGUF files.
//
// Such a file has general.type "adapter", adapter.type "lora", the model's
// general.architecture, adapter.lora.alpha, and for each weight NAME that it
// changes two tensors of rank r, dims slowest first:
//
//   weight            NAME.lora_a   NAME.lora_b   y = x w^T becomes
//   [N, K]            [r, K]        [N, r]        y + f (x A^T) B^T
//   [E, N, K] experts [E, r, K]     [E, N, r]     the same for each expert
//   token_embd [V, N] [V, r]        [N, r]        row t + f A[t] B^T
//
// with f = scale alpha / r, or scale alone when alpha is 0 or missing. Weights
// stay as they are, mapped and quantised: an adapter is nodes of the graph.
#ifndef WEFT_MODELS_LORA_H_
#define WEFT_MODELS_LORA_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "graph/graph.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// Errors have the form "<source>: <ID>: <what> is <found>; expected <rule>":
//   LORA-1   general.type is not "adapter", or the file has no pairs
//   LORA-2   adapter.type is not "lora", or it acts on parts of a text only
//            (Unimplemented)
//   LORA-3   an adapter of another architecture
//   LORA-4   alpha is no finite number
//   LORA-5   a tensor that is no half of a pair (Unimplemented)
//   LORA-6   the other half is missing (NotFound)
//   LORA-7   the model has no such weight (NotFound)
//   LORA-8   shapes that do not fit the weight or each other
//   LORA-9   a type that weft cannot compute with (Unimplemented)
//   LORA-10  the scale is no finite number
//   LORA-11  the graph uses the weight in a way that an adapter cannot follow
//            (Unimplemented)
// InvalidArgument where nothing else is said. Immutable: safe to share.
class LoraAdapter {
 public:
  // Reads an adapter for the model `base`; the errors of GgufFile::Open, and
  // those above but for LORA-10 and 11.
  static absl::StatusOr<LoraAdapter> Open(const std::string& path,
                                          const GgufFile& base,
                                          const GgufOptions& options = {});
  // The same from a file that is open; the same errors but for those of files.
  static absl::StatusOr<LoraAdapter> FromFile(GgufFile file,
                                              const GgufFile& base);

  const GgufFile& file() const { return file_; }

 private:
  friend class LoraApplier;
  struct Pair {
    std::string weight;  // of the model
    const GgufTensor *a, *b;
  };
  explicit LoraAdapter(GgufFile file) : file_(std::move(file)) {}
  absl::Status ReadPairs();
  absl::Status CheckPair(const GgufFile& base, const Pair& pair) const;

  GgufFile file_;
  float alpha_ = 0;
  std::vector<Pair> pairs_;
};

// An adapter that a graph is built with.
struct LoraUse {
  const LoraAdapter* adapter = nullptr;
  float scale = 1;  // 0: leave it out
};

// Adds the adapters to a model's graph, before any pass. Each weight NAME that
// use i changes brings the weights "lora.i.NAME.lora_a" and "....lora_b".
absl::Status ApplyLora(Graph& graph, absl::Span<const LoraUse> uses);

// The tensor of a weight that ApplyLora made; null for other names.
const GgufTensor* FindLoraTensor(absl::Span<const LoraUse> uses,
                                 absl::string_view name);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_LORA_H_
