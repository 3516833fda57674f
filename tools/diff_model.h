// A model file as what weft-diff runs.
#ifndef WEFT_TOOLS_DIFF_MODEL_H_
#define WEFT_TOOLS_DIFF_MODEL_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/architecture.h"
#include "models/engine.h"
#include "tools/diff.h"

namespace weft::inline v0 {

// The model evaluates the tokens: all but the last as a prompt, then the last
// as generation does; all at once where the architecture sees whole texts.
// InvalidArgument for no tokens or one outside the vocabulary; errors of
// BuildModel. `build` sets the types of the KV cache; its sizes are set here.
absl::StatusOr<DiffSubject> SubjectOf(std::shared_ptr<const Model> model,
                                      absl::Span<const Token> tokens,
                                      BuildOptions build);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DIFF_MODEL_H_
