// The oracle: every node by its scalar reference, every value in memory of its
// own, one thread. Slow; for tests and for comparing.
#ifndef WEFT_BACKENDS_REFERENCE_REFERENCE_BACKEND_H_
#define WEFT_BACKENDS_REFERENCE_REFERENCE_BACKEND_H_

#include <memory>

#include "absl/status/statusor.h"
#include "backends/backend.h"

namespace weft::inline v0 {

absl::StatusOr<std::unique_ptr<Backend>> MakeReferenceBackend(
    const BackendOptions& options);

}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_REFERENCE_REFERENCE_BACKEND_H_
