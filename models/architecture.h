// Architectures: how a GGUF of some family becomes a graph.
#ifndef WEFT_MODELS_ARCHITECTURE_H_
#define WEFT_MODELS_ARCHITECTURE_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/graph.h"
#include "models/gguf.h"
#include "models/model_builder.h"

namespace weft::inline v0 {

// One family. A program outside the library makes its own and passes it in
// LoadOptions::architectures; the library's are in architecture.cc.
struct Architecture {
  absl::string_view name;  // GGUF's general.architecture
  // Builds the graph with the builder's inputs, and ends it with
  // ModelBuilder::Finish. Errors stick in the builder.
  void (*build)(ModelBuilder& b);
  // False: tokens see those after them too, so that a step is one whole text
  // and nothing is kept between steps.
  bool causal = true;
  // False: what is kept of a sequence (a recurrent state) cannot be taken back
  // to an earlier token.
  bool rewinds = true;
};

// The library's own, in alphabetical order.
absl::Span<const Architecture> Architectures();

// The file's architecture among `extra`, then among the library's.
// Unimplemented lists what there is.
absl::StatusOr<const Architecture*> FindArchitecture(
    const GgufFile& file, absl::Span<const Architecture* const> extra = {});

// Builds and verifies the graph of a file with its adapters, before any pass.
// Reads the header alone. The first error of the builder or of the graph, or
// those of ApplyLora.
absl::StatusOr<std::unique_ptr<Graph>> BuildModel(
    const GgufFile& file, const Architecture& architecture,
    const BuildOptions& options);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_ARCHITECTURE_H_
